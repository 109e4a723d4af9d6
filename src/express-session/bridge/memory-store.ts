import type { Callback } from '../../core/callback.js'
import { setImmediate } from '../../core/scheduling.js'
import { Store, type StoreConstructor, type StoredData } from './store.js'

interface Stored {
  cookie?: { expires?: unknown } | null | undefined
}

/**
 * The `MemoryStore` of express-session, for `session(options)`: it keeps sessions in this process, for development and
 * tests. `createSessions` takes the `MemoryStore` of `coatcheck` instead.
 */
export interface MemoryStore extends Store {
  /** The JSON of each session, by its token. */
  sessions: Record<string, string>
  set(token: string, session: object, callback?: Callback): void
  touch(token: string, session: object, callback?: Callback): void
  all(callback: Callback<Record<string, StoredData>>): void
  length(callback: Callback<number>): void
  clear(callback?: Callback): void
}

/** The constructor of express-session's `MemoryStore`. */
export interface MemoryStoreConstructor extends Omit<StoreConstructor, 'prototype'> {
  new (): MemoryStore
  (this: unknown): void
  readonly prototype: MemoryStore
}

/**
 * The `MemoryStore` of express-session, for `session(options)`. It can be called without `new`, for stores made with
 * `util.inherits`.
 */
export const MemoryStore = function (this: MemoryStore) {
  Store.call(this)
  this.sessions = noSessions()
} as unknown as MemoryStoreConstructor

Object.setPrototypeOf(MemoryStore, Store)
Object.setPrototypeOf(MemoryStore.prototype, Store.prototype)

const members: Pick<MemoryStore, 'get' | 'set' | 'destroy' | 'touch' | 'all' | 'length' | 'clear'> &
  ThisType<MemoryStore> = {
  get(token, callback) {
    later(callback, null, live(this, token))
  },
  set(token, session, callback) {
    this.sessions[token] = JSON.stringify(session)
    later(callback)
  },
  touch(token, session, callback) {
    const stored = live(this, token)
    if (stored) {
      stored.cookie = (session as Stored).cookie
      this.sessions[token] = JSON.stringify(stored)
    }
    later(callback)
  },
  destroy(token: string, callback?: Callback) {
    delete this.sessions[token]
    later(callback)
  },
  all(callback) {
    const sessions = noSessions<object>()
    for (const token of Object.keys(this.sessions)) {
      const session = live(this, token)
      if (session) sessions[token] = session
    }
    later(callback, null, sessions)
  },
  length(callback?: Callback<number>) {
    this.all((error, sessions) =>
      error ? callback?.(error) : callback?.(null, Object.keys(sessions!).length),
    )
  },
  clear(callback) {
    this.sessions = noSessions()
    later(callback)
  },
}

for (const [name, value] of Object.entries(members)) {
  Object.defineProperty(MemoryStore.prototype, name, {
    value,
    writable: true,
    configurable: true,
    enumerable: true,
  })
}

/** An object without a prototype, because a token may be any text. */
function noSessions<Session = string>(): Record<string, Session> {
  return Object.create(null) as Record<string, Session>
}

function live({ sessions }: MemoryStore, token: string): Stored | undefined {
  const text = sessions[token]
  if (text === undefined) return undefined
  const session = JSON.parse(text) as Stored | null
  if (!hasPassed(session?.cookie?.expires)) return session ?? undefined
  delete sessions[token]
  return undefined
}

/** Whether an `expires` has passed. Odd values count as in express-session; an object never expires. */
function hasPassed(expires: unknown): boolean {
  if (!expires || typeof expires === 'object') return false
  return Number(typeof expires === 'string' ? new Date(expires) : expires) <= Date.now()
}

/** Calls back later, with exactly the arguments that express-session passes. */
function later(callback: Callback<never> | undefined, ...answer: [] | [error: null, value: unknown]): void {
  if (callback) setImmediate(callback as (...answer: unknown[]) => void, ...answer)
}
