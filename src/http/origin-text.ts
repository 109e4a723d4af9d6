import { parse } from 'tldts'

/** Enough for a scheme, a host name of 253 characters (RFC 1035) and a port. It stops a hostile header of 64 KiB. */
export const longestOrigin = 320

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

/** Whether a text has the form of an origin as browsers serialize it (RFC 6454, section 6.2). `null` does not. */
export function isSerializedOrigin(text: string): boolean {
  return text.length <= longestOrigin && serializedOrigin.test(text) && !defaultPort.test(text)
}

/**
 * The origin of an http or https address; `undefined` if it has none, or a host that is longer than any. Only the
 * beginning is parsed: a long host of percent-encoded characters would hold the event loop.
 */
export function originOfAddress(address: string): string | undefined {
  const beginning = /^https?:\/\/[^/?#\\]{1,320}(?=[/?#\\]|$)/i.exec(address)?.[0]
  return beginning === undefined ? undefined : URL.parse(beginning)?.origin
}

/** Whether an origin is unencrypted and not of this machine: others on the network could pose as it. */
export function isUnencrypted(origin: string): boolean {
  return origin.startsWith('http://') && !isLoopback(origin.slice(7).replace(/:\d+$/, ''))
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
  if (text.length > longestOrigin) return `an origin has at most ${longestOrigin} characters. ${example}`
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
export function canonicalOrigin(entry: string): string | undefined {
  // Not by canParse: that is true of hosts that are too long, and `new URL` throws then.
  const url = URL.parse(entry)
  if (url === null || url.hostname === '') return undefined
  const { protocol, host } = url
  // To browsers, a host with a final dot is another origin, and hardly ever the one that was meant.
  return `${protocol}//${host.replace(/\.(?=$|:)/, '')}`.toLowerCase()
}

/** Why no page to trust can have this origin; `undefined` if one can. */
function faultOf(origin: string): string | undefined {
  const scheme = origin.slice(0, origin.indexOf('/'))
  if (schemesWithoutPages.has(scheme)) return `is no origin that a page can have (${scheme})`
  if (!origin.includes('*')) return isSerializedOrigin(origin) ? undefined : 'is not an origin'
  const [, rest] = /^https?:\/\/\*{1,2}\.([^*]+)$/.exec(origin) ?? []
  if (rest === undefined) {
    return "has a wildcard elsewhere than as the whole first label of an http or https host ('https://*.example.com', or 'https://**.example.com' for any depth)"
  }
  if (!isSerializedOrigin(`https://${rest}`)) return 'is not an origin'
  return faultOfWildcardDomain(rest.replace(/:\d+$/, ''))
}

/** Why a wildcard below this domain would trust strangers; `undefined` if it does not. */
function faultOfWildcardDomain(domain: string): string | undefined {
  // Everything below localhost is this machine.
  if (domain === 'localhost') return undefined
  // Suffixes of hosters too, such as github.io: anybody may have a page below them.
  const { isIp, domain: registrable } = parse(domain, { allowPrivateDomains: true, validateHostname: false })
  if (isIp) return 'is not an origin'
  return registrable === null
    ? `would trust every site under the public suffix "${domain}", where anybody may have one`
    : undefined
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

/** A header's value as a message may show it: anybody can send anything. */
export function printable(value: string): string {
  return /^[\x21-\x7e ]{0,200}$/.test(value)
    ? `'${value.replaceAll("'", '')}'`
    : 'a value that cannot be shown'
}
