/** The longest time for which a piece of work held the event loop. Milliseconds. */
export interface Hold {
  readonly time: number
  /** What the thread of the loop computed in that time. Less than `time` if the thread waited for a disk or another process. */
  readonly cpu: number
}

/**
 * Does the work while the loop turns without a rest, and finds the longest turn. `setImmediate` calls back once in each turn
 * and keeps the loop from waiting, so that the time between two calls is that of one turn: exact to microseconds.
 * `monitorEventLoopDelay` would round to its timer, a millisecond at best; `eventLoopUtilization` only sums up.
 */
export async function longestHold(work: () => Promise<unknown>): Promise<Hold> {
  // From the beginning of a turn.
  await new Promise((resolve) => setImmediate(resolve))
  let longest: Hold = { time: 0, cpu: 0 }
  let isOver = false
  let [began, cpuBefore] = [performance.now(), threadCPU()]
  const lastTurn = new Promise<void>((resolve) => {
    const turn = () => {
      const [now, cpuNow] = [performance.now(), threadCPU()]
      if (now - began > longest.time) longest = { time: now - began, cpu: cpuNow - cpuBefore }
      ;[began, cpuBefore] = [now, cpuNow]
      if (isOver) resolve()
      else setImmediate(turn)
    }
    setImmediate(turn)
  })
  try {
    await work()
  } finally {
    isOver = true
    await lastTurn
  }
  return longest
}

/** Milliseconds of CPU that this thread has used. */
function threadCPU(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
