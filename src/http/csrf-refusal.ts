import { SessionError } from '../core/errors.js'
import type { CsrfRequest, CsrfRule } from './csrf-request.js'
import { originOfAddress, printable } from './origin-text.js'
import { hasFunctions, howToTrust } from './site-advice.js'
import type { SitePolicy } from './sites.js'

/**
 * Why a request was refused and what to set, for developers. It shows headers of the request, so it is not for visitors.
 *
 * @param rule of a verdict that does not allow it
 * @param sites the trusted sites of the app
 */
export function explainRefusal(rule: CsrfRule, request: CsrfRequest, sites: SitePolicy): string {
  const { origin, secFetchSite, referer } = request
  const from = origin === undefined ? 'no Origin' : `the Origin ${printable(origin)}`
  switch (rule) {
    case 'badHeader':
      return `Its Sec-Fetch-Site is ${printable(secFetchSite ?? '')}, which no browser sends. Let proxies pass that header on as it came, once.`
    case 'noPageButOrigin':
      return `Its Sec-Fetch-Site is none, which says that no page sent it, but it has ${from}. ${toTrust(request, sites)}`
    case 'otherSite':
      return `Its Sec-Fetch-Site is ${secFetchSite}, so a page of another origin sent it, with ${from}. ${toTrust(request, sites)}`
    case 'otherOrigin':
      return `It has ${from}, and came to ${printable(request.host ?? 'no host')} by ${request.secure ? 'HTTPS' : 'HTTP'}. ${toTrust(request, sites)}`
    case 'otherReferer':
      return `It has no Origin, and its Referer is of another origin: ${printable(originOfAddress(referer ?? '') ?? 'no address')}. ${toTrust(request, sites)}`
    case 'withoutHeaders':
      return "It has none of the headers that browsers send, and csrf.withoutHeaders is 'deny'. Programs have to send an Origin: curl -H 'Origin: …'."
    default:
      return ''
  }
}

/** What to set if the request was no forgery. */
function toTrust({ origin, secFetchSite, url }: CsrfRequest, sites: SitePolicy): string {
  if (origin === 'null') {
    return secFetchSite === undefined
      ? 'A page that has Referrer-Policy: no-referrer, is sandboxed, or was redirected sends null. If it is your own, give it Referrer-Policy: same-origin. Never list null.'
      : 'A form that was redirected from another host sends null, and so does a page that is sandboxed or a file. Send your own forms to this very host; give your own sandboxed frames allow-same-origin. Never list null.'
  }
  if (origin === undefined) {
    return 'If the page is your own, give it Referrer-Policy: same-origin, so that browsers name its origin.'
  }
  const shown = printable(origin)
  if (sites.trusts(origin, url)) {
    return `A wildcard of sites matches it, and wildcards let pages read only. To let it change data, list it as it is too: sites: [${shown}]; or let all of sites do so: csrf: { allSites: true }.`
  }
  const byFunction = hasFunctions(sites)
    ? ' If a function of sites trusts it: functions let pages read only, unless you write csrf: { allSites: true }.'
    : ''
  // With Sec-Fetch-Site, the browser itself has compared the page with the app.
  const asOwn =
    secFetchSite === undefined || secFetchSite === 'none'
      ? ` If it is this app itself behind a proxy, have the proxy pass the Host header on, or write csrf: { own: [${shown}] }.`
      : ''
  return `${howToTrust(origin, url, sites)}${byFunction}${asOwn} If it is a provider that posts to one path, list it for that very path in csrf.accept.`
}

/** The error of a refused request. The words for developers are left out in production. */
export function forged(rule: CsrfRule, explain: () => string): SessionError {
  const why = process.env['NODE_ENV'] === 'production' ? '' : ` ${explain()} (rule: ${rule})`
  return withoutStack(
    () =>
      new SessionError(
        'ERR_SESSION_FORGED',
        `This request was refused, because a page of another site may have sent it in its visitor's name.${why}`,
        { status: 403 },
      ),
  )
}

/**
 * Makes an error without the lines of a stack. They would be the same for every refusal, and take longer than the check:
 * an attacker may cause any number of refusals.
 */
function withoutStack<Made>(make: () => Made): Made {
  const { stackTraceLimit } = Error
  // Not by assignment, which throws where Node runs with frozen intrinsics.
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}
