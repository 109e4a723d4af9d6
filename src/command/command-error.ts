/** The command cannot go on, and says what to do; exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
