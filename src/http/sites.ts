import { kindOf, optionError } from '../core/errors.js'

/**
 * The one list of trusted origins. CORS, checks against forged requests, cookies and hand-off all
 * read this one, so that no two of them can disagree.
 */
export interface SitePolicy {
  /** The entries as they were given, each once, in their order. */
  readonly origins: readonly string[]
  /**
   * Whether the value of an `Origin` header names a trusted origin. Everything that is not exactly
   * the serialization that browsers send (RFC 6454 section 6.2, Fetch, 'Origin header') is not trusted:
   * `undefined`, `null`, two origins in one header, a trailing slash or dot, user information.
   */
  trusts(origin: string | undefined): boolean
}

interface Wildcard {
  /** `https://` */
  readonly prefix: string
  /** `.example.com` or `.example.com:8443` */
  readonly suffix: string
  /** What an origin can have at most: the prefix, a host name, and the port if there is one. */
  readonly longest: number
}

/** A scheme, a host name of 253 characters (RFC 1035) and a port fit well; a hostile 64 KiB does not. */
const longestOrigin = 320
const longestHost = 253
const longestLabel = 63

/** Schemes whose pages send `Origin: null`, or that no page is ever served from. */
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

// No two neighbouring parts of this can match the same character, so it cannot backtrack.
const serializedOrigin =
  /^[a-z][a-z0-9+.-]*:\/\/(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/

const defaultPort = /^(?:http:.*:80|https:.*:443)$/

/** Whether the text has the form of one origin as browsers serialize it. `null` has not. */
function isSerializedOrigin(text: string): boolean {
  return text.length <= longestOrigin && serializedOrigin.test(text) && !defaultPort.test(text)
}

/**
 * Reads a list of trusted origins. An entry is
 *
 * - an exact origin, as browsers write it: `'https://app.example.com'`, `'http://shop.demo.localhost:4002'`
 * - or one with a leading wildcard label: `'https://*.example.com'` is every subdomain at any depth
 *   on that scheme and port, and not `https://example.com` itself.
 *
 * `http:` is taken for this machine alone, as in `http://app.localhost:3000`: elsewhere, others on the network can pose as the site.
 *
 * A wildcard trusts whoever can put a page on any of those subdomains. Whether a domain such as
 * `co.uk` is open to the public cannot be seen from its name, so do not put a wildcard on one.
 *
 * @param list the entries
 * @param option what to call the list in messages
 * @throws SessionError `ERR_SESSION_OPTION` for any other entry, naming it and what to write instead
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

/** Whether `text` from `start` to `end` is one or more lower-case host labels with a dot between each two. */
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
  // Not a host name by RFC 1123, yet browsers load and serialize such subdomains.
  const isUnderscore = code === 0x5f
  return isLetter || isDigit || isHyphen || isUnderscore
}

/** Gives the entry back if it is one, or throws the error that says how to write it. */
function checkedEntry(entry: unknown, option: string): string {
  const fault = faultOfSite(entry)
  if (fault !== undefined) throw optionError(`${option}: ${fault}`)
  return entry as string
}

const example = "Write an origin like 'https://app.example.com' or 'https://*.example.com'."

/** Why the entry cannot be trusted, and what to write instead; `undefined` if it can. */
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

/** Whether the host is always this very machine. */
export function isLoopback(host: string): boolean {
  return /^(?:(?:.+\.)?localhost|127(?:\.\d+){3}|\[::1\])$/.test(host)
}

/**
 * Why no browser sends this text as an `Origin`, and what to write instead; `undefined` if one may.
 *
 * @param example what to write if nothing can be made of the text
 */
export function faultOfOrigin(text: string, example: string): string | undefined {
  const refused = (why: string, cure: string) => `${JSON.stringify(text)} ${why}. ${cure}`
  if (text.includes(',')) return refused('has a comma', 'Write each origin as an entry of its own.')
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  const canonical = canonicalOrigin(hasScheme ? text : `https://${text}`)
  const fault = canonical === undefined ? 'is not an origin' : faultOf(canonical)
  if (!hasScheme) return refused('has no scheme', fault ? example : `Write '${canonical}'.`)
  if (fault) return refused(fault, example)
  if (text === canonical) return undefined
  return refused(differenceFrom(canonical ?? '', text), `Write '${canonical}'.`)
}

/** The origin that a browser at this address sends, wildcards and all; `undefined` if it is no address. */
function canonicalOrigin(entry: string): string | undefined {
  if (!URL.canParse(entry)) return undefined
  const { protocol, host, hostname } = new URL(entry)
  if (hostname === '') return undefined
  // A name with a final dot is another origin to browsers, and hardly ever the one that was meant.
  return `${protocol}//${host.replace(/\.(?=$|:)/, '')}`.toLowerCase()
}

/** Why no page that is worth trusting has this origin, however it is written; `undefined` if one may have. */
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
  // All of localhost is this machine; any other single label is a public registry.
  if (!domain.includes('.') && domain !== 'localhost') {
    return `would trust every site under the top-level domain "${domain}"`
  }
  return undefined
}

/** Says what makes `entry` another text than the origin that browsers send for it. */
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
