import { expect, inject, test } from 'vitest'
import { databases } from '../servers/databases.ts'
import { crashStores } from './place.ts'
import { playCrashes } from './crashes.ts'

// A commit is one step of the store's and comes before the answer. So whenever an app dies, a request of it was done or it was
// not, and a client that got no answer may ask again. Here apps die once in each stretch of a request that looks the
// same from outside, on our own tables.

const places = crashStores
  .filter(({ own }) => own)
  .flatMap((store) =>
    store.server !== 'MySQL'
      ? [[store.title, store, inject('postgresql')] as const]
      : databases().map(({ name, server }) => [`${store.title} (${name})`, store, server] as const),
  )

test.each(places)(
  'on %s, an app that is killed in the middle of a request leaves nothing half done, and a retry does no harm',
  { timeout: 600_000 },
  async (_title, store, server) => {
    const outcome = await playCrashes('short', { server, stores: [store] })
    expect(outcome).toMatchObject({ lost: 0, foreign: 0, untyped: 0, strange: [] })
    expect(outcome.typed).toEqual({})
    expect(outcome.runs).toBeGreaterThan(30)
  },
)
