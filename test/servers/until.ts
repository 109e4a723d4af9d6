/** Milliseconds that end a hang. Servers on a busy machine may need some of them. */
const longestWait = 60_000

/**
 * Waits until a condition holds. It may throw while it does not.
 * @throws Error that says what was waited for, with the last reason against it as its cause
 */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + longestWait
  let cause: unknown
  for (;;) {
    try {
      if (await holds()) return
      cause = undefined
    } catch (error) {
      cause = error
    }
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${what}.`, { cause })
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
