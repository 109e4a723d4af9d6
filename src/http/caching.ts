/**
 * The Cache-Control for a response with a session cookie: a shared cache must not give one visitor's cookie to another
 * (RFC 9111, section 7.3).
 *
 * @param current the response's Cache-Control; '' if it has none.
 * @param leavesCaching whether an app's own Cache-Control that lets shared caches keep the cookie stays, with a
 *   warning.
 * @returns `undefined` if the current one stays.
 */
export function cacheControlWithCookie(current: string, leavesCaching: boolean): string | undefined {
  if (keepsOutShared(current)) return undefined
  if (!leavesCaching || current === '') return 'no-store'
  warnShared('Cache-Control', current)
  return undefined
}

/**
 * Whether no shared cache keeps a response with this Cache-Control. `private` with names of headers does not ensure
 * that, as caches differ in what they do with it (RFC 9111, section 5.2.2.7). Neither does `private` beside `public`.
 */
export function keepsOutShared(caching: string): boolean {
  const said = directivesOf(caching)
  return said.has('no-store') || (said.has('private') && !said.has('public') && !said.has('s-maxage'))
}

/** Headers that overrule Cache-Control in the caches of CDNs and proxies (RFC 9213), of any vendor. */
const targetedField = /^(?:.+-cache-control|surrogate-control|edge-control|x-accel-expires)$/i

/**
 * Whether to remove a header of a response with a session cookie, because some caches use it in place of Cache-Control.
 *
 * @param leavesCaching whether it stays, with a warning if it lets shared caches keep the cookie.
 */
export function overrulesCacheControl(name: string, value: string, leavesCaching: boolean): boolean {
  if (!targetedField.test(name)) return false
  if (!leavesCaching) return true
  if (!keepsOutShared(value)) warnShared(name, value)
  return false
}

/** The names of the directives in lower case, without those whose argument is a list of headers. */
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
