import type { IncomingMessage, ServerResponse } from 'node:http'
import { isPromise } from 'node:util/types'
import { mistakenFor } from '../core/argument.js'
import type { Callback } from '../core/callback.js'
import { optionError, refuseUnknownOptions, SessionError, shown } from '../core/errors.js'
import type { WithoutReservedNames } from '../core/session/session.js'
import {
  Cookie,
  type CookieAttributes,
  type Priority,
  type SameSite,
} from '../express-session/model/cookie.js'
import { ExpressStore, type ExpressStoreOptions } from '../express-session/bridge/express-store.js'
import type { ExpressSessionStore } from '../express-session/foreign/foreign-store.js'
import { MemoryStore, type MemoryStoreConstructor } from '../express-session/bridge/memory-store.js'
import { sessionOptionNames } from '../express-session/model/option-names.js'
import type { HmacKey, SessionCookieOptions, SessionOptions } from '../express-session/model/options.js'
import type { WithOldTypes } from '../express-session/model/old-types.js'
import { type OldMembers, Session, type SessionConstructor } from '../express-session/model/session.js'
import type { StoredSession } from '../express-session/bridge/bridge-form.js'
import { Store, type StoreConstructor, type StoredData } from '../express-session/bridge/store.js'
import type { ExchangeContext } from '../http/exchange.js'
import { Sessions } from '../sessions.js'
// Types `req.session`.
import './express-request.js'
import { csrfCheckOf, whenAsked } from './csrf.js'
import { expressSession } from './express-session.js'
import {
  type Handling,
  inHand,
  isSecure,
  type Next,
  RequestInHand,
  type SessionMiddleware,
  type SessionRequest,
} from './request-in-hand.js'

/** The options of `session(sessions, options)`. An unknown one throws `ERR_SESSION_OPTION`. */
export interface ExpressSessionOptions {
  /**
   * Whether a request gets no session, such as a health check. Then nothing is read, and `req.session` is `undefined`.
   * The check against forged requests still runs. Under Express, the request has `path` and `originalUrl`. Default: no
   * request is skipped.
   * @example session(sessions, { skip: (req) => req.path === '/healthz' })
   */
  readonly skip?:
    | ((request: IncomingMessage & { readonly path?: string; readonly originalUrl?: string }) => boolean)
    | undefined
  /**
   * What happens to a request whose session cannot be read, because the store is away or does not answer in time.
   *
   * - `'error'`: the error, with status 503, goes to `next(error)`.
   * - `'anonymous'`: the request gets an empty session that cannot be stored. Visitors keep their cookie, and have
   *   their session again when the store is back.
   * @default 'error'
   */
  readonly whenUnavailable?: 'error' | 'anonymous' | undefined
  /**
   * Whether to believe the header `X-Forwarded-Proto`, of which the first item counts. Set it only if every request
   * comes through a proxy that sets this header itself. In Express, `app.set('trust proxy', 1)` does the same.
   * @default false
   */
  readonly proxy?: boolean | undefined
}

const properties: Pick<Handling, 'session' | 'sessionID'> = {
  session: {
    get() {
      return this[inHand]?.session
    },
    set(value: unknown) {
      const hand = this[inHand]!
      if (value === null || value === undefined) {
        hand.work.end()
      } else if (value !== hand.session) {
        throw new TypeError('req.session cannot be replaced: set its properties, or use regenerate().')
      }
    },
    configurable: true,
    // Not enumerable: copying or printing a request must neither open its session nor show its token.
    enumerable: false,
  },
  sessionID: {
    get() {
      return this[inHand]?.work.id
    },
    configurable: true,
    enumerable: false,
  },
}

/**
 * Middleware that gives each request its session, at `req.session`. The first byte of the response waits until the
 * session is saved. For Express 4 and 5, connect and `node:http`.
 *
 * There are two forms:
 *
 * - `session(sessions, options?)`, with `sessions` from `createSessions`.
 * - `session(options)`, with the options of express-session. It is a drop-in replacement: change the import and nothing
 *   else. `docs/migrating.md` lists what differs. `session.Store`, `.MemoryStore`, `.Session` and `.Cookie` are for
 *   this form. `session.ExpressStore` makes any coatcheck store one for the original express-session.
 *
 * What a handler changed is saved when it begins to answer: by `res.end`, `res.json`, `res.redirect`, the first chunk
 * of a stream, `flushHeaders` or `writeHead`. What it changes between the first byte and the end of a stream is saved
 * before the stream ends. Meanwhile, up to 16 MiB of a streamed response are buffered. Beyond that, the response is a
 * 503 (`ERR_SESSION_RESPONSE_BUFFER`).
 *
 * If the save fails, the answer is dropped, and the error goes to `next(error)`, once. A response that is still being
 * streamed becomes a plain text answer with the error's status. The error handler may change the session too. If that
 * cannot be saved either, its answer is sent if it is a 5xx, and replaced by the plain text answer otherwise.
 *
 * @param given `Sessions` from `createSessions`, or the options of express-session
 * @param options for the first form only
 * @throws {SessionError} `ERR_SESSION_OPTION` for wrong options; with `session(options)`, a `TypeError` where
 *   express-session throws one
 * @example
 * app.use(session(sessions))
 * app.get('/', (req, res) => {
 *   req.session.views = (req.session.views ?? 0) + 1
 *   res.send(`Your visit no. ${req.session.views}`)
 * })
 * @example
 * const session = require('coatcheck/express')
 * app.use(session({ store, secret: process.env.SESSION_SECRET, cookie: { maxAge: 3_600_000 } }))
 */
function session(
  // One signature, not overloads: so the compiler's message is about the form that was used.
  given?: SessionOptions | CheckedSessions | null,
  options: ExpressSessionOptions = {},
): SessionMiddleware {
  if (given instanceof Sessions) return sessionOf(given, options)
  // As express-session, this takes no options at all: for apps whose secret is that of cookie-parser.
  const old = (given ?? {}) as SessionOptions
  const mistake = mistakenFor(old, sessionOptionNames)
  if (mistake === undefined) return expressSession(old)
  // Sessions of this copy of the package were handled above.
  const what =
    mistake === 'sessions'
      ? 'sessions that another copy of this package made (run npm ls coatcheck, then npm dedupe)'
      : mistake
  throw optionError(
    `session() was given ${what}. Write session(createSessions({ store, secret })), or session({ store, secret }) with the options of express-session.`,
  )
}

/** `Sessions`. If other types in the program contradict them, it is a text, which the compiler shows as its message. */
type CheckedSessions = WithOldTypes<
  'session(sessions) and @types/express-session both type req.session: uninstall @types/express-session, or leave it out of "types" in tsconfig.json',
  WithoutReservedNames<Sessions>
>

/** The classes and types of `session`, by the names that express-session and its types use. */
declare namespace session {
  export {
    Cookie,
    type CookieAttributes,
    type SessionCookieOptions as CookieOptions,
    type ExpressSessionOptions,
    type ExpressSessionStore,
    ExpressStore,
    type ExpressStoreOptions,
    type HmacKey,
    MemoryStore,
    type MemoryStoreConstructor,
    type Next,
    type OldMembers,
    type Priority,
    type SameSite,
    Session,
    type SessionConstructor,
    type SessionCookieOptions,
    type StoredData as SessionData,
    type SessionMiddleware,
    type SessionOptions,
    Store,
    type Callback as StoreCallback,
    type StoreConstructor,
    type StoredSession,
  }
}

// Some tools look for an ES module's `default` on a CommonJS module.
Object.assign(session, { default: session, Cookie, ExpressStore, MemoryStore, Session, Store })

export { session }

function sessionOf(sessions: Sessions, options: ExpressSessionOptions): SessionMiddleware {
  refuseUnknownOptions('session', options, ['skip', 'whenUnavailable', 'proxy'])
  const { skip, whenUnavailable = 'error', proxy } = options
  if (skip !== undefined && typeof skip !== 'function')
    throw optionError('skip must be a function of the request.')
  if (whenUnavailable !== 'error' && whenUnavailable !== 'anonymous') {
    throw optionError(`whenUnavailable must be 'error' or 'anonymous', not ${shown(whenUnavailable)}.`)
  }
  const context: ExchangeContext = {
    engine: sessions,
    transportOf: (request) => sessions.transports.of(request),
  }
  /**
   * Gives the request of an error an empty session that cannot be stored. The reason: handlers of WebSockets that do not
   * look at the error would throw at `request.session.userId`, and so end the process.
   */
  const refuse = (request: SessionRequest, error: unknown): void => {
    const { session } = sessions.beginAs(undefined, error instanceof SessionError ? error : notStorable())
    Object.defineProperty(request, 'session', { value: session, configurable: true, enumerable: false })
  }
  const handling: Handling = {
    owner: sessions,
    refuse,
    anonymousWhenUnavailable: whenUnavailable === 'anonymous',
    ...properties,
  }

  const check = csrfCheckOf(sessions)
  const begin = (request: SessionRequest, response: ServerResponse, next: Next, secure: boolean): void => {
    // After the check: what is skipped may change something too.
    if (skip !== undefined && isSkipped(skip, request, next)) return
    new RequestInHand(handling, request, response, next, secure).begin(context)
  }

  return function sessionMiddleware(request: SessionRequest, response, next) {
    const before = request[inHand]
    if (before) return before.owner === sessions ? next() : next(secondSessions())
    const secure = isSecure(request, proxy || undefined)
    const refusal = check?.(request, secure)
    if (refusal === undefined) return begin(request, response, next, secure)
    const fail: Next = (error) => {
      refuse(request, error)
      next(error)
    }
    if (!(refusal instanceof Promise)) return fail(refusal)
    whenAsked(refusal, fail, () => begin(request, response, next, secure))
  }
}

/** Whether a request gets no session, or an error: then `next` was called. */
function isSkipped(
  skip: NonNullable<ExpressSessionOptions['skip']>,
  request: SessionRequest,
  next: Next,
): boolean {
  try {
    const isAsked: unknown = skip(request)
    if (isAsked === true) next()
    if (!isPromise(isAsked)) return isAsked === true
    // What it is rejected with must not end the process.
    isAsked.catch(() => undefined)
    throw optionError('skip returned a promise, and has to return true or false at once.')
  } catch (error) {
    next(error)
    return true
  }
}

function notStorable(): SessionError {
  return new SessionError(
    'ERR_SESSION_FORGED',
    'The request was refused, so nothing of its session is stored.',
    {
      status: 403,
    },
  )
}

function secondSessions(): SessionError {
  return optionError(
    'This request already has a session from other sessions: give each path one session() middleware, or use skip.',
  )
}
