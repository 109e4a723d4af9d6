import { kindOf, optionError } from '../core/errors.js'

/**
 * The list of trusted origins, at `sessions.sites`. `cors(sessions)` and the check against forged requests read it. Use
 * it for your own checks too, so that all agree.
 * @example
 * if (!sessions.sites.trusts(req.get('origin'))) return res.sendStatus(403)
 */
export interface SitePolicy {
  /** The entries of the option `sites`, each once, in their order. */
  readonly origins: readonly string[]
  /**
   * Whether the value of an `Origin` header is a trusted origin. It must be written exactly as browsers send it (RFC
   * 6454, section 6.2). All else is not trusted: `undefined`, `'null'`, two origins in one header, a slash or a dot at
   * the end, a user name.
   */
  trusts(origin: string | undefined): boolean
  /** Whether the list names this very origin. Wildcards do not count, as in the check against forged requests. */
  lists(origin: string): boolean
}

interface Wildcard {
  /** `https://` */
  readonly prefix: string
  /** `.example.com` or `.example.com:8443` */
  readonly suffix: string
  /** The longest origin that can match: the prefix, a host name, and the port if there is one. */
  readonly longest: number
}

/** Enough for a scheme, a host name of 253 characters (RFC 1035) and a port. It stops a hostile header of 64 KiB. */
const longestOrigin = 320
const longestHost = 253
const longestLabel = 63

/** Schemes whose pages send `Origin: null`, or that serve no pages. */
const schemesWithoutPages = new Set([
  'file:',
  'data:',
  'blob:',
  'about:',
  'javascript:',
  'ftp:',
  'ws:',
  'wss:',
])

// No two neighbouring parts can match the same character, so it never backtracks.
const serializedOrigin =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/

const defaultPort = /^(?:http:.*:80|https:.*:443)$/

/** Whether a text has the form of an origin as browsers serialize it. `null` does not. */
function isSerializedOrigin(text: string): boolean {
  return text.length <= longestOrigin && serializedOrigin.test(text) && !defaultPort.test(text)
}

/**
 * Reads a list of trusted origins. An entry is one of these:
 *
 * - An exact origin, as browsers write it: `'https://app.example.com'`, `'http://shop.demo.localhost:4002'`.
 * - An origin whose first label is a wildcard: `'https://*.example.com'` is every subdomain at any depth, with that
 *   scheme and port, and not `https://example.com` itself.
 *
 * `http:` is accepted for this machine only, as in `http://app.localhost:3000`. Elsewhere, others on the network could
 * pose as the site.
 *
 * A wildcard trusts everybody who can put a page on one of the subdomains. Do not use one on a domain that is open to
 * the public, such as `co.uk`: its name does not show that, so it is not refused.
 *
 * @param list the entries
 * @param option the name of the list in messages
 * @throws ERR_SESSION_OPTION for any other entry. The message names it, and what to write instead
 *
 * @example
 * const sites = resolveSites(['https://example.com', 'https://*.example.com'])
 * sites.trusts('https://shop.example.com') // true
 * sites.trusts('https://example.com.evil.test') // false
 */
export function resolveSites(list: readonly string[], option = 'sites'): SitePolicy {
  if (!Array.isArray(list)) {
    throw optionError(`${option} must be an array of origins, like ['https://app.example.com'].`)
  }
  const exact = new Set<string>()
  const wildcards: Wildcard[] = []
  for (const entry of new Set<unknown>(list)) {
    const origin = checkedEntry(entry, option)
    const star = origin.indexOf('*')
    if (star === -1) exact.add(origin)
    else wildcards.push(wildcardOf(origin.slice(0, star), origin.slice(star + 1)))
  }

  return Object.freeze({
    origins: Object.freeze([...new Set(list)]),
    trusts(origin: string | undefined): boolean {
      if (typeof origin !== 'string' || origin.length > longestOrigin) return false
      return exact.has(origin) || wildcards.some((wildcard) => isSubdomain(origin, wildcard))
    },
    lists: (origin: string) => exact.has(origin),
  })
}

function wildcardOf(prefix: string, suffix: string): Wildcard {
  const port = /:\d+$/.exec(suffix)?.[0] ?? ''
  return { prefix, suffix, longest: prefix.length + longestHost + port.length }
}

function isSubdomain(origin: string, { prefix, suffix, longest }: Wildcard): boolean {
  return (
    origin.length <= longest &&
    origin.startsWith(prefix) &&
    origin.endsWith(suffix) &&
    areLabels(origin, prefix.length, origin.length - suffix.length)
  )
}

/** Whether `text` from `start` to `end` is one or more lower-case host labels, separated by dots. */
function areLabels(text: string, start: number, end: number): boolean {
  let labelStart = start
  for (let at = start; at <= end; at++) {
    const code = at === end ? dot : text.charCodeAt(at)
    if (code === dot) {
      const length = at - labelStart
      if (length < 1 || length > longestLabel) return false
      labelStart = at + 1
    } else if (!isLabelCode(code)) {
      return false
    }
  }
  return true
}

const dot = 0x2e

function isLabelCode(code: number): boolean {
  const isLetter = code >= 0x61 && code <= 0x7a
  const isDigit = code >= 0x30 && code <= 0x39
  const isHyphen = code === 0x2d
  // RFC 1123 does not allow it in host names, but browsers load such subdomains.
  const isUnderscore = code === 0x5f
  return isLetter || isDigit || isHyphen || isUnderscore
}

/** Returns a valid entry. Throws ERR_SESSION_OPTION, which says what to write, for any other. */
function checkedEntry(entry: unknown, option: string): string {
  const fault = faultOfSite(entry)
  if (fault !== undefined) throw optionError(`${option}: ${fault}`)
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
  const host = canonical?.replace(/^http:\/\/|:\d+$/g, '')
  if (canonical?.startsWith('http:') && !isLoopback(host!)) {
    return `${JSON.stringify(entry)} is not encrypted: others on the network can pose as it. Write '${canonical.replace('http:', 'https:')}'.`
  }
  return faultOfOrigin(entry, example)
}

/** Whether a host is always this machine. */
export function isLoopback(host: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(host)
}

/**
 * Why no browser sends this text as an `Origin`, and what to write instead; `undefined` if a browser may send it.
 *
 * @param example the advice for a text that cannot be corrected
 */
export function faultOfOrigin(text: string, example: string): string | undefined {
  const refused = (why: string, cure: string) => `${JSON.stringify(text)} ${why}. ${cure}`
  if (text.includes(',')) return refused('has a comma', 'Write each origin as an entry of its own.')
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const canonical = canonicalOrigin(hasScheme ? text : `${schemeFor(text)}://${text}`)
  const fault = canonical === undefined ? 'is not an origin' : faultOf(canonical)
  if (!hasScheme) return refused('has no scheme', fault ? example : `Write '${canonical}'.`)
  if (fault) return refused(fault, example)
  if (text === canonical) return undefined
  return refused(differenceFrom(canonical ?? '', text), `Write '${canonical}'.`)
}

/** Of a host without a scheme, with or without a port: this machine's apps are mostly without HTTPS. */
function schemeFor(host: string): string {
  return isLoopback(host.replace(/:\d+$/, '')) ? 'http' : 'https'
}

/** The origin that a browser sends for this address, with its wildcards; `undefined` if it is no address. */
function canonicalOrigin(entry: string): string | undefined {
  if (!URL.canParse(entry)) return undefined
  const { protocol, host, hostname } = new URL(entry)
  if (hostname === '') return undefined
  // To browsers, a host with a final dot is another origin, and hardly ever the one that was meant.
  return `${protocol}//${host.replace(/\.(?=$|:)/, '')}`.toLowerCase()
}

/** Why no page to trust can have this origin; `undefined` if one can. */
function faultOf(origin: string): string | undefined {
  const scheme = origin.slice(0, origin.indexOf('/'))
  if (schemesWithoutPages.has(scheme)) return `is no origin that a page can have (${scheme})`
  if (!origin.includes('*')) return isSerializedOrigin(origin) ? undefined : 'is not an origin'
  const [, rest] = /^https?:\/\/\*\.([^*]+)$/.exec(origin) ?? []
  if (rest === undefined) {
    return "has a wildcard elsewhere than as the whole first label of an http or https host ('https://*.example.com')"
  }
  if (!isSerializedOrigin(`https://${rest}`)) return 'is not an origin'
  const domain = rest.replace(/:\d+$/, '')
  // Everything below localhost is this machine. Any other single label is a public registry.
  if (!domain.includes('.') && domain !== 'localhost') {
    return `would trust every site under the top-level domain "${domain}"`
  }
  return undefined
}

/** How `entry` differs from the origin that browsers send for it. */
function differenceFrom(canonical: string, entry: string): string {
  const [, authority = '', rest = ''] = /^[^:]+:\/\/([^/?#\\]*)(.*)$/s.exec(entry) ?? []
  if (rest === '/') return 'ends in a slash, which no browser sends'
  if (rest !== '') return 'has a path, and an origin has none'
  if (authority.includes('@')) return 'has a user name, and an origin has none'
  if (/[^\x20-\x7e]/.test(authority)) return 'has characters other than the ASCII that browsers send'
  if (entry.toLowerCase() === canonical) return 'has upper-case letters, and browsers send lower case'
  if (/\.(?:$|:)/.test(authority)) return 'has a dot after its host name'
  if (/:\d*$/.test(authority) && !/:\d+$/.test(canonical)) {
    return 'names the port that its scheme has anyway, and browsers leave that out'
  }
  return 'is not written as browsers send it'
}
