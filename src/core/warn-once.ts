const kinds = new Set<string>()

/** Emits a process warning, each message once in a process. Give it fixed messages only: it remembers them all. */
export function warnOnce(code: string, message: string): void {
  if (isFirst(message)) process.emitWarning(message, { code })
}

/**
 * Whether this is the first call for a kind of warning in this process: for messages that hold what a client sent.
 *
 * @param kind is remembered for ever, so there must be few of them.
 */
export function isFirst(kind: string): boolean {
  if (kinds.has(kind)) return false
  kinds.add(kind)
  return true
}
