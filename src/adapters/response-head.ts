import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { ResponseChanges } from '../http/exchange.js'
import { varyWith } from '../http/vary.js'

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
 * Sets the headers that were given to writeHead, so that writeHead gets only the status. Headers that writeHead gets
 * replace those of the same name, so anything that is appended afterwards would be lost.
 *
 * @param head the parameters of writeHead; the headers are taken out of it.
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
 * Adds the header with the session's token to a response, and keeps it out of shared caches.
 *
 * @param head the parameters of writeHead, if that was called; its headers are taken out of it.
 */
export function addToken(
  response: ServerResponse,
  changes: ResponseChanges,
  head: unknown[] | undefined,
): void {
  if (response.headersSent) return
  if (head) takeHeaders(response, head)
  const { name, value } = changes
  if (name === 'Set-Cookie') appendHeader(response, name, value)
  else response.setHeader?.(name, value)
  keepFromSharedCaches(response, changes)
}

/**
 * Once the token is there: also right before the first byte, where others have set headers since.
 *
 * @param head the parameters of writeHead, if that was called; its headers are taken out of it.
 */
export function keepFromSharedCaches(
  response: ServerResponse,
  { cacheControl, drops }: Pick<ResponseChanges, 'cacheControl' | 'drops'>,
  head?: unknown[],
): void {
  if (response.headersSent) return
  if (head) takeHeaders(response, head)
  const caching = cacheControl(textOf(response.getHeader?.('Cache-Control')))
  if (caching !== undefined) response.setHeader?.('Cache-Control', caching)
  for (const name of response.getHeaderNames?.() ?? []) {
    if (drops(name, textOf(response.getHeader?.(name)))) response.removeHeader?.(name)
  }
}

/**
 * Says to caches what the response goes by.
 *
 * @param names of headers of the request, with `, ` between.
 * @param head the parameters of writeHead, if that was called; its headers are taken out of it.
 */
export function addVary(response: ServerResponse, names: string, head: unknown[] | undefined): void {
  if (response.headersSent) return
  if (head) takeHeaders(response, head)
  const current = response.getHeader?.('Vary')
  // Most responses that read the session come here twice.
  if (current === names) return
  if (current === undefined) return void response.setHeader?.('Vary', names)
  const text = textOf(current)
  const all = varyWith(text, names.split(', '))
  if (all !== text) response.setHeader?.('Vary', all)
}

function textOf(value: OutgoingHttpHeader | undefined): string {
  return Array.isArray(value) ? value.join(', ') : String(value ?? '')
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
