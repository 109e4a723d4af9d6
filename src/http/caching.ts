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
  warnShared(current)
  return undefined
}

/** Whether shared caches must not keep an answer, or not its cookie. */
export function keepsOutShared(caching: string): boolean {
  return /(^|,)\s*(no-store|private)\s*(,|$)|\b(private|no-cache)\s*=\s*"[^"]*\bset-cookie\b/i.test(caching)
}

let warned = false

function warnShared(caching: string): void {
  if (warned) return
  warned = true
  process.emitWarning(
    `An answer with a session cookie says "Cache-Control: ${caching}", which lets shared caches keep it and hand the cookie to others. Add "private", or leave the header out: then it is "no-store".`,
    { code: 'COATCHECK_SHARED_CACHE' },
  )
}
