import type { IncomingMessage } from 'node:http'
import { mistakenFor } from '../core/argument.js'
import type { Callback } from '../core/callback.js'
import { optionError, refuseUnknownOptions, type SessionError } from '../core/errors.js'
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

/** The options of `session(sessions, options)`. */
export interface ExpressSessionOptions {
  /**
   * Requests that get no session at all, such as health checks: nothing is read, `req.session` stays undefined.
   * `path` and `originalUrl` are there under Express.
   * @example session(sessions, { skip: (req) => req.path === '/healthz' })
   */
  readonly skip?:
    | ((request: IncomingMessage & { readonly path?: string; readonly originalUrl?: string }) => boolean)
    | undefined
  /**
   * What a request gets whose session cannot be read because the store is down. `'error'`, the default: a 503 by
   * `next(err)`. `'anonymous'`: an empty session, which cannot be stored; its holder keeps the cookie
   * and is known again when the store is back.
   */
  readonly whenUnavailable?: 'error' | 'anonymous' | undefined
  /** Trust the first item of X-Forwarded-Proto, as a proxy of yours sets it. Express's own setting, `trust proxy`, does so too. */
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
    // Not enumerable: whoever copies or prints a request must not open its session or show its token.
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
 * Gives each request its session, at `req.session`, and lets no response begin before the session is stored.
 *
 * What a handler changed is stored when it begins to answer: by `res.end`, `res.json`, `res.redirect`, the
 * first chunk of a stream, `flushHeaders` or `writeHead`. A stream may write 16 MiB while that is under way,
 * against back-pressure; past it the response becomes a 503. Changes made between a stream's first byte and its
 * end are stored before it ends. If storing fails, the answer is taken back and the error goes to `next(err)`, once;
 * a stream that has not ended gets a plain text answer with the error's status. What the app's error handler changes in the
 * session is stored with its answer; if that fails as well, a 5xx goes out, and in place of any other that plain text.
 *
 * There are two forms. `session(sessions)` takes what `createSessions` made. `session(options)` takes the options of
 * express-session and behaves as it does, safer where docs/migrating.md says so: to change an app's import and no
 * more. `session.Store`, `.MemoryStore`, `.Session` and `.Cookie` are for the latter;
 * `session.ExpressStore` makes any coatcheck store one for express-session.
 *
 * @param given `Sessions` from `createSessions`, or the options of express-session
 * @param options for the first form only
 * @throws {SessionError} ERR_SESSION_OPTION, or a TypeError where express-session throws one
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
  // One signature, so that the compiler's message is about what was given and not about the other form.
  given?: SessionOptions | CheckedSessions | null,
  options: ExpressSessionOptions = {},
): SessionMiddleware {
  if (given instanceof Sessions) return sessionOf(given, options)
  // express-session takes nothing at all, for apps whose secret cookie-parser has.
  const old = (given ?? {}) as SessionOptions
  const mistake = mistakenFor(old, sessionOptionNames)
  if (mistake === undefined) return expressSession(old)
  // This copy's own are an instance of its class.
  const what = mistake === 'sessions' ? 'sessions that another copy of this package made' : mistake
  throw optionError(
    `session() was given ${what}. Write session(createSessions({ store, secret })), or session({ store, secret }) with the options of express-session.`,
  )
}

/** `Sessions`, unless the types of the program do not go with them: then a text, because the compiler's message shows it. */
type CheckedSessions = WithOldTypes<
  'session(sessions) and @types/express-session both type req.session: uninstall @types/express-session, or leave it out of "types" in tsconfig.json',
  WithoutReservedNames<Sessions>
>

/** Its classes and types, by the names that express-session and its types give them. */
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

// Tools that take an ES module's `default` out of a CommonJS module look for it.
Object.assign(session, { default: session, Cookie, ExpressStore, MemoryStore, Session, Store })

export { session }

function sessionOf(sessions: Sessions, options: ExpressSessionOptions): SessionMiddleware {
  refuseUnknownOptions('session', options, ['skip', 'whenUnavailable', 'proxy'])
  const { skip, whenUnavailable = 'error', proxy } = options
  if (skip !== undefined && typeof skip !== 'function')
    throw optionError('skip must be a function of the request.')
  if (whenUnavailable !== 'error' && whenUnavailable !== 'anonymous') {
    throw optionError("whenUnavailable must be 'error' or 'anonymous'.")
  }
  const context: ExchangeContext = { engine: sessions, cookie: sessions.cookie, signer: sessions.signer }
  const handling: Handling = {
    owner: sessions,
    anonymousWhenUnavailable: whenUnavailable === 'anonymous',
    ...properties,
  }

  return function sessionMiddleware(request: SessionRequest, response, next) {
    if (skip?.(request) === true) return next()
    const before = request[inHand]
    if (before) return before.owner === sessions ? next() : next(secondSessions())
    const secure = isSecure(request, proxy || undefined)
    new RequestInHand(handling, request, response, next, secure).begin(context)
  }
}

function secondSessions(): SessionError {
  return optionError(
    'This request already has a session from other sessions: give each path one session() middleware, or use skip.',
  )
}
