import { Store } from './store.ts'

type Callback<Value = unknown> = (error?: unknown, value?: Value) => void
interface Stored {
  cookie?: { expires?: string | Date | null }
}

/** Sessions in this process, as copies. They end with it, so this is for development and tests. */
export interface MemoryStore extends Store {
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

const sessionsOf = new WeakMap<object, Map<string, string>>()

/** express-session's store in memory. Callable without `new`, as all stores of its kind. */
export const MemoryStore = function (this: MemoryStore) {
  Store.call(this)
  sessionsOf.set(this, new Map())
} as unknown as MemoryStoreConstructor

Object.setPrototypeOf(MemoryStore, Store)
Object.setPrototypeOf(MemoryStore.prototype, Store.prototype)

const members: Omit<MemoryStore, keyof Store> & Pick<Store, 'get' | 'destroy'> & ThisType<MemoryStore> = {
  get(token, callback) {
    later(callback, live(this, token))
  },
  set(token, session, callback) {
    sessionsOf.get(this)!.set(token, JSON.stringify(session))
    later(callback)
  },
  touch(token, session, callback) {
    const stored = live(this, token)
    if (stored) {
      const { cookie } = session as Stored
      sessionsOf.get(this)!.set(token, JSON.stringify({ ...stored, cookie }))
    }
    later(callback)
  },
  destroy(token: string, callback?: Callback) {
    sessionsOf.get(this)!.delete(token)
    later(callback)
  },
  all(callback) {
    later(callback, liveSessions(this))
  },
  length(callback) {
    later(callback, Object.keys(liveSessions(this)).length)
  },
  clear(callback) {
    sessionsOf.get(this)!.clear()
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

function live(store: object, token: string): object | undefined {
  const sessions = sessionsOf.get(store)!
  const text = sessions.get(token)
  if (text === undefined) return undefined
  const session = JSON.parse(text) as Stored
  const expires = session.cookie?.expires
  if (!expires || new Date(expires).getTime() > Date.now()) return session
  sessions.delete(token)
  return undefined
}

function liveSessions(store: object): Record<string, object> {
  const tokens = [...sessionsOf.get(store)!.keys()]
  const entries = tokens.map((token) => [token, live(store, token)] as const)
  return Object.fromEntries(entries.filter((entry): entry is [string, object] => entry[1] !== undefined))
}

function later<Value>(callback: Callback<Value> | undefined, value?: Value): void {
  if (callback) setImmediate(callback, null, value)
}
