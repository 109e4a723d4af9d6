import type { IncomingMessage, ServerResponse } from 'node:http'
import { mistakenFor } from '../core/argument.js'
import { optionError, refuseUnknownOptions } from '../core/errors.js'
import { csrfOptionNames, type CsrfOptions, CsrfPolicy } from '../http/csrf.js'
import { resolveSites, type SiteFunction, type TrustedSite } from '../http/sites.js'
import { Sessions } from '../sessions.js'
import { type CsrfCheck, csrfCheck, csrfCheckOf, whenAsked } from './csrf.js'
import { isSecure, type Next, type SessionRequest } from './request-in-hand.js'

/** The options of `csrf(options)`: those of the check, the trusted origins, and `proxy`. */
export interface CsrfMiddlewareOptions extends CsrfOptions {
  /**
   * The trusted origins, as in `createSessions`. The wildcards and functions among them count only with
   * `allSites: true`.
   * @default []
   */
  readonly sites?: readonly TrustedSite[] | SiteFunction | undefined
  /**
   * Whether to believe the header `X-Forwarded-Proto`. Set it only if every request comes through a proxy that sets this
   * header itself. In Express, `app.set('trust proxy', 1)` does the same.
   * @default false
   */
  readonly proxy?: boolean | undefined
}

/** A middleware for Express 4 and 5, connect, and `node:http` with a `next` of your own. */
export interface CsrfMiddleware {
  (request: IncomingMessage, response: ServerResponse, next: Next): void
  /**
   * The same check without a framework, for the handshake of a WebSocket.
   *
   * @returns the error that `next` would get; `undefined` if the request may go on
   * @throws (rejects) what a function of `sites` throws. Then refuse the request
   * @example
   * server.on('upgrade', (request, socket, head) => {
   *   const refuse = () => socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
   *   check.refusal(request).then((refusal) => {
   *     if (refusal) refuse()
   *     else sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened, request))
   *   }, refuse)
   * })
   */
  refusal(request: IncomingMessage): Promise<Error | undefined>
}

/**
 * Middleware that refuses forged requests (CSRF): those that change something, and that a page of another origin sent
 * in its visitor's name. The error `ERR_SESSION_FORGED` (403) goes to `next(error)`.
 *
 * `session(sessions)` makes this check already. Use this middleware with the drop-in form `session(options)`, in an app
 * without sessions, or for WebSockets: `csrf(sessions).refusal(request)`. Put it before all that changes data.
 *
 * @param given the options; or `Sessions`, whose `sites` and `csrf` count, and who fire the event `forged`
 * @param options only for `Sessions`: whether to believe a proxy
 * @throws {SessionError} `ERR_SESSION_OPTION` for wrong options, and for `Sessions` whose check is off
 * @example
 * app.use(csrf({ sites: ['https://shop.example.com'] }))
 * app.use(session({ store, secret }))
 */
function csrf(
  given: CsrfMiddlewareOptions | Sessions = {},
  options: Pick<CsrfMiddlewareOptions, 'proxy'> = {},
): CsrfMiddleware {
  const isSessions = given instanceof Sessions
  const { check, proxy } = isSessions ? ofSessions(given, options) : ofOptions(given)
  const secured = (request: IncomingMessage): boolean =>
    isSecure(request as SessionRequest, proxy || undefined)
  const middleware = (request: IncomingMessage, _response: ServerResponse, next: Next): void => {
    const refusal = check(request, secured(request))
    if (refusal instanceof Promise) return whenAsked(refusal, next, next)
    next(refusal)
  }
  return Object.assign(middleware, {
    refusal: async (request: IncomingMessage) => check(request, secured(request)),
  })
}

/** The types of `csrf`. */
declare namespace csrf {
  export type { CsrfMiddleware, CsrfMiddlewareOptions, CsrfOptions, SiteFunction, TrustedSite }
}

// Some tools look for an ES module's `default` on a CommonJS module.
Object.assign(csrf, { default: csrf })

export { csrf }

interface Checking {
  readonly check: CsrfCheck
  readonly proxy: boolean | undefined
}

function ofSessions(sessions: Sessions, options: Pick<CsrfMiddlewareOptions, 'proxy'>): Checking {
  refuseUnknownOptions('csrf(sessions)', options, ['proxy'])
  const check = csrfCheckOf(sessions)
  if (check === undefined) {
    throw optionError(
      'csrf(sessions) was given sessions with csrf: false, so there is nothing to check. Remove csrf: false, or the middleware.',
    )
  }
  return { check, proxy: options.proxy }
}

function ofOptions(given: CsrfMiddlewareOptions): Checking {
  const names = [...csrfOptionNames, 'sites', 'proxy'] as const
  const mistake = mistakenFor(given, names)
  if (mistake !== undefined) {
    throw optionError(
      `csrf() was given ${mistake}. Write csrf({ sites: ['https://app.example.com'] }), or csrf(createSessions({ … })). If there are two copies of coatcheck, npm ls coatcheck shows them.`,
    )
  }
  refuseUnknownOptions('csrf', given, names)
  const { sites = [], proxy, ...options } = given
  return { check: csrfCheck(new CsrfPolicy(options, resolveSites(sites))), proxy }
}
