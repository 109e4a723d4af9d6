import { storeTimeout } from '../errors.js'
import { clearTimeout, setTimeout } from '../scheduling.js'

/**
 * The store's answer. If it takes longer than `deadline` milliseconds, this rejects with ERR_SESSION_STORE_TIMEOUT. A
 * later answer is dropped.
 */
export async function byDeadline<Answer>(deadline: number, ask: () => Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(storeTimeout(deadline)), deadline)
    // The timer need not keep the process running: the store's own connection does.
    timer.unref()
  })
  try {
    return await Promise.race([ask(), late])
  } finally {
    clearTimeout(timer)
  }
}
