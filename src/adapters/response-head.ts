import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { ResponseChanges } from '../http/exchange.js'

/** Headers that describe the answer that a failed commit takes back. */
const contentHeaders = [
  'Accept-Ranges', 'Cache-Control', 'Content-Disposition', 'Content-Encoding', 'Content-Language', 'Content-Length',
  'Content-Location', 'Content-Range', 'Content-Type', 'ETag', 'Expires', 'Last-Modified', 'Location', 'Refresh',
  'Set-Cookie', 'Trailer', 'Transfer-Encoding',
] // prettier-ignore

/** Removes the headers that describe an answer; what other middleware says of the exchange (CORS, CSP, …) stays. */
export function removeContentHeaders(response: ServerResponse): void {
  for (const name of contentHeaders) {
    // Node takes the removal of an absent Content-Length for a wish to have none.
    if (response.getHeader?.(name) !== undefined) response.removeHeader?.(name)
  }
}

/**
 * Sets the headers that were given to writeHead, and leaves it the status alone: headers given to writeHead
 * replace those of the same name, so what is appended afterwards would be lost.
 *
 * @param head the parameters of writeHead; the headers are taken out of it
 */
function takeHeaders(response: ServerResponse, head: unknown[]): void {
  const headers = head.at(-1) as OutgoingHttpHeaders | readonly unknown[] | undefined
  if (typeof headers !== 'object' || headers === null || !response.setHeader) return
  head.pop()
  const seen = new Set<string>()
  for (const [name, value] of headerPairs(headers)) {
    const values = Array.isArray(value) ? (value as string[]) : String(value)
    if (seen.has(name.toLowerCase())) appendHeader(response, name, values)
    else response.setHeader(name, values)
    seen.add(name.toLowerCase())
  }
}

/**
 * Adds the session's cookie to a response.
 *
 * @param head the parameters of writeHead, if that was called; its headers are taken out of it
 */
export function addCookie(
  response: ServerResponse,
  { setCookie, leavesCaching }: ResponseChanges,
  head: unknown[] | undefined,
): void {
  if (response.headersSent) return
  if (head) takeHeaders(response, head)
  appendHeader(response, 'Set-Cookie', setCookie)
  // A shared cache must not hand one person's cookie to another (RFC 9111, section 7.3).
  const caching = String(response.getHeader?.('Cache-Control') ?? '')
  if (keepsOutShared(caching)) return
  if (leavesCaching && caching !== '') warnShared(caching)
  else response.setHeader?.('Cache-Control', 'no-store')
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

/** Adds values to a header. As express-session does it, because stand-ins for a response have no `appendHeader`. */
function appendHeader(response: ServerResponse, name: string, values: string | string[]): void {
  const before = response.getHeader?.(name) ?? []
  response.setHeader?.(name, ([] as string[]).concat(before as string | string[], values))
}

function headerPairs(headers: OutgoingHttpHeaders | readonly unknown[]): [string, OutgoingHttpHeader][] {
  if (!Array.isArray(headers)) {
    return Object.entries(headers).filter(
      (pair): pair is [string, OutgoingHttpHeader] => pair[1] !== undefined,
    )
  }
  if (Array.isArray(headers[0])) return headers as [string, OutgoingHttpHeader][]
  const flat = headers as OutgoingHttpHeader[]
  return flat.flatMap((name, index) =>
    index % 2 === 0 ? [[String(name), flat[index + 1]!] as [string, OutgoingHttpHeader]] : [],
  )
}
