import { isPromise } from 'node:util/types'
import { isError, kindOf, optionError, refuseUnknownOptions, shown } from '../core/errors.js'
import { explainRefusal, forged } from './csrf-refusal.js'
import type { CsrfReason, CsrfRequest, CsrfRule, CsrfVerdict } from './csrf-request.js'
import { faultOfOrigin, originOfAddress } from './origin-text.js'
import { pathOf } from './request-path.js'
import type { SitePolicy } from './sites.js'

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
   * Whether all of `sites` may change data in a visitor's name: those too that a wildcard matches, or a function trusts.
   * Then you trust each of these hosts with all that your visitors may do.
   * @default false
   */
  readonly allSites?: boolean | undefined
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
  /**
   * Makes the error of a refused request, for example one with words of your own. It gets to `next(error)` in place of
   * `ERR_SESSION_FORGED`. If the function returns `undefined`, that error stays. The request is refused in any case, also
   * if the function throws: then with what it threw. With `report`, it is not called.
   * @example
   * csrf: { deny: (request, { rule }) => Object.assign(new Error(`Please reload the page (${rule})`), { status: 403 }) }
   */
  readonly deny?: ((request: CsrfRequest, reason: CsrfReason) => Error | undefined) | undefined
}

/** The names of `CsrfOptions`. */
export const csrfOptionNames = ['accept', 'own', 'allSites', 'withoutHeaders', 'report', 'deny'] as const

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

/** What a verdict becomes if `sites` trusts the origin after all, by a wildcard or a function. */
const ifTrusted: ReadonlyMap<CsrfVerdict, CsrfVerdict> = new Map([
  [noPageButOrigin, noPage],
  [otherSite, trustedSite],
  [otherOrigin, trustedOrigin],
])

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a method is to change nothing (RFC 9110, section 9.2.1). */
export function isSafeMethod(method: string): boolean {
  return safeMethods.has(method)
}

/** The check against forged requests, by the app's own list of sites. At `sessions.csrf`. */
export class CsrfPolicy {
  readonly reportsOnly: boolean
  /** Whether `accept` lets pages post that may not change data elsewhere. */
  readonly acceptsStrangers: boolean
  readonly #sites: SitePolicy
  readonly #deny: CsrfOptions['deny']
  readonly #accepted: ReadonlyMap<string, ReadonlySet<string> | '*'>
  readonly #own: ReadonlySet<string>
  readonly #allSites: boolean
  readonly #deniesWithoutHeaders: boolean

  /** @throws ERR_SESSION_OPTION if an option is unknown or malformed */
  constructor(options: CsrfOptions, sites: SitePolicy) {
    if ((options as unknown) === true) {
      throw optionError(
        'csrf: true is not needed: the check is on unless you write csrf: false. Leave csrf out.',
      )
    }
    refuseUnknownOptions('csrf', options, csrfOptionNames)
    const { withoutHeaders = 'allow', allSites, report, deny } = options
    if (withoutHeaders !== 'allow' && withoutHeaders !== 'deny') {
      throw optionError(`csrf.withoutHeaders must be 'allow' or 'deny', not ${shown(withoutHeaders)}.`)
    }
    for (const [name, value] of Object.entries({ allSites, report })) {
      if (value !== undefined && typeof value !== 'boolean')
        throw optionError(`csrf.${name} must be true or false, not ${shown(value)}.`)
    }
    if (deny !== undefined && typeof deny !== 'function') {
      throw optionError(
        `csrf.deny must be a function of a request that returns an error, not ${kindOf(deny)}.`,
      )
    }
    this.reportsOnly = report === true
    this.#deny = deny
    this.#sites = sites
    this.#accepted = resolveAccepted(options.accept ?? {})
    this.acceptsStrangers = [...this.#accepted.values()].some(
      (origins) => origins === '*' || [...origins].some((origin) => !sites.lists(origin)),
    )
    this.#own = originsOf(options.own ?? [], 'csrf.own')
    this.#allSites = allSites === true
    this.#deniesWithoutHeaders = withoutHeaders === 'deny'
  }

  /**
   * Says whether a request may go on, and which rule decided. The first rule that holds does. It returns a promise only
   * if a function of `sites` has to be asked, which `csrf: { allSites: true }` allows.
   * @throws (rejects) what that function throws. Then do not let the request go on
   */
  judge(request: CsrfRequest): CsrfVerdict | Promise<CsrfVerdict> {
    const verdict = this.#judgeByList(request)
    const trusted = this.#allSites ? ifTrusted.get(verdict) : undefined
    if (trusted === undefined) return verdict
    const asked = this.#sites.ask(request.origin, request)
    if (typeof asked === 'boolean') return asked ? trusted : verdict
    return asked.then((isTrusted) => (isTrusted ? trusted : verdict))
  }

  /**
   * What a refused request had, and what to set if it was no forgery, for developers: it shows headers of the request.
   *
   * @param rule of a verdict that does not allow it
   */
  explain(request: CsrfRequest, rule: CsrfRule): string {
    return explainRefusal(rule, request, this.#sites)
  }

  /**
   * The error that the app gets for a refused request.
   *
   * @param rule of a verdict that does not allow it
   */
  refusal(request: CsrfRequest, rule: CsrfRule): Error {
    const standard = (): Error => forged(rule, () => this.explain(request, rule))
    if (this.#deny === undefined) return standard()
    try {
      const error: unknown = this.#deny(request, { rule, explanation: this.explain(request, rule) })
      if (error === undefined || isError(error)) return error ?? standard()
      // What a promise is rejected with must not end the process.
      if (isPromise(error)) error.catch(() => undefined)
      return optionError(`csrf.deny returned ${kindOf(error)}. It must return an Error, or undefined.`)
    } catch (thrown) {
      return isError(thrown) ? thrown : standard()
    }
  }

  #judgeByList(request: CsrfRequest): CsrfVerdict {
    if (isSafeMethod(request.method) && !request.isUpgrade) return safeMethod
    if (this.#accepted.size > 0 && this.#isAccepted(request)) return acceptedPath
    const { origin, url } = request
    switch (request.secFetchSite) {
      case 'same-origin':
        return sameOrigin
      case 'none':
        return origin === undefined || isOwn(request, origin, this.#own) || this.#sites.lists(origin, url)
          ? noPage
          : noPageButOrigin
      case 'same-site':
      case 'cross-site':
        return origin !== undefined && this.#sites.lists(origin, url) ? trustedSite : otherSite
      case undefined:
        return this.#judgeByOrigin(request)
      default:
        return badHeader
    }
  }

  #judgeByOrigin(request: CsrfRequest): CsrfVerdict {
    const { origin, referer, url } = request
    if (origin !== undefined) {
      if (isOwn(request, origin, this.#own)) return ownOrigin
      return this.#sites.lists(origin, url) ? trustedOrigin : otherOrigin
    }
    if (referer !== undefined && !isOwnReferer(request, referer, this.#own)) return otherReferer
    return this.#deniesWithoutHeaders ? deniedWithoutHeaders : passedWithoutHeaders
  }

  #isAccepted({ url, origin }: CsrfRequest): boolean {
    const accepted = this.#accepted.get(pathOf(url) ?? '')
    if (accepted === undefined) return false
    return accepted === '*' || (origin !== undefined && accepted.has(origin))
  }
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
    if (pathOf(path) !== path || !path.startsWith('/') || path.includes('*')) {
      throw optionError(
        `csrf.accept: ${JSON.stringify(path)} is not a path as it is compared: it begins with a slash, and has no query, no percent-encoding and no wildcard. List each path.`,
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
  const origin = originOfAddress(referer)
  return origin !== undefined && isOwn(request, origin, own)
}
