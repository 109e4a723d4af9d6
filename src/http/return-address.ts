import { originOfAddress } from './origin-text.js'

/**
 * An address that leads to this app or a trusted origin, as `URL` writes it; `undefined` for any other. Browsers take a
 * backslash for a slash and drop tabs and line feeds (URL standard), so the parsed address counts, not the text.
 */
export function safeAddress(address: unknown, trusts: (origin: string) => boolean): string | undefined {
  if (typeof address !== 'string' || address.length > longestAddress) return undefined
  // No URL needs these. A server or a proxy could read them otherwise than a browser.
  if (/[\0-\x20\x7f\\]/.test(address)) return undefined
  // A path needs a base. Its host exists nowhere (RFC 2606).
  const isPath = address.startsWith('/')
  if (!isPath && originOfAddress(address) === undefined) return undefined
  const url = URL.parse(address, isPath ? 'https://coatcheck.invalid' : undefined)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  if (!isPath) return trusts(url.origin) && /^https?:$/.test(url.protocol) ? url.href : undefined
  // `//evil.test` is an address of another host, and so is `/.//evil.test` once its dot is resolved.
  if (url.origin !== 'https://coatcheck.invalid' || url.pathname.startsWith('//')) return undefined
  return url.pathname + url.search + url.hash
}

/** Characters. Browsers and proxies take about 8,000 in an address. */
const longestAddress = 4_096
