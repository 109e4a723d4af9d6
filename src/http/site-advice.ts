import { faultOfOrigin, isUnencrypted, printable } from './origin-text.js'
import { resolveSites, type SitePolicy } from './sites.js'

/**
 * What to set so that `sites` trusts an origin that it does not trust for this request; for developers. It shows the
 * origin.
 *
 * @param url the address that was asked
 */
export function howToTrust(origin: string, url: string, sites: SitePolicy): string {
  const shown = printable(origin)
  if (isUnencrypted(origin)) {
    return 'sites takes no http: origin of another machine, because others on the network can pose as it. Serve that page by HTTPS.'
  }
  const fault = faultOfOrigin(origin, '')
  if (fault !== undefined) {
    const why = shown.startsWith("'") ? ` ${fault}` : ''
    return `sites can list no such origin.${why} Give the page one that browsers send: serve it from an https: address.`
  }
  if (isNamedForPaths(origin, sites)) {
    const [path = ''] = url.split(/[?#]/, 1)
    return `sites trusts it for other paths only. If it may call this one, add ${printable(path)} to its paths.`
  }
  return `If that is a site of yours, list it: sites: [${shown}].`
}

/** Whether a list has a function, which may trust any origin. */
export function hasFunctions({ entries }: SitePolicy): boolean {
  return entries.some((entry) => typeof entry === 'function')
}

function isNamedForPaths(origin: string, { entries }: SitePolicy): boolean {
  const named = entries.flatMap((entry) => (typeof entry === 'object' ? entry.origin : []))
  return resolveSites(named).trusts(origin)
}
