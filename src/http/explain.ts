import { refuseUnknownOptions } from '../core/errors.js'
import { type CsrfPolicy, isSafeMethod } from './csrf.js'
import type { CsrfRequest, CsrfRule, CsrfVerdict } from './csrf-request.js'
import { isLoopback, printable } from './origin-text.js'
import { siteOf } from './registrable-domain.js'
import { howToTrust } from './site-advice.js'
import type { SitePolicy } from './sites.js'

/**
 * A request to explain. All may be left out.
 * @example
 * const { allowed, lines } = await sessions.explain({
 *   origin: 'https://shop.example.com',
 *   method: 'POST',
 *   path: '/cart',
 *   host: 'api.example.com',
 * })
 */
export interface ExplainedRequest {
  /** The `Origin` header: the page that sends the request. Left out: none. */
  readonly origin?: string | undefined
  /** @default 'GET' */
  readonly method?: string | undefined
  /** The path, with or without a query. @default '/' */
  readonly path?: string | undefined
  /** The host that is asked, with its port: the `Host` header. Left out: unknown. */
  readonly host?: string | undefined
  /** Whether the request comes by HTTPS. @default true */
  readonly secure?: boolean | undefined
  /**
   * The `Sec-Fetch-Site` header, or `'absent'` for a client that sends none. Left out: what a browser sends for this
   * origin and host.
   */
  readonly secFetchSite?: string | undefined
  /** The `Referer` header. Left out: none. */
  readonly referer?: string | undefined
  /** Whether it is the handshake of a WebSocket. @default false */
  readonly upgrade?: boolean | undefined
  /** Whether the page asks for cookies (`credentials: 'include'`). @default true */
  readonly cookies?: boolean | undefined
}

/** What would happen to a request, by `sessions.explain`. */
export interface Explanation {
  /** Whether `session(sessions)` lets the request reach the handler. */
  readonly allowed: boolean
  /** The rule of the check against forged requests that decided; `undefined` if the app has turned the check off. */
  readonly rule: CsrfRule | undefined
  /** Whether `cors(sessions)` lets the page read the answer. */
  readonly readable: boolean
  /** What a browser sends as `Sec-Fetch-Site`; `undefined` if none, or if the host is unknown. */
  readonly secFetchSite: string | undefined
  /** The same in words, one sentence or two each. They show what was given, so they are for developers. */
  readonly lines: readonly string[]
}

/** What an explanation goes by. */
export interface ExplainContext {
  readonly sites: SitePolicy
  readonly csrf: CsrfPolicy | undefined
  /** The session cookie of a response to such a request. */
  readonly cookie: ExplainedCookie
}

/**
 * Its `SameSite`, or why there is none to tell of: its attributes depend on the framework's own request (`byRequest`),
 * cookies are not used (`unused`), or it needs HTTPS and the request has none (`insecure`).
 */
export type ExplainedCookie = 'lax' | 'strict' | 'none' | 'byRequest' | 'unused' | 'insecure'

const names = [
  'origin',
  'method',
  'path',
  'host',
  'secure',
  'secFetchSite',
  'referer',
  'upgrade',
  'cookies',
] as const

/** A request with all that was left out. */
type Resolved = ExplainedRequest & {
  readonly method: string
  readonly path: string
  readonly secure: boolean
  readonly upgrade: boolean
  readonly cookies: boolean
  readonly relation: Relation
  /** The `Sec-Fetch-Site` header. */
  readonly sent: string | undefined
}

/**
 * Tells what would happen to a request, and why. It asks the functions of `sites`.
 *
 * @throws (rejects) ERR_SESSION_OPTION if a property of the request is unknown; what a function of `sites` throws.
 */
export async function explain(context: ExplainContext, given: ExplainedRequest): Promise<Explanation> {
  refuseUnknownOptions('explain', given, names)
  const { sites, csrf, cookie } = context
  const request = resolved(given)
  const { origin, method, path, host, secure, upgrade, referer, relation, sent } = request
  const asked = { method, isUpgrade: upgrade, url: path, secure, host, origin, referer, secFetchSite: sent }
  const isTrusted = await sites.ask(origin, asked)
  const verdict = await csrf?.judge(asked)
  return {
    allowed: verdict?.allowed !== false || csrf?.reportsOnly === true,
    rule: verdict?.rule,
    readable: relation === 'same-origin' || isTrusted,
    secFetchSite: sent,
    lines: [
      pageLine(request),
      corsLine(request, isTrusted, sites),
      cookieLine(request, cookie),
      csrfLine(csrf, asked, verdict),
    ],
  }
}

/** Why `cors(sessions)` lets no page of this origin read, and what to set. */
export function denialOfOrigin(origin: string, url: string, sites: SitePolicy): string {
  const why =
    origin === 'null'
      ? 'Frames in a sandbox and files of anybody have no other. Never list null.'
      : howToTrust(origin, url, sites)
  return `sites does not trust the Origin ${printable(origin)}. ${why}`
}

type Relation = 'same-origin' | 'same-site' | 'cross-site' | 'unknown'

function resolved(given: ExplainedRequest): Resolved {
  const { method = 'GET', path = '/', secure = true, upgrade = false, cookies = true, secFetchSite } = given
  const relation = relationOf(given.origin, given.host, secure)
  const derived = sentByBrowser(relation, secure, given.host, upgrade)
  const sent = secFetchSite === 'absent' ? undefined : (secFetchSite ?? derived)
  return { ...given, method, path, secure, upgrade, cookies, relation, sent }
}

/** Fetch metadata (W3C), "Sec-Fetch-Site"; HTML standard, "same site". */
function relationOf(origin: string | undefined, host: string | undefined, secure: boolean): Relation {
  if (origin === undefined || host === undefined) return 'unknown'
  const page = URL.parse(origin)
  if (page === null) return 'cross-site'
  const app = URL.parse(`${schemeOf(secure)}://${host}`)
  if (app === null) return 'unknown'
  if (page.origin === app.origin) return 'same-origin'
  const isSameSite = page.protocol === app.protocol && siteOf(page.hostname) === siteOf(app.hostname)
  return isSameSite ? 'same-site' : 'cross-site'
}

const schemeOf = (secure: boolean): string => (secure ? 'https' : 'http')

/** Browsers send it to HTTPS and to this machine, and not with WebSockets. */
function sentByBrowser(relation: Relation, secure: boolean, host = '', upgrade: boolean): string | undefined {
  const isTrustworthy = secure || isLoopback(host.replace(/:\d+$/, ''))
  return relation === 'unknown' || upgrade || !isTrustworthy ? undefined : relation
}

function pageLine({ origin, host, secure, secFetchSite, relation, sent }: Resolved): string {
  const header =
    sent === undefined
      ? 'The request has no Sec-Fetch-Site.'
      : secFetchSite === undefined
        ? `A browser sends Sec-Fetch-Site: ${sent}.`
        : `The request has Sec-Fetch-Site: ${printable(sent)}.`
  if (origin === undefined) return `The request has no Origin. ${header}`
  if (host === undefined) {
    return `Nobody can tell whether the page is of this app: give the host that is asked, such as app.example.com. ${header}`
  }
  const app = printable(`${schemeOf(secure)}://${host}`)
  const words = {
    'same-origin': 'is the app itself',
    'same-site': `is another origin on the same site as ${app}`,
    'cross-site': `is on another site than ${app}`,
    unknown: `cannot be compared with ${app}`,
  }[relation]
  return `The page ${printable(origin)} ${words}. ${header}`
}

function corsLine(
  { origin, upgrade, relation, path }: Resolved,
  isTrusted: boolean,
  sites: SitePolicy,
): string {
  if (upgrade) return 'CORS does not apply to WebSockets.'
  if (origin === undefined || relation === 'same-origin') return 'CORS does not apply.'
  if (!isTrusted) {
    return `CORS: the page cannot read the answer, and a preflight gets 403. ${denialOfOrigin(origin, path, sites)}`
  }
  const by = sites.trusts(origin)
    ? 'sites names it, or a wildcard that matches it'
    : 'sites trusts it for this path, or a function of it does'
  return `CORS: the page may read the answer, with cookies: ${by}.`
}

function cookieLine({ origin, cookies, method, relation }: Resolved, cookie: ExplainedCookie): string {
  if (cookie === 'unused') return 'Cookies: none is used, because header.cookie is false.'
  if (cookie === 'byRequest')
    return 'Cookies: it depends on the request, because the option cookie is a function.'
  if (cookie === 'insecure') return 'Cookies: none is sent or set over HTTP, because cookie.secure is true.'
  if (origin !== undefined && relation === 'unknown') return 'Cookies: nobody can tell without the host.'
  if (!cookies && relation !== 'same-origin') {
    return "Cookies: the page asks for none. With fetch, write credentials: 'include'."
  }
  if (relation !== 'cross-site') return 'Cookies: the browser sends the session cookie.'
  switch (cookie) {
    case 'none':
      return 'Cookies: SameSite=None, so the browser sends the session cookie, unless it blocks cookies of other sites. Safari does, and so do private windows of Chrome.'
    case 'strict':
      return 'Cookies: SameSite=Strict, so the browser sends no session cookie from another site.'
    case 'lax':
      return isSafeMethod(method)
        ? 'Cookies: SameSite=Lax, so the browser sends the session cookie with links and other top-level navigation only.'
        : "Cookies: SameSite=Lax, so the browser sends no session cookie from another site. It would with cookie: { sameSite: 'none', secure: true }."
  }
}

function csrfLine(
  csrf: CsrfPolicy | undefined,
  request: CsrfRequest,
  verdict: CsrfVerdict | undefined,
): string {
  if (csrf === undefined || verdict === undefined) return 'Forged requests: no check, because csrf is false.'
  const { allowed, rule } = verdict
  if (allowed) return `Forged requests: it passes, by the rule ${rule}.`
  const done = csrf.reportsOnly
    ? 'it passes because of csrf.report, and would be refused (403)'
    : 'it is refused (403)'
  return `Forged requests: ${done}, by the rule ${rule}. ${csrf.explain(request, rule)}`
}
