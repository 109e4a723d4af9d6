/**
 * What the Cache-Control of a response with a session cookie has to be: a shared cache must not hand one person's cookie to another
 * (RFC 9111, section 7.3).
 *
 * @param current the response's own; '' if it has none
 * @param leavesCaching whether the app's own stays, with a warning, where it lets shared caches keep the cookie
 * @returns `undefined` if it stays as it is
 */
export function cacheControlWithCookie(current: string, leavesCaching: boolean): string | undefined {
  if (keepsOutShared(current)) return undefined
  if (!leavesCaching || current === '') return 'no-store'
  warnShared('Cache-Control', current)
  return undefined
}

/**
 * Whether no shared cache keeps a response with this Cache-Control. `private` with the names of headers does not say that: caches differ
 * in what they make of it (RFC 9111, section 5.2.2.7), as they do of `private` beside `public`.
 */
export function keepsOutShared(caching: string): boolean {
  const said = directivesOf(caching)
  return said.has('no-store') || (said.has('private') && !said.has('public') && !said.has('s-maxage'))
}

/** Fields that stand over Cache-Control in the caches of a CDN or of a proxy (RFC 9213), by whichever vendor. */
const targetedField = /^(?:.+-cache-control|surrogate-control|edge-control|x-accel-expires)$/i

/**
 * Whether a header of a response with a session cookie has to go, because some caches heed it in place of Cache-Control.
 *
 * @param leavesCaching whether it stays, with a warning
 */
export function overrulesCacheControl(name: string, value: string, leavesCaching: boolean): boolean {
  if (!targetedField.test(name)) return false
  if (!leavesCaching) return true
  if (!keepsOutShared(value)) warnShared(name, value)
  return false
}

/** The names of the directives that have no argument, or one that is no list of headers, in lower case. */
function directivesOf(caching: string): Set<string> {
  const names = new Set<string>()
  for (const [, name, argument] of caching.matchAll(/([^\s,="]+)(?:\s*=\s*("[^"]*"?|[^\s,"]*))?|"[^"]*"?/g)) {
    const hasNames = argument !== undefined && /^(?:private|no-store|no-cache)$/i.test(name!)
    if (name !== undefined && !hasNames) names.add(name.toLowerCase())
  }
  return names
}

let warned = false

function warnShared(name: string, value: string): void {
  if (warned) return
  warned = true
  process.emitWarning(
    `A response with a session cookie says "${name}: ${value}", which lets shared caches keep it and hand the cookie to others. Give it the header "Cache-Control: private" alone, or none: then it is "no-store".`,
    { code: 'COATCHECK_SHARED_CACHE' },
  )
}
