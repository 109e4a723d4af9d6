import { optionError, type SessionError } from '../../core/errors.js'
import type { SessionWork } from '../../core/session/session.js'

/** What a session without a request in hand uses of the object that it was made with. */
export interface StoreRequest {
  readonly sessionID?: string
  readonly sessionStore?: SessionStoreInUse
  session?: unknown
}

type Callback = (error?: unknown, value?: object | null) => void

interface SessionStoreInUse {
  get(token: string, callback: Callback): unknown
  set(token: string, session: object, callback: Callback): unknown
  destroy(token: string, callback: Callback): unknown
  createSession(request: object, session: object): unknown
  regenerate(request: object, callback: Callback): unknown
}

/** Acts on the store at once, for sessions that no request of ours has in hand: under express-session, or made by `store.load`. */
export class StoreWork implements SessionWork {
  readonly id: string
  readonly publicId = ''
  readonly userId = undefined
  readonly createdAt = undefined
  readonly authenticatedAt = undefined
  readonly #session: object
  readonly #request: StoreRequest

  /** @param id the session's, where the request may have another by now. */
  constructor(session: object, request: StoreRequest, id = request.sessionID!) {
    this.id = id
    this.#session = session
    this.#request = request
  }

  assertCurrent(): void {}

  touch(): void {}

  save(): Promise<void> {
    return this.#ask((store, callback) => store.set(this.id, this.#session, callback))
  }

  async reload(): Promise<void> {
    let read: object | null | undefined
    await this.#ask((store, callback) =>
      store.get(this.id, (error, session) => {
        read = session
        callback(error)
      }),
    )
    if (!read) throw new Error('failed to load session')
    this.#request.sessionStore!.createSession(this.#request, read)
  }

  destroy(): Promise<void> {
    delete this.#request.session
    return this.#ask((store, callback) => store.destroy(this.id, callback))
  }

  regenerate(): Promise<void> {
    return this.#ask((store, callback) => store.regenerate(this.#request, callback))
  }

  signIn(): Promise<void> {
    throw needsRequest('signIn')
  }

  signOut(): Promise<void> {
    throw needsRequest('signOut')
  }

  rotate(): Promise<void> {
    throw needsRequest('rotate')
  }

  update(): Promise<never> {
    throw needsRequest('update')
  }

  claim(): Promise<never> {
    throw needsRequest('claim')
  }

  /** No commit follows that could fail with it. */
  noteFailure(): void {}

  #ask(act: (store: SessionStoreInUse, callback: Callback) => unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      act(this.#request.sessionStore!, (error) => (error ? reject(error as Error) : resolve()))
    })
  }
}

function needsRequest(method: string): SessionError {
  return optionError(
    `session.${method}() needs a request that has passed session() of coatcheck/express. This session was made without one, such as by store.load().`,
  )
}
