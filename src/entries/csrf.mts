/**
 * The check against forged requests by itself: for apps on `session(options)`, and for WebSockets.
 *
 * @module coatcheck/csrf
 */

export {
  csrf as default,
  type CsrfMiddleware,
  type CsrfMiddlewareOptions,
} from '../adapters/csrf-middleware.js'
export type { CsrfOptions } from '../http/csrf.js'
export type { CsrfReason, CsrfRequest, CsrfRule } from '../http/csrf-request.js'
export type { SiteForPaths, SiteFunction, SiteRequest, TrustedSite } from '../http/sites.js'
