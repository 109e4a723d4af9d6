// What is to come of a cell, by the standards alone: the Fetch standard, RFC 6265bis, Fetch metadata, and the truth table
// of the check against forged requests in docs/csrf.md. None of it asks the library.
import type { Cell, Place } from './cells.ts'

/** A request as the app's server saw it, and what the app answered. */
export interface Arrived {
  readonly method: string
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
  /** The names of its cookies. */
  readonly cookies: readonly string[]
  readonly status: number
  readonly allowOrigin: string | undefined
  readonly allowCredentials: string | undefined
  readonly vary: string | undefined
}

export interface Outcome {
  /** In their order. */
  readonly requests: readonly Arrived[]
  /** For whom the handler ran; `undefined` if it did not. */
  readonly user: string | undefined
  readonly changed: boolean
  /** Whether the page got to read what the app answered. */
  readonly read: boolean
}

/** What differs from one run of the matrix to another. */
export interface Setting {
  readonly port: number
  /** Of pages by plain HTTP. */
  readonly plainPort: number
  /** Whether the browser sends cookies to another site than that of the page. */
  readonly hasThirdPartyCookies: boolean
}

export function expectedOf(cell: Cell, setting: Setting): Outcome {
  const { kind, place } = cell
  const page = originOf(cell, setting)
  const isSameOrigin = page === `https://${cell.target.host}:${setting.port}`
  const isTrusted = place.listed !== 'not'
  const secFetchSite = isSameOrigin ? 'same-origin' : isSameSite(cell, page) ? 'same-site' : 'cross-site'

  // `sites` decides which pages may read, its wildcards too.
  const allows = (origin: string | undefined) =>
    origin !== undefined && isTrusted
      ? { allowOrigin: origin, allowCredentials: 'true' }
      : { allowOrigin: undefined, allowCredentials: undefined }

  const requests: Arrived[] = []
  if (kind.isPreflighted && !isSameOrigin) {
    const status = isTrusted ? 204 : 403
    const vary = isTrusted ? 'Origin, Access-Control-Request-Headers' : 'Origin'
    const always = { method: 'OPTIONS', origin: page, secFetchSite, cookies: [] }
    requests.push({ ...always, status, vary, ...allows(page) })
    if (!isTrusted) return { requests, user: undefined, changed: false, read: false }
  }

  const origin = originHeader(cell, page, isSameOrigin)
  const isSocket = kind.mode === 'websocket'
  const site = isSocket ? undefined : secFetchSite
  const isUnsafe = isSocket || !['GET', 'HEAD', 'OPTIONS'].includes(kind.method)
  const isOwn = isSameOrigin && origin !== 'null'
  const passes = !isUnsafe || mayChange(site, origin, isOwn, place)
  const hasCookie = sendsCookie(cell, page, isSameOrigin, setting)
  requests.push({
    method: kind.method,
    origin,
    secFetchSite: site,
    cookies: hasCookie ? ['__Host-sid'] : [],
    status: !passes ? 403 : isSocket ? 101 : 200,
    // CORS does not apply to WebSockets. A page that hides its origin is not known as trusted.
    ...allows(isSocket || origin === 'null' ? undefined : origin),
    vary: isSocket ? undefined : passes ? 'Origin, Cookie' : 'Origin',
  })
  return {
    requests,
    user: passes ? (hasCookie ? 'ada' : 'nobody') : undefined,
    changed: isUnsafe && passes,
    read: isSocket ? passes : isSameOrigin || (kind.mode === 'cors' && isTrusted),
  }
}

/** The origin of the page (HTML standard, "origin"). */
function originOf({ place, target }: Cell, { port, plainPort }: Setting): string {
  if (place.isSandboxed) return 'null'
  const host = place.host ?? target.host
  return place.isPlain ? `http://${host}:${plainPort}` : `https://${host}:${port}`
}

/** HTML standard, "schemelessly same site", and the scheme. All registrable domains here have two labels. */
function isSameSite({ target }: Cell, page: string): boolean {
  if (!page.startsWith('https:')) return false
  const domainOf = (host: string) => host.split('.').slice(-2).join('.')
  return domainOf(new URL(page).hostname) === domainOf(target.host)
}

/**
 * Fetch standard, "append a request Origin header". Chromium differs from it in two points. It sends the header with all
 * images in CORS mode, also to the page's own origin. And `no-referrer` hides the origin of forms only; in the standard
 * of `fetch` in mode `no-cors` too.
 */
function originHeader({ kind, place }: Cell, page: string, isSameOrigin: boolean): string | undefined {
  if (kind.mode === 'websocket' || (kind.mode === 'cors' && !isSameOrigin)) return page
  if (kind.mode === 'cors' && kind.way === 'image') return page
  if (kind.method === 'GET') return undefined
  return kind.mode === 'navigate' && place.hidesReferrer ? 'null' : page
}

/**
 * Fetch standard, "credentials mode", then RFC 6265bis, section 5.8.3 ("Retrieval algorithm"). With third-party cookies
 * off, a cookie goes to no other site than that of the page at the top.
 */
function sendsCookie(
  cell: Cell,
  page: string,
  isSameOrigin: boolean,
  { hasThirdPartyCookies }: Setting,
): boolean {
  const { kind, credentials, target } = cell
  if (credentials === 'omit' || (credentials === 'same-origin' && !isSameOrigin)) return false
  if (isSameOrigin || isSameSite(cell, page)) return true
  const isTopLevel = kind.mode === 'navigate'
  if (target.sameSite === 'lax') return isTopLevel && kind.method === 'GET'
  return isTopLevel || hasThirdPartyCookies
}

/** The table in docs/csrf.md, "Forged requests", for unsafe requests. Without `Sec-Fetch-Site`, browsers send an `Origin`. */
function mayChange(
  secFetchSite: string | undefined,
  origin: string | undefined,
  isOwn: boolean,
  { listed }: Place,
): boolean {
  if (secFetchSite === 'same-origin') return true
  if (secFetchSite === undefined && isOwn) return true
  return listed === 'exactly' && origin !== undefined && origin !== 'null'
}
