/**
 * What every answer at an address of the hand-off says, an app's page for an error too: no cache keeps it, no other
 * server sees its address, which may hold a code, and no frame shows it.
 */
export const answerHeaders = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Frame-Options': 'DENY',
} as const

const headers = {
  ...answerHeaders,
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
} as const

/** Sends the browser on by GET (RFC 9110, section 15.4.4). */
export function redirectTo(address: string, cookies: readonly string[] = []): Response {
  const response = new Response(null, { status: 303, headers: { ...headers, Location: address } })
  for (const cookie of cookies) response.headers.append('Set-Cookie', cookie)
  return response
}

/** @param allow the methods that the address takes (RFC 9110, section 15.5.6) */
export function methodNotAllowed(allow: string): Response {
  return new Response(null, { status: 405, headers: { ...headers, Allow: allow } })
}

/** An address with more parameters in its query. Its own stay (RFC 6749, section 3.1.2). */
export function withParameters(
  address: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const url = new URL(address)
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined) url.searchParams.set(name, value)
  return url.href
}

/** A path of this app with more parameters in its query. */
export function pathWith(path: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const { pathname, search, hash } = new URL(withParameters(`https://coatcheck.invalid${path}`, parameters))
  return pathname + search + hash
}

/**
 * Whether a browser loads this as the page in its address bar: not in a frame, not by a script, not as a part of a page
 * (Fetch metadata). A client that does not say is taken for one that shows pages if it accepts HTML.
 */
export function isNavigation(request: Request): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false
  const destination = request.headers.get('sec-fetch-dest')
  if (destination !== null) return destination === 'document'
  return /\btext\/html\b/i.test(request.headers.get('accept') ?? '')
}

/** The value of a parameter. `undefined`: it is missing or empty. `null`: it is there several times. */
export function single(parameters: URLSearchParams, name: string): string | null | undefined {
  const values = parameters.getAll(name)
  if (values.length > 1) return null
  return values[0] || undefined
}
