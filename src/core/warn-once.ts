const warned = new Set<string>()

/**
 * Emits a process warning, each message once in a process. Give it fixed messages only, because it remembers them all.
 */
export function warnOnce(code: string, message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(message, { code })
}
