import { getDomain } from 'tldts'

/**
 * The domain that with the scheme makes a site, as browsers have it (HTML standard, "same site"): `example.co.uk` for
 * `a.b.example.co.uk`. `undefined` for an IP address, a single label, and a public suffix.
 */
export function registrableDomain(host: string): string | undefined {
  // Also suffixes of hosters, such as github.io: browsers know them too.
  return getDomain(host, { allowPrivateDomains: true, validateHostname: false }) ?? undefined
}

/** What two hosts of one site have in common: their registrable domain, or the host if it has none. */
export function siteOf(host: string): string {
  return registrableDomain(host) ?? host
}
