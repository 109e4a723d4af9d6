const warned = new Set<string>()

/**
 * Emits a process warning, each once in a process.
 *
 * @param kind what to warn of once. Left out: the message. It is remembered for ever, so there must be few of them: give
 *   one with a message that holds what a client sent
 */
export function warnOnce(code: string, message: string, kind = message): void {
  if (warned.has(kind)) return
  warned.add(kind)
  process.emitWarning(message, { code })
}
