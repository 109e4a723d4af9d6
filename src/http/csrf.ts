import { kindOf, optionError, refuseUnknownOptions, SessionError, shown } from '../core/errors.js'
import { faultOfOrigin, type SitePolicy } from './sites.js'

/**
 * The options of the check against forged requests (cross-site request forgery, CSRF): requests that a page of another
 * site sends in its visitor's name. The check reads method, path and headers only. So it stops a forged sign-in too, which
 * has no cookie yet.
 *
 * Sources: Fetch metadata (W3C, `Sec-Fetch-Site`), RFC 6454 (`Origin`), OWASP's cheat sheet on CSRF, and
 * `http.CrossOriginProtection` of Go 1.25.
 */
export interface CsrfOptions {
  /**
   * Origins that may send to one path each, such as an identity provider that answers by a form post. The path is
   * compared exactly, after it was decoded once. `'*'`: any origin, for example for a 3-D Secure callback from a bank.
   *
   * A browser sends no `SameSite=Lax` cookie with such a post.
   * @example
   * accept: { '/login/apple': ['https://appleid.apple.com'] }
   */
  readonly accept?: Readonly<Record<string, readonly string[] | '*'>> | undefined
  /**
   * The app's own origins, for an app behind a proxy that replaces the `Host` header. Only browsers without
   * `Sec-Fetch-Site` need it.
   * @example
   * own: ['https://app.example.com']
   */
  readonly own?: readonly string[] | undefined
  /**
   * Whether the wildcards of `sites` count here too. Then every subdomain that they match may change data in a visitor's
   * name.
   * @default false
   */
  readonly wildcards?: boolean | undefined
  /**
   * What to do with a request that has no `Sec-Fetch-Site`, `Origin` or `Referer`. `'allow'`: accept it; curl, native
   * apps and webhooks need this. `'deny'`: 403.
   * @default 'allow'
   */
  readonly withoutHeaders?: 'allow' | 'deny' | undefined
  /**
   * Whether every request passes, and the check only reports what it would refuse: by the event `forged`, and by one
   * warning for each rule (`COATCHECK_FORGED`). For the first week in production.
   * @default false
   */
  readonly report?: boolean | undefined
}

/** What the check goes by. */
export interface CsrfRequest {
  /** The request's own method, not one that a package such as method-override put in its place. */
  readonly method: string
  /** Whether the request asks for another protocol, as the handshake of a WebSocket does. */
  readonly isUpgrade: boolean
  /** The address that was asked, with or without a query. */
  readonly url: string
  /** Whether it came by HTTPS. */
  readonly secure: boolean
  /** `:authority` of HTTP/2, or the Host header. */
  readonly host: string | undefined
  readonly secFetchSite: string | undefined
  /** The Origin header. A repeated one is the values with `, ` between. */
  readonly origin: string | undefined
  readonly referer: string | undefined
}

/**
 * Which rule decided. The first that holds does:
 *
 * - `safeMethod`: GET, HEAD and OPTIONS pass, unless they ask for an upgrade.
 * - `acceptedPath`: the option `accept` lists the origin for this very path.
 * - `badHeader`: `Sec-Fetch-Site` is repeated, or has a value that no browser sends.
 * - `sameOrigin`: the browser says that the page is the app's own.
 * - `noPage`: the browser says that the user started it (`none`). `noPageButOrigin`: the same, with a foreign `Origin`.
 * - `trustedSite`, `otherSite`: the browser says that a page of another origin sent it; `sites` lists that, or not.
 * - `ownOrigin`, `trustedOrigin`, `otherOrigin`: without `Sec-Fetch-Site`, the `Origin` header decides.
 * - `otherReferer`: with neither, the `Referer` names another origin.
 * - `withoutHeaders`: none of the three headers is there; current browsers always send one. The option of that name decides.
 */
export type CsrfRule =
  | 'safeMethod'
  | 'acceptedPath'
  | 'badHeader'
  | 'sameOrigin'
  | 'noPage'
  | 'noPageButOrigin'
  | 'trustedSite'
  | 'otherSite'
  | 'ownOrigin'
  | 'trustedOrigin'
  | 'otherOrigin'
  | 'otherReferer'
  | 'withoutHeaders'

/** What the check says of a request. */
export interface CsrfVerdict {
  readonly allowed: boolean
  readonly rule: CsrfRule
}

const verdict = (rule: CsrfRule, allowed: boolean): CsrfVerdict => Object.freeze({ allowed, rule })
const pass = (rule: CsrfRule) => verdict(rule, true)
const deny = (rule: CsrfRule) => verdict(rule, false)

// Made once: the check runs for every request.
const safeMethod = pass('safeMethod')
const acceptedPath = pass('acceptedPath')
const badHeader = deny('badHeader')
const sameOrigin = pass('sameOrigin')
const noPage = pass('noPage')
const noPageButOrigin = deny('noPageButOrigin')
const trustedSite = pass('trustedSite')
const otherSite = deny('otherSite')
const ownOrigin = pass('ownOrigin')
const trustedOrigin = pass('trustedOrigin')
const otherOrigin = deny('otherOrigin')
const otherReferer = deny('otherReferer')
const passedWithoutHeaders = pass('withoutHeaders')
const deniedWithoutHeaders = deny('withoutHeaders')

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a method is to change nothing (RFC 9110, section 9.2.1). */
export function isSafeMethod(method: string): boolean {
  return safeMethods.has(method)
}

/** The check against forged requests, by the app's own list of sites. At `sessions.csrf`. */
export class CsrfPolicy {
  readonly reportsOnly: boolean
  readonly #sites: SitePolicy
  readonly #accepted: ReadonlyMap<string, ReadonlySet<string> | '*'>
  readonly #own: ReadonlySet<string>
  readonly #trustsWildcards: boolean
  readonly #deniesWithoutHeaders: boolean

  /** @throws ERR_SESSION_OPTION if an option is unknown or malformed */
  constructor(options: CsrfOptions, sites: SitePolicy) {
    refuseUnknownOptions('csrf', options, ['accept', 'own', 'wildcards', 'withoutHeaders', 'report'])
    const { withoutHeaders = 'allow' } = options
    if (withoutHeaders !== 'allow' && withoutHeaders !== 'deny') {
      throw optionError(`csrf.withoutHeaders must be 'allow' or 'deny', not ${shown(withoutHeaders)}.`)
    }
    for (const name of ['report', 'wildcards'] as const) {
      if (options[name] !== undefined && typeof options[name] !== 'boolean')
        throw optionError(`csrf.${name} must be true or false, not ${shown(options[name])}.`)
    }
    this.reportsOnly = options.report === true
    this.#sites = sites
    this.#accepted = resolveAccepted(options.accept ?? {})
    this.#own = originsOf(options.own ?? [], 'csrf.own')
    this.#trustsWildcards = options.wildcards === true
    this.#deniesWithoutHeaders = withoutHeaders === 'deny'
  }

  /** Says whether a request may go on, and which rule decided. The first rule that holds does. */
  judge(request: CsrfRequest): CsrfVerdict {
    if (isSafeMethod(request.method) && !request.isUpgrade) return safeMethod
    if (this.#accepted.size > 0 && this.#isAccepted(request)) return acceptedPath
    const { origin } = request
    switch (request.secFetchSite) {
      case 'same-origin':
        return sameOrigin
      case 'none':
        return origin === undefined || isOwn(request, origin, this.#own) || this.#trusts(origin)
          ? noPage
          : noPageButOrigin
      case 'same-site':
      case 'cross-site':
        return origin !== undefined && this.#trusts(origin) ? trustedSite : otherSite
      case undefined:
        return this.#judgeByOrigin(request)
      default:
        return badHeader
    }
  }

  #judgeByOrigin(request: CsrfRequest): CsrfVerdict {
    const { origin, referer } = request
    if (origin !== undefined) {
      if (isOwn(request, origin, this.#own)) return ownOrigin
      return this.#trusts(origin) ? trustedOrigin : otherOrigin
    }
    if (referer !== undefined && !isOwnReferer(request, referer, this.#own)) return otherReferer
    return this.#deniesWithoutHeaders ? deniedWithoutHeaders : passedWithoutHeaders
  }

  #trusts(origin: string): boolean {
    return this.#trustsWildcards ? this.#sites.trusts(origin) : this.#sites.lists(origin)
  }

  #isAccepted({ url, origin }: CsrfRequest): boolean {
    const accepted = this.#accepted.get(pathOf(url) ?? '')
    if (accepted === undefined) return false
    return accepted === '*' || (origin !== undefined && accepted.has(origin))
  }
}

/**
 * Why a request was refused and what to set, for developers. It shows headers of the request, so it is not for visitors.
 *
 * @param rule of a verdict that does not allow it
 * @param sites the trusted sites of the app
 */
export function explainRefusal(rule: CsrfRule, request: CsrfRequest, sites: SitePolicy): string {
  const { origin, secFetchSite, referer } = request
  const from = origin === undefined ? 'no Origin' : `the Origin ${printable(origin)}`
  switch (rule) {
    case 'badHeader':
      return `Its Sec-Fetch-Site is ${printable(secFetchSite ?? '')}, which no browser sends. Let proxies pass that header on as it came, once.`
    case 'noPageButOrigin':
      return `Its Sec-Fetch-Site is none, which says that no page sent it, but it has ${from}. ${toTrust(request, sites)}`
    case 'otherSite':
      return `Its Sec-Fetch-Site is ${secFetchSite}, so a page of another origin sent it, with ${from}. ${toTrust(request, sites)}`
    case 'otherOrigin':
      return `It has ${from}, and came to ${printable(request.host ?? 'no host')} by ${request.secure ? 'HTTPS' : 'HTTP'}. ${toTrust(request, sites)}`
    case 'otherReferer':
      return `It has no Origin, and its Referer is of another origin: ${printable(originOf(referer ?? ''))}. ${toTrust(request, sites)}`
    case 'withoutHeaders':
      return "It has none of the headers that browsers send, and csrf.withoutHeaders is 'deny'. Programs have to send an Origin: curl -H 'Origin: …'."
    default:
      return ''
  }
}

/** What to set if the request was no forgery. */
function toTrust({ origin, secure }: CsrfRequest, sites: SitePolicy): string {
  if (origin === 'null') {
    return 'A page that has Referrer-Policy: no-referrer, is sandboxed, or was redirected sends null. If it is your own, give it Referrer-Policy: same-origin. Never list null.'
  }
  if (origin === undefined) {
    return 'If the page is your own, give it Referrer-Policy: same-origin, so that browsers name its origin.'
  }
  const shown = printable(origin)
  if (sites.trusts(origin)) {
    return `A wildcard of sites matches it, and wildcards let pages read only. To let it change data, list it as it is too: sites: [${shown}]; or let all wildcards do so: csrf: { wildcards: true }.`
  }
  const scheme = secure && origin.startsWith('http://') ? ' It is not encrypted, and this request is.' : ''
  return `If that is a site of yours, list it: sites: [${shown}]. If it is this app itself behind a proxy, have the proxy pass the Host header on, or write csrf: { own: [${shown}] }. If it is a provider that posts to one path, use csrf.accept.${scheme}`
}

/** The origin of an address. The rest of it may hold secrets. */
function originOf(address: string): string {
  return URL.canParse(address) ? new URL(address).origin : 'no address'
}

/** A header's value as a message may show it: anybody can send anything. */
function printable(value: string): string {
  return /^[\x21-\x7e ]{0,200}$/.test(value)
    ? `'${value.replaceAll("'", '')}'`
    : 'a value that cannot be shown'
}

/** The error of a refused request. Its words for developers are left out in production. */
export function forged(rule: CsrfRule, request: CsrfRequest, sites: SitePolicy): SessionError {
  const why =
    process.env['NODE_ENV'] === 'production' ? '' : ` ${explainRefusal(rule, request, sites)} (rule: ${rule})`
  return new SessionError(
    'ERR_SESSION_FORGED',
    `This request was refused, because a page of another site may have sent it in its visitor's name.${why}`,
    { status: 403 },
  )
}

function resolveAccepted(
  accept: NonNullable<CsrfOptions['accept']>,
): ReadonlyMap<string, ReadonlySet<string> | '*'> {
  if (Object.prototype.toString.call(accept) !== '[object Object]') {
    throw optionError(
      `csrf.accept must be an object of paths and their origins, like { '/login/apple': ['https://appleid.apple.com'] }, not ${kindOf(accept)}.`,
    )
  }
  const accepted = new Map<string, ReadonlySet<string> | '*'>()
  for (const [path, origins] of Object.entries(accept)) {
    if (pathOf(path) !== path || !path.startsWith('/')) {
      throw optionError(
        `csrf.accept: ${JSON.stringify(path)} is not a path as it is compared: it begins with a slash, has no query, and is not percent-encoded.`,
      )
    }
    accepted.set(path, origins === '*' ? '*' : originsOf(origins, `csrf.accept[${JSON.stringify(path)}]`))
  }
  return accepted
}

/** @throws ERR_SESSION_OPTION for an entry that no browser sends as an Origin */
function originsOf(list: readonly string[], option: string): ReadonlySet<string> {
  if (!Array.isArray(list)) {
    throw optionError(`${option} must be an array of origins, like ['https://app.example.com'].`)
  }
  for (const entry of list as unknown[]) {
    const fault =
      typeof entry !== 'string' ? `an entry is ${kindOf(entry)}, not a text. ${example}` : faultOfExact(entry)
    if (fault !== undefined) throw optionError(`${option}: ${fault}`)
  }
  return new Set(list as string[])
}

const example = "Write an origin like 'https://app.example.com'."

function faultOfExact(entry: string): string | undefined {
  return entry.includes('*')
    ? `${JSON.stringify(entry)} is a pattern. ${example}`
    : faultOfOrigin(entry, example)
}

/** The path of an address, decoded once; `undefined` if that cannot be done. Some clients send the whole address (RFC 9112, section 3.2.2). */
function pathOf(url: string): string | undefined {
  const whole = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? ''
  const path = url.slice(whole.length).split(/[?#]/, 1)[0]!
  // A slash that is encoded divides no path: routers take `/a%2Fb` for one segment.
  if (/%2f|%5c/i.test(path)) return undefined
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/**
 * Whether an origin is the app's own: the scheme and the authority of the request itself. A proxy may end HTTPS in
 * front of an app that sees HTTP, and not the other way round.
 */
function isOwn({ host, secure }: CsrfRequest, origin: string, own: ReadonlySet<string>): boolean {
  if (own.has(origin)) return true
  if (host === undefined || host === '') return false
  if (origin.startsWith('https://')) return isAuthority(origin, 8, host, ':443')
  return !secure && origin.startsWith('http://') && isAuthority(origin, 7, host, ':80')
}

/** @param port that of the scheme, which origins leave out and a Host header may name */
function isAuthority(origin: string, start: number, host: string, port: string): boolean {
  const lower = host.toLowerCase()
  const length = lower.endsWith(port) ? lower.length - port.length : lower.length
  return length > 0 && origin.length === start + length && lower.startsWith(origin.slice(start))
}

function isOwnReferer(request: CsrfRequest, referer: string, own: ReadonlySet<string>): boolean {
  return URL.canParse(referer) && isOwn(request, new URL(referer).origin, own)
}
