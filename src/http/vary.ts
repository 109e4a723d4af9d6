/**
 * Adds names to a `Vary` header, each once (RFC 9110, section 12.5.5). A `Vary` of `*` stays as it is.
 * @param current the response's `Vary`; '' if it has none.
 */
export function varyWith(current: string, names: readonly string[]): string {
  if (current === '') return names.join(', ')
  const known = current.split(',').map((name) => name.trim().toLowerCase())
  if (known.includes('*')) return '*'
  const added = names.filter((name) => !known.includes(name.toLowerCase()))
  return [current, ...added].join(', ')
}
