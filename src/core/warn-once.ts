const warned = new Set<string>()

/**
 * Emits a process warning, each message once in a process. Give it fixed messages only, because it remembers them all.
 */
export function warnOnce(code: string, message: string): void {
  warnOnceOf(message, code, () => message)
}

/**
 * Emits a process warning, once in a process for each kind: for a message that holds what a client sent.
 *
 * @param kind what to warn of once. It is remembered for ever, so there must be few of them
 * @param message called only for the first of its kind
 */
export function warnOnceOf(kind: string, code: string, message: () => string): void {
  if (warned.has(kind)) return
  warned.add(kind)
  process.emitWarning(message(), { code })
}
