import type { CsrfPolicy } from './csrf.js'
import type { CsrfRequest, CsrfRule, CsrfVerdict } from './csrf-request.js'
import { isLoopback, isUnencrypted, printable } from './origin-text.js'
import { registrableDomain } from './registrable-domain.js'
import type { SitePolicy } from './sites.js'

/** A request to explain. All may be left out. */
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
  /**
   * The `SameSite` of the session cookie. `undefined`: it depends on the framework's request, or no cookie is used.
   */
  readonly sameSite: 'lax' | 'strict' | 'none' | undefined
}

/** Tells what would happen to a request, and why. It asks the functions of `sites`. */
export async function explain(context: ExplainContext, given: ExplainedRequest): Promise<Explanation> {
  const relation = relationOf(given)
  const request = requestOf(given, relation)
  const { sites, csrf, sameSite } = context
  const isListed = await sites.ask(given.origin, request)
  const readable = relation === 'same-origin' || isListed
  const verdict = await csrf?.judge(request)
  const allowed = verdict?.allowed !== false || csrf?.reportsOnly === true
  return {
    allowed,
    rule: verdict?.rule,
    readable,
    secFetchSite: request.secFetchSite,
    lines: [
      ...pageLines(given, relation, request.secFetchSite),
      corsLine(given, relation, isListed, sites),
      cookieLine(given, relation, sameSite),
      csrfLine(csrf, request, verdict),
    ],
  }
}

/** Why `cors(sessions)` lets no page of this origin read, and what to set. */
export function denialOfOrigin(origin: string): string {
  if (origin === 'null') {
    return 'sites never trusts the Origin null, which sandboxed frames and files of anybody send. Let the page have an origin.'
  }
  const shown = printable(origin)
  return isUnencrypted(origin)
    ? `sites does not trust ${shown}: it is not encrypted, and not of this machine. Serve that page by HTTPS.`
    : `sites does not trust ${shown}. If that page is yours, list its origin: sites: [${shown}].`
}

type Relation = 'same-origin' | 'same-site' | 'cross-site' | 'unknown'

/** Fetch metadata (W3C), "Sec-Fetch-Site"; HTML standard, "same site". */
function relationOf({ origin, host, secure = true }: ExplainedRequest): Relation {
  if (origin === undefined || host === undefined) return 'unknown'
  if (!URL.canParse(origin)) return 'cross-site'
  const page = new URL(origin)
  const asked = URL.parse(`${secure ? 'https' : 'http'}://${host}`)
  if (asked === null) return 'unknown'
  if (page.origin === asked.origin) return 'same-origin'
  return page.protocol === asked.protocol && siteOf(page.hostname) === siteOf(asked.hostname)
    ? 'same-site'
    : 'cross-site'
}

function siteOf(host: string): string {
  return registrableDomain(host) ?? host
}

function requestOf(given: ExplainedRequest, relation: Relation): CsrfRequest & { readonly url: string } {
  const { origin, method = 'GET', path = '/', host, secure = true, secFetchSite, referer, upgrade } = given
  return {
    method,
    isUpgrade: upgrade === true,
    url: path,
    secure,
    host,
    origin,
    referer,
    secFetchSite: secFetchSite === 'absent' ? undefined : (secFetchSite ?? sentByBrowser(given, relation)),
  }
}

/** Browsers send it to HTTPS and to this machine, and not with WebSockets. */
function sentByBrowser({ host, secure = true, upgrade }: ExplainedRequest, relation: Relation) {
  const isTrustworthy = secure || (host !== undefined && isLoopback(host.replace(/:\d+$/, '')))
  return relation === 'unknown' || upgrade === true || !isTrustworthy ? undefined : relation
}

function pageLines(
  { origin, host, secure = true, secFetchSite }: ExplainedRequest,
  relation: Relation,
  sent: string | undefined,
): string[] {
  if (origin === undefined)
    return ['The request has no Origin, so no page of another origin sent it by script or form.']
  if (host === undefined) {
    return [
      'Nobody can tell whether the page is of this app: give the host that is asked, such as app.example.com.',
    ]
  }
  const app = `${secure ? 'https' : 'http'}://${host}`
  const words = {
    'same-origin': 'is the app itself',
    'same-site': `is another origin on the same site as ${app}`,
    'cross-site': `is on another site than ${app}`,
    unknown: `cannot be compared with ${printable(app)}`,
  }[relation]
  const header =
    sent === undefined
      ? 'The request has no Sec-Fetch-Site.'
      : secFetchSite === undefined
        ? `A browser sends Sec-Fetch-Site: ${sent}.`
        : `The request has Sec-Fetch-Site: ${printable(sent)}.`
  return [`The page ${printable(origin)} ${words}. ${header}`]
}

function corsLine(
  { origin, upgrade }: ExplainedRequest,
  relation: Relation,
  isListed: boolean,
  sites: SitePolicy,
): string {
  if (upgrade) return 'CORS does not apply to WebSockets.'
  if (origin === undefined || relation === 'same-origin') return 'CORS does not apply.'
  if (!isListed)
    return `CORS: the page cannot read the answer, and a preflight gets 403. ${denialOfOrigin(origin)}`
  const by = sites.trusts(origin)
    ? 'sites names it, or a wildcard that matches it'
    : 'sites trusts it for this path, or a function of it does'
  return `CORS: the page may read the answer, with cookies: ${by}.`
}

function cookieLine(
  { cookies = true, method = 'GET' }: ExplainedRequest,
  relation: Relation,
  sameSite: ExplainContext['sameSite'],
): string {
  if (sameSite === undefined) {
    return 'Cookies: the option cookie is a function of the request, or no cookie is used.'
  }
  if (!cookies && relation !== 'same-origin') {
    return "Cookies: the page asks for none. With fetch, write credentials: 'include'."
  }
  if (relation !== 'cross-site') return 'Cookies: the browser sends the session cookie.'
  if (sameSite === 'none') {
    return 'Cookies: SameSite=None, so the browser sends the session cookie, unless it blocks cookies of other sites. Safari does, and so do private windows of Chrome.'
  }
  const isSafe = method === 'GET' || method === 'HEAD'
  return sameSite === 'lax' && isSafe
    ? 'Cookies: SameSite=Lax, so the browser sends the session cookie with links and other top-level navigation only.'
    : `Cookies: SameSite=${sameSite === 'lax' ? 'Lax' : 'Strict'}, so the browser sends no session cookie from another site.`
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
