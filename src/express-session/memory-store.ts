import { setImmediate } from '../core/scheduling.js'
import { Store } from './store.js'

type Callback<Value = unknown> = (error?: unknown, value?: Value) => void
interface Stored {
  cookie?: { expires?: string | Date | null }
}

/** Sessions in this process, as copies. They end with it, so this is for development and tests. */
export interface MemoryStore extends Store {
  /** The JSON of each session by its token. */
  sessions: Record<string, string>
  set(token: string, session: object, callback?: Callback): void
  touch(token: string, session: object, callback?: Callback): void
  all(callback: Callback<Record<string, object>>): void
  length(callback: Callback<number>): void
  clear(callback?: Callback): void
}

/** The class of the store in memory. */
export interface MemoryStoreConstructor {
  new (): MemoryStore
  (this: unknown): void
  readonly prototype: MemoryStore
}

/** express-session's store in memory. Callable without `new`, as all stores of its kind. */
export const MemoryStore = function (this: MemoryStore) {
  Store.call(this)
  this.sessions = noSessions()
} as unknown as MemoryStoreConstructor

Object.setPrototypeOf(MemoryStore, Store)
Object.setPrototypeOf(MemoryStore.prototype, Store.prototype)

const members: Pick<MemoryStore, 'get' | 'set' | 'destroy' | 'touch' | 'all' | 'length' | 'clear'> &
  ThisType<MemoryStore> = {
  get(token, callback) {
    later(callback, live(this, token))
  },
  set(token, session, callback) {
    this.sessions[token] = JSON.stringify(session)
    later(callback)
  },
  touch(token, session, callback) {
    const stored = live(this, token)
    if (stored) {
      const { cookie } = session as Stored
      this.sessions[token] = JSON.stringify({ ...stored, cookie })
    }
    later(callback)
  },
  destroy(token: string, callback?: Callback) {
    delete this.sessions[token]
    later(callback)
  },
  all(callback) {
    later(callback, liveSessions(this))
  },
  length(callback) {
    later(callback, Object.keys(liveSessions(this)).length)
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

/** Without a prototype: a token may be any text. */
function noSessions(): Record<string, string> {
  return Object.create(null) as Record<string, string>
}

function live({ sessions }: MemoryStore, token: string): object | undefined {
  const text = sessions[token]
  if (text === undefined) return undefined
  const session = JSON.parse(text) as Stored | null
  const expires = session?.cookie?.expires
  if (typeof expires !== 'string' || expires === '' || new Date(expires).getTime() > Date.now()) {
    return session ?? undefined
  }
  delete sessions[token]
  return undefined
}

function liveSessions(store: MemoryStore): Record<string, object> {
  const entries = Object.keys(store.sessions).map((token) => [token, live(store, token)] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, object] => entry[1] !== undefined))
}

function later<Value>(callback: Callback<Value> | undefined, value?: Value): void {
  if (callback) setImmediate(callback, null, value)
}
