import { parse } from 'tldts'

/**
 * Why hosts cannot share a cookie of this Domain, and what works instead; `undefined` if they can. Browsers keep such a
 * cookie for the host of that very name, or not at all. Otherwise strangers under one suffix could set cookies for each
 * other (RFC 6265bis, section 5.7).
 */
export function unsharedDomain(domain: string): string | undefined {
  const {
    isIp,
    publicSuffix,
    domain: registrable,
  } = parse(domain, {
    // Also suffixes of hosters, such as github.io: browsers know them too.
    allowPrivateDomains: true,
    validateHostname: false,
  })
  if (!isIp && registrable !== null) return undefined
  const what = isIp
    ? 'is an IP address, which has no subdomains'
    : domain.includes('.')
      ? 'is a public suffix, under which anybody may have a host'
      : 'is a single label'
  const instead =
    !isIp && domain.includes('.') && publicSuffix !== null
      ? `Name the domain below it that is yours, such as example.${publicSuffix}`
      : 'For several hosts in development, use names below my.localhost, which browsers find on this machine: domain "my.localhost" and http://app.my.localhost:3000'
  return `cookie.domain ${JSON.stringify(domain)} ${what}: no browser shares a cookie of it between hosts. ${instead}. For one host alone, leave domain out.`
}

/** Whether a browser that asked `host` keeps a cookie of this Domain (RFC 6265bis, section 5.1.3). */
export function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`)
}

const checked = new Set<string>()
const warned = new Set<string>()
/** The most domains that are checked. An app may make the domain of the request, which can name any host. */
const mostDomains = 100

/** Warns, once for each domain, that browsers do not share its cookie with other hosts. */
export function warnUnshared(domain: string): void {
  if (checked.has(domain) || checked.size === mostDomains) return
  checked.add(domain)
  const unshared = unsharedDomain(domain)
  if (unshared === undefined) return
  // One fault, one warning: do not also warn that requests come to hosts outside of the domain.
  warned.add(domain)
  process.emitWarning(unshared, { code: 'COATCHECK_COOKIE' })
}

/** Warns, once for each domain, that the browser drops the cookie that is being set. */
export function warnOutside(host: string, domain: string): void {
  if (warned.has(domain) || warned.size === mostDomains) return
  warned.add(domain)
  // Clients can send any Host, so show only what looks like one.
  const shown = /^[a-z0-9.:[\]-]{1,100}$/.test(host) ? JSON.stringify(host) : 'another host'
  process.emitWarning(
    `The browser drops the session cookie of this request: cookie.domain is ${JSON.stringify(domain)}, and the request came to ${shown}. Open the app at ${JSON.stringify(domain)} or at a host below it, or leave cookie.domain out. If a proxy in between changes the Host header, let it pass that on, or send X-Forwarded-Host.`,
    { code: 'COATCHECK_OUTSIDE_DOMAIN' },
  )
}
