import { isError, kindOf, optionError, refuseUnknownOptions } from '../core/errors.js'
import {
  canonicalOrigin,
  faultOfOrigin,
  isSerializedOrigin,
  isUnencrypted,
  longestOrigin,
} from './origin-text.js'
import { OriginList } from './origin-list.js'
import { faultOfPathRule, PathRules, pathOf } from './request-path.js'
import { safeAddress } from './return-address.js'

/**
 * A trusted origin, or a rule for several:
 *
 * - `'https://app.example.com'`: that very origin, as browsers write it (RFC 6454, section 6.2).
 * - `'https://*.example.com'`: every host one label below, such as `https://shop.example.com`, with that scheme and port.
 *   `'https://**.example.com'`: every host below, at any depth. Neither is `https://example.com` itself.
 * - `{ origin, paths }`: one of these, for some paths only.
 * - A function that decides.
 */
export type TrustedSite = string | SiteForPaths | SiteFunction

/** An origin that is trusted for some paths of the app only. */
export interface SiteForPaths {
  /** An origin or a wildcard, as in a list of sites. */
  readonly origin: string
  /**
   * The paths, compared after they were decoded once. `'/api/*'` is every path below `/api/`, and not `/api` itself. All
   * others are that very path. A path with `..`, `//` or an encoded slash is below none.
   */
  readonly paths: readonly string[]
}

/** The request that a `SiteFunction` decides about. */
export interface SiteRequest {
  /** The method. For a preflight, the one that it asks for. */
  readonly method: string
  /** The path without the query, decoded once. */
  readonly path: string
  /** The `Host` header, or `:authority` of HTTP/2. It is the client's own word. */
  readonly host: string | undefined
}

/**
 * Decides whether an origin is trusted, at once or by a promise. It is asked about origins that no other site of the
 * list names. They have the form that browsers send, and are `https:`, of this machine, or of an app's own scheme: never
 * `null`. What it throws, or its rejection, goes to `next(error)`.
 * @example
 * sites: ['https://app.example.com', async (origin) => (await tenants.find({ origin })) !== null]
 */
export type SiteFunction = (origin: string, request: SiteRequest) => boolean | Promise<boolean>

/**
 * The list of trusted origins, at `sessions.sites`. `cors(sessions)` and the check against forged requests read it. Use
 * it for your own checks too, so that all agree.
 * @example
 * if (!sessions.sites.trusts(req.get('origin'))) return res.sendStatus(403)
 */
export interface SitePolicy {
  /** The entries of the option `sites`, each once, in their order. */
  readonly entries: readonly TrustedSite[]
  /**
   * Whether the value of an `Origin` header is a trusted origin. It must be written exactly as browsers send it (RFC
   * 6454, section 6.2). All else is not trusted: `undefined`, `'null'`, two origins in one header, a slash or a dot at
   * the end, a user name. Functions of the list are not asked.
   *
   * @param url the address of the request, for entries with `paths`. Without it, they do not count
   */
  trusts(origin: string | undefined, url?: string): boolean
  /** Whether the list names this very origin. Wildcards do not count, as in the check against forged requests. */
  lists(origin: string, url?: string): boolean
  /**
   * Whether the list or one of its functions trusts an origin. It returns a promise only if a function is asked, and then
   * rejects with what that throws. Always `await` it: a promise is truthy.
   */
  ask(origin: string | undefined, request: AskedRequest): boolean | Promise<boolean>
  /**
   * A safe address to send the visitor back to, such as `req.query.returnTo`: a path of this app, or an address of a
   * trusted origin. Anything else could lead to an attacker's page, and becomes `fallback`.
   *
   * @param address what the client sent
   * @param fallback where to send the visitor instead. Default: `'/'`
   * @returns the address as `URL` writes it: put it into a `Location` header as it is
   * @example
   * res.redirect(sessions.sites.returnAddress(req.query.returnTo, '/account'))
   */
  returnAddress(address: unknown, fallback?: string): string
}

/** A request, as `SitePolicy.ask` takes it. */
export interface AskedRequest {
  /** The method. For a preflight, the one that it asks for. */
  readonly method: string
  /** The address that was asked, with or without a query. */
  readonly url: string
  /** The `Host` header, or `:authority` of HTTP/2. */
  readonly host: string | undefined
}

/**
 * Reads a list of trusted origins.
 *
 * `http:` is accepted for this machine only, as in `http://app.localhost:3000`. Elsewhere, others on the network could
 * pose as the site. A wildcard below a public suffix, such as `co.uk` or `github.io`, is refused: anybody may have a
 * page there.
 *
 * @param list the entries, or one function
 * @throws ERR_SESSION_OPTION for any other entry. The message names it, and what to write instead
 *
 * @example
 * const sites = resolveSites(['https://example.com', 'https://*.example.com'])
 * sites.trusts('https://shop.example.com') // true
 * sites.trusts('https://example.com.evil.test') // false
 */
export function resolveSites(list: readonly TrustedSite[] | SiteFunction): SitePolicy {
  const given: readonly TrustedSite[] = typeof list === 'function' ? [list] : list
  if (!Array.isArray(given)) {
    throw optionError(
      "sites must be an array of origins, like ['https://app.example.com'], or a function of an origin.",
    )
  }
  const everywhere = new OriginList()
  const groups: OriginList[] = [everywhere]
  const functions: SiteFunction[] = []
  for (const entry of new Set(given)) {
    if (typeof entry === 'function') functions.push(entry)
    else if (isSiteForPaths(entry)) groups.push(originsForPaths(entry))
    else everywhere.add(checkedEntry(entry))
  }

  const trusts = (origin: string | undefined, url?: string): boolean =>
    typeof origin === 'string' &&
    origin.length <= longestOrigin &&
    groups.some((group) => group.trusts(origin, url))

  return Object.freeze({
    entries: Object.freeze([...new Set(given)]),
    trusts,
    lists: (origin: string, url?: string) => groups.some((group) => group.lists(origin, url)),
    ask(origin: string | undefined, request: AskedRequest): boolean | Promise<boolean> {
      if (trusts(origin, request.url)) return true
      if (functions.length === 0 || !mayBeAsked(origin)) return false
      const path = pathOf(request.url)
      // What has no single meaning as a path is not for a function to compare.
      return path !== undefined && askFunctions(functions, origin, { ...request, path })
    },
    returnAddress(address: unknown, fallback = '/'): string {
      return safeAddress(address, (origin) => trusts(origin)) ?? fallback
    },
  })
}

function mayBeAsked(origin: string | undefined): origin is string {
  return (
    typeof origin === 'string' &&
    isSerializedOrigin(origin) &&
    faultOfOrigin(origin, '') === undefined &&
    !isUnencrypted(origin)
  )
}

async function askFunctions(
  functions: readonly SiteFunction[],
  origin: string,
  { method, path, host }: SiteRequest,
): Promise<boolean> {
  for (const decide of functions) {
    const decision = await answerOf(decide, origin, Object.freeze({ method, path, host }))
    if (typeof decision !== 'boolean') {
      throw optionError(
        `A function of sites returned ${kindOf(decision)}. It must return true or false, or a promise of that.`,
      )
    }
    if (decision) return true
  }
  return false
}

async function answerOf(decide: SiteFunction, origin: string, request: SiteRequest): Promise<unknown> {
  try {
    return await decide(origin, request)
  } catch (error) {
    if (isError(error)) throw error
    // Frameworks would take `undefined` or 'route' for a wish to go on.
    throw optionError(`A function of sites failed with ${kindOf(error)}, which is no Error.`)
  }
}

function isSiteForPaths(entry: unknown): entry is SiteForPaths {
  return Object.prototype.toString.call(entry) === '[object Object]'
}

function originsForPaths(entry: SiteForPaths): OriginList {
  refuseUnknownOptions('An entry of sites', entry, ['origin', 'paths'])
  const { origin, paths } = entry
  if (!Array.isArray(paths) || paths.length === 0) {
    throw optionError(
      "sites: paths must be an array of paths, like { origin: 'https://…', paths: ['/api/*'] }.",
    )
  }
  for (const path of paths as unknown[]) {
    const fault = faultOfPathRule(path)
    if (fault !== undefined) throw optionError(`sites: ${fault}.`)
  }
  return new OriginList(new PathRules(paths as string[])).add(checkedEntry(origin))
}

/** Returns a valid entry. Throws ERR_SESSION_OPTION, which says what to write, for any other. */
function checkedEntry(entry: unknown): string {
  const fault = faultOfSite(entry)
  if (fault !== undefined) throw optionError(`sites: ${fault}`)
  return entry as string
}

const example = "Write an origin like 'https://app.example.com' or 'https://*.example.com'."

/** Why an entry cannot be trusted, and what to write instead; `undefined` if it can. */
function faultOfSite(entry: unknown): string | undefined {
  if (typeof entry !== 'string') return `an entry is ${kindOf(entry)}, not a text. ${example}`
  if (entry === '*') return `"*" would trust every site there is. List those that you trust. ${example}`
  if (entry === 'null') {
    return `"null" is what sandboxed frames and local files of anybody send. Leave it out. ${example}`
  }
  const canonical = canonicalOrigin(entry)
  if (canonical !== undefined && isUnencrypted(canonical)) {
    return `${JSON.stringify(entry)} is not encrypted: others on the network can pose as it. Write '${canonical.replace('http:', 'https:')}'.`
  }
  return faultOfOrigin(entry, example)
}
