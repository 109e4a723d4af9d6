import { optionError } from '../core/errors.js'
import { RecentValues } from '../core/recent-values.js'
import { registrableDomain, siteOf } from './registrable-domain.js'

/** What decides about a cookie's SameSite beside its own attributes. */
export interface SameSiteFacts {
  /** The origins and wildcards of the option `sites`. */
  readonly origins: readonly string[]
  /**
   * The check against forged requests: it refuses them; refuses them but where `csrf.accept` lets a stranger post; only
   * reports them; or is off.
   */
  readonly check: 'refuses' | 'accepts' | 'reports' | 'off'
  /** Whether pages of other sites may send the token in a header in place of the cookie. */
  readonly byHeader: boolean
}

/** The attributes of a cookie that go with SameSite, as `CookieOptions` has them. */
interface SameSiteAttributes {
  readonly sameSite?: string | undefined
  readonly domain?: string | undefined
}

/** The longest host name (RFC 1035). */
const longestHost = 253

/**
 * The `SameSite` of a session cookie whose option says `'auto'`: `'none'` if pages of another site are to call with the
 * cookie, else `'lax'`.
 *
 * With `SameSite=None`, only the check against forged requests protects the session, and browsers take such a cookie
 * only if it is Secure. A host without a registrable domain, such as an IP address, always has `'lax'`: behind a proxy
 * that replaces the Host header, nobody can tell what the browser asked.
 *
 * @param host of the request, or the cookie's Domain; in lower case and without the port
 * @param isSecure whether the request came by HTTPS and the cookie is Secure
 */
export function derivedSameSite(
  { origins, check }: Pick<SameSiteFacts, 'origins' | 'check'>,
  host: string | undefined,
  isSecure: boolean,
): 'lax' | 'none' {
  if (!isSecure || check !== 'refuses' || host === undefined || host.length > longestHost) return 'lax'
  const domain = registrableDomain(host)
  if (domain === undefined) return 'lax'
  return sitesOf(origins).some((site) => site !== domain) ? 'none' : 'lax'
}

/** The sites of the https origins in the list, each once: by their registrable domains, or hosts without one. */
function sitesOf(origins: readonly string[]): string[] {
  const hosts = origins
    .filter((origin) => origin.startsWith('https://'))
    .map((origin) => origin.slice('https://'.length).replace(/:\d+$/, ''))
  return [...new Set(hosts.map((host) => siteOf(host.replace(/^\*+\./, ''))))]
}

/** The rules for SameSite of an app. */
export class SameSiteRules {
  readonly #facts: SameSiteFacts
  readonly #derived = new RecentValues<'lax' | 'none'>()

  constructor(facts: SameSiteFacts) {
    this.#facts = facts
  }

  /** As `derivedSameSite`; remembered for each host. */
  derive(host: string | undefined, isSecure: boolean): 'lax' | 'none' {
    if (!isSecure || host === undefined || host.length > longestHost) return 'lax'
    const known = this.#derived.get(host)
    if (known !== undefined) return known
    const derived = derivedSameSite(this.#facts, host, isSecure)
    this.#derived.set(host, derived)
    return derived
  }

  /** @throws ERR_SESSION_OPTION if the attributes contradict the sites, or leave the session without protection */
  refuseContradictions({ sameSite, domain }: SameSiteAttributes): void {
    const { origins, check, byHeader } = this.#facts
    if (sameSite === 'none' && check === 'off') {
      throw optionError(
        "cookie.sameSite 'none' with csrf: false lets every page there is act in a visitor's name: leave csrf out. If other middleware of yours checks for forged requests, csrf: { report: true } reports beside it and refuses nothing.",
      )
    }
    if (sameSite !== 'strict' || byHeader) return
    const sites = sitesOf(origins)
    const own = domain === undefined ? sites[0] : registrableDomain(domain)
    const other = sites.find((site) => site !== own)
    if (other === undefined) return
    throw optionError(
      `cookie.sameSite 'strict' keeps the cookie from all pages of other sites, and sites lists ${JSON.stringify(other)}${domain === undefined ? ` and ${JSON.stringify(own)}, which are two sites` : `, which is another site than cookie.domain`}. Leave cookie.sameSite out, so that pages of sites can use the session, or take the other site out of sites.`,
    )
  }
}
