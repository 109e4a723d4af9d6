import { storeTimeout } from '../errors.js'
import { clearTimeout, setTimeout } from '../scheduling.js'

/**
 * What the store answers, or ERR_SESSION_STORE_TIMEOUT if that takes longer than `deadline` milliseconds. Whatever it
 * answers later is dropped.
 */
export async function byDeadline<Answer>(deadline: number, ask: () => Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(storeTimeout(deadline)), deadline)
    // It holds no process open: what the store itself waits for does.
    timer.unref()
  })
  try {
    return await Promise.race([ask(), late])
  } finally {
    clearTimeout(timer)
  }
}
