import { SessionError } from '../core/errors.js'
import type { SessionForm } from '../core/session/session-form.js'
import type { UnitOfWork } from '../core/session/unit-of-work.js'
import { warnOnce } from '../core/warn-once.js'
import { cacheControlWithCookie, overrulesCacheControl } from './caching.js'
import type { ExchangeRequest } from './exchange-request.js'
import type { ResponseHeader, Transport } from './transport.js'

/** What an exchange needs of the sessions. */
export interface ExchangeContext {
  readonly engine: ExchangeEngine
  /**
   * How the token of a request travels. Asked once for each request.
   * @throws if the app's options cannot say that of this request
   */
  transportOf(request: ExchangeRequest): Transport
  /** How the app sees the session. Left out: as the engine does. */
  readonly form?: SessionForm
  /** Called right before each commit, to change the session first. */
  readonly beforeCommit?: (work: UnitOfWork) => void
}

/** What makes the unit of work of an exchange. `SessionEngine` is one. */
export interface ExchangeEngine {
  beginAs(form: SessionForm | undefined, unavailable?: SessionError): UnitOfWork
  loadAs(form: SessionForm | undefined, tokens: readonly string[]): Promise<UnitOfWork>
}

/**
 * What to change in the response, after a finished exchange: the header that gives the client a token or takes it back,
 * and what keeps that from shared caches.
 */
export interface ResponseChanges extends ResponseHeader {
  /**
   * The header's name, such as `Set-Cookie`. A `Set-Cookie` goes beside the others of the response. Any other name
   * replaces what the response has.
   */
  readonly name: string
  readonly value: string
  /**
   * Returns the `Cache-Control` to set, given the current one (`''` if none). `undefined`: leave it. A shared cache
   * must not give one visitor's token to another (RFC 9111, section 7.3).
   */
  readonly cacheControl: (current: string) => string | undefined
  /**
   * Whether to remove a header of the response, such as `CDN-Cache-Control`, which overrules `Cache-Control` (RFC
   * 9213).
   */
  readonly drops: (name: string, value: string) => boolean
}

/**
 * One request and its response. It begins by finding the session of the request's token. It finishes by storing what
 * changed, and says which response headers to set. Made by `sessions.exchange(request)`.
 */
export class Exchange {
  /** The work on the request's session: `work.session` is what an app sees at `req.session`. */
  readonly work: UnitOfWork
  readonly #context: ExchangeContext
  readonly #request: ExchangeRequest
  readonly #transport: Transport
  /** Whether an old secret signed the client's token, so that it should get a new signature. */
  readonly #renew: boolean

  private constructor(
    context: ExchangeContext,
    request: ExchangeRequest,
    transport: Transport,
    work: UnitOfWork,
    renew: boolean,
  ) {
    this.#context = context
    this.#request = request
    this.#transport = transport
    this.work = work
    this.#renew = renew
  }

  /**
   * Begins an exchange. It returns no promise if the store need not be asked.
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503):
   *   the session may well exist, so this does not mean "no session"; and what `transportOf` of the context throws
   */
  static begin(context: ExchangeContext, request: ExchangeRequest): Exchange | Promise<Exchange> {
    const { engine, form } = context
    let transport: Transport
    try {
      transport = context.transportOf(request)
    } catch (error) {
      return Promise.reject(error as Error)
    }
    const verified = transport.tokens(request)
    if (verified.length === 0) return new Exchange(context, request, transport, engine.beginAs(form), false)
    const tokens = verified.map(({ token }) => token)
    return engine.loadAs(form, tokens).then(
      (work) => {
        const renew = verified.some(({ token, renew }) => renew && work.leadsFrom(token))
        return new Exchange(context, request, transport, work, renew)
      },
      (error: unknown) => {
        if (!request.anonymousWhenUnavailable || !(error instanceof SessionError)) throw error
        return new Exchange(context, request, transport, engine.beginAs(form, error), false)
      },
    )
  }

  /**
   * Stores what changed, and returns what to change in the response. Call it right before the headers are sent. It
   * returns no promise if there is nothing to store.
   * @throws (rejects) what `UnitOfWork.commit` throws, or an error if the header cannot be made. Answer with an error
   *   then. It never throws at once, because `response.end` may be called where nothing catches
   */
  finish(): ResponseChanges | undefined | Promise<ResponseChanges | undefined> {
    try {
      // The touch finds out whether the token is still good: a parallel request may have replaced it.
      if (this.#setsAgain()) this.work.touch()
      const commit = this.#commit()
      return commit ? commit.then(() => this.#changes()) : this.#changes()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /**
   * What `finish` will return if its commit succeeds: for a response whose headers cannot wait for that. It never takes
   * a token back. If the header cannot be made, it is `undefined`, and `finish` rejects.
   */
  get expectedChanges(): ResponseChanges | undefined {
    const { work } = this
    try {
      const isHeld = !work.isNew && work.leadsFrom(work.id)
      if (isHeld ? !this.#setsAgain() : work.isFormer || !work.session) return undefined
      return this.#setting(work.id)
    } catch {
      return undefined
    }
  }

  /**
   * Stores what a handler changed after the headers were sent. Returns `undefined` if there is nothing to store.
   * @throws (rejects) as `finish`; and `ERR_SESSION_HEADERS_SENT` if the client would have to get a token, which is a
   *   warning if the transport tolerates it
   */
  finishLate(): Promise<void> | undefined {
    const late = this.#commit()
    return this.#transport.toleratesLate ? late?.catch(warnLate) : late
  }

  /** The header names that `Vary` needs (RFC 9110, section 12.5.5); `undefined` if no handler has read the session. */
  get vary(): string | undefined {
    return this.work.wasOpened ? this.#transport.vary : undefined
  }

  /** Whether a commit has failed, and nobody has changed the session since: there is nothing new to store. */
  get isAsRefused(): boolean {
    if (!this.work.wasRefused) return false
    this.#context.beforeCommit?.(this.work)
    return this.work.isAsRefused
  }

  #commit(): Promise<void> | undefined {
    try {
      this.#context.beforeCommit?.(this.work)
      return this.work.commit()
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  #setsAgain(): boolean {
    // With an old token, another response gives the client the new one. After `leave()`, the handler wants no cookie.
    if (this.work.isFormer || this.work.isLeft) return false
    return this.#renew || this.#transport.givesAgain(this.work)
  }

  #changes(): ResponseChanges | undefined {
    const { work } = this
    work.closeHeaders()
    // Most responses: the client has the token already, and keeps it.
    if (work.action === 'keep' && !this.#setsAgain()) return undefined
    const { outcome } = work
    if (outcome.action === 'clear') return this.#changing(this.#transport.clearing(this.#request))
    return outcome.token === undefined ? undefined : this.#setting(outcome.token)
  }

  #setting(token: string): ResponseChanges | undefined {
    const header = this.#transport.giving(token, this.#request)
    return header && this.#changing(header)
  }

  #changing({ name, value }: ResponseHeader): ResponseChanges {
    const leaves = this.#transport.leavesCaching
    return {
      name,
      value,
      cacheControl: (current) => cacheControlWithCookie(current, leaves),
      drops: (name, value) => overrulesCacheControl(name, value, leaves),
    }
  }
}

function warnLate(error: unknown): void {
  if (!(error instanceof SessionError) || error.code !== 'ERR_SESSION_HEADERS_SENT') throw error
  warnOnce(
    'COATCHECK_LATE_SESSION',
    "A session was begun or got a new id after the response's first byte, so its cookie could not be set, and nothing was stored. Change req.session before the first write.",
  )
}
