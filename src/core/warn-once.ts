const warned = new Set<string>()

/** Warns of what an older app may have had for years: it goes on, and is told once a process. */
export function warnOnce(code: string, message: string): void {
  if (warned.has(message)) return
  warned.add(message)
  process.emitWarning(message, { code })
}
