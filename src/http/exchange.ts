import type { SessionEngine } from '../core/engine.ts'
import { SessionError } from '../core/errors.ts'
import type { Signer } from '../core/token.ts'
import type { UnitOfWork } from '../core/unit-of-work.ts'
import { cookieValues, type SessionCookie } from './cookie.ts'

/** What an exchange needs of the sessions that the app made. */
export interface ExchangeContext {
  readonly engine: Pick<SessionEngine, 'begin' | 'load'>
  readonly cookie: SessionCookie
  readonly signer: Signer
}

/** What an exchange needs of a request. */
export interface ExchangeRequest {
  /** The Cookie header as it came. */
  readonly cookieHeader: string | undefined
  /** Whether the request came by HTTPS, as far as the server can trust what it is told. */
  readonly secure: boolean
  /** Whether a store that is down leaves the request with an empty session that cannot be stored, instead of an error. */
  readonly anonymousWhenUnavailable: boolean
}

/** What a finished exchange adds to the response. */
export interface ResponseChanges {
  readonly setCookie: string
}

/** A client that sends many validly signed cookies of our name makes us look up this many at most. */
const mostCandidates = 4

/**
 * One request and its response: begins by finding the session that the cookie leads to, finishes by
 * storing what changed and saying which header tells the browser.
 */
export class Exchange {
  readonly work: UnitOfWork
  readonly #context: ExchangeContext
  readonly #secure: boolean
  /** The browser's token carries the signature of an older secret. */
  readonly #renew: boolean

  private constructor(context: ExchangeContext, secure: boolean, work: UnitOfWork, renew: boolean) {
    this.#context = context
    this.#secure = secure
    this.work = work
    this.#renew = renew
  }

  /**
   * Begins an exchange. Answers at once, without a promise, where the store need not be asked.
   * @throws (by the promise) ERR_SESSION_STORE_UNAVAILABLE: the session may well exist, so this is not "no session"
   */
  static begin(context: ExchangeContext, request: ExchangeRequest): Exchange | Promise<Exchange> {
    const { secure } = request
    const verified: { readonly token: string; readonly renew: boolean }[] = []
    for (const value of cookieValues(request.cookieHeader, context.cookie.name(secure))) {
      const match = context.signer.verify(value)
      if (match) verified.push(match)
      if (verified.length === mostCandidates) break
    }
    if (verified.length === 0) return new Exchange(context, secure, context.engine.begin(), false)
    return context.engine.load(...verified.map(({ token }) => token)).then(
      (work) => {
        const renew = verified.some(({ token, renew }) => renew && work.leadsFrom(token))
        return new Exchange(context, secure, work, renew)
      },
      (error: unknown) => {
        if (!request.anonymousWhenUnavailable || !(error instanceof SessionError)) throw error
        return new Exchange(context, secure, context.engine.begin(error), false)
      },
    )
  }

  /** Whether the response has to wait for `finish` even if the handler never opens the session. */
  get mustFinish(): boolean {
    return this.#renew || this.work.touchDue
  }

  /**
   * Stores what changed and says what to add to the response. Call it right before the headers go. Answers at
   * once, without a promise, if there is nothing to store.
   * @throws (by the promise) what `UnitOfWork.commit` throws; the response must then be an error
   */
  finish(): ResponseChanges | undefined | Promise<ResponseChanges | undefined> {
    const commit = this.work.commit()
    return commit ? commit.then(() => this.#changes()) : this.#changes()
  }

  /**
   * Stores what a handler changed after the headers went; `undefined` if nothing did.
   * @throws (by the promise) as `finish`, and ERR_SESSION_HEADERS_SENT if a cookie would have to be set for it
   */
  finishLate(): Promise<void> | undefined {
    return this.work.commit()
  }

  #changes(): ResponseChanges | undefined {
    const { outcome } = this.work
    const { cookie, signer } = this.#context
    this.work.closeHeaders()
    if (outcome.action === 'clear') return { setCookie: cookie.clear(this.#secure) }
    if (outcome.token === undefined || (outcome.action === 'keep' && !this.#renew)) return undefined
    if (!cookie.settable(this.#secure)) {
      warnInsecure()
      return undefined
    }
    return { setCookie: cookie.set(signer.sign(outcome.token), this.#secure) }
  }
}

let warned = false

function warnInsecure(): void {
  if (warned) return
  warned = true
  process.emitWarning(
    'No session cookie was set: cookie.secure is true, and the request did not come by HTTPS as far as this server knows. Behind a proxy, tell Express with app.set("trust proxy", 1), or pass { proxy: true }.',
    { code: 'COATCHECK_INSECURE_REQUEST' },
  )
}
