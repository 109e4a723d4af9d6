import type { SessionStore } from 'coatcheck'

/** Does something with a call of a store, in place of the call alone. */
export type Wrap = <Answer>(call: () => Promise<Answer>) => Promise<Answer>

/** A store all calls of which go through `wrap`: that may wait before one, let it fail, or keep its answer back. */
export function wrappedStore(store: SessionStore, wrap: Wrap): SessionStore {
  return {
    find: (ids) => wrap(() => store.find(ids)),
    alive: (ids) => wrap(() => store.alive(ids)),
    write: (writes) => wrap(() => store.write(writes)),
    list: (query) => wrap(() => store.list(query)),
    removeByUser: (...user) => wrap(() => store.removeByUser(...user)),
    removeExpired: (limit) => store.removeExpired(limit),
    close: () => store.close(),
  }
}

/** A store each call of which waits for `before`, which may also fail it. */
export function slowedStore(store: SessionStore, before: () => Promise<unknown>): SessionStore {
  return wrappedStore(store, async (call) => {
    await before()
    return call()
  })
}
