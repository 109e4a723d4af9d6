import { mainShape, shapes } from '../apps/shapes.ts'
import { changeHalf, deep, longText, sizeLimit, wide } from './inputs.ts'
import type { Place, StoreName } from './place.ts'
import { ReplacedImports } from './replaced-imports.ts'

/** What is measured: says in a few words how it ended. */
type Work = () => Promise<string>

/** One input at the limits. */
export interface StallCase {
  readonly input: string
  readonly stores: readonly StoreName[]
  /** Left out: as many as the run asks for. */
  readonly rounds?: number
  /** @returns what prepares a round; that is not measured, nor is this */
  prepare(place: Place): Promise<() => Promise<Work>>
}

/** Nothing of it is the store's doing. */
const anyStore: readonly StoreName[] = ['memory']
const allStores: readonly StoreName[] = ['memory', 'SQLite', 'MySQL']
/** Just under the limit, with the name around it and the digits that a change adds. */
const full = sizeLimit - 1_000

export const cases: readonly StallCase[] = [
  merge('flat', wide(55_000)),
  merge('50 levels deep', deep(50, 55_000)),
  merge('900 levels deep', deep(900, 55_000)),
  mergeWithReplacedImports('flat', wide(55_000)),
  mergeWithReplacedImports('900 levels deep', deep(900, 55_000)),

  ...shapesOf(1_200_000).map(([shape, data]) => ({
    input: `a session of 1.2 MB, ${shape}: refused`,
    stores: anyStore,
    prepare: async (place: Place) => async () => {
      const token = await place.stored({ before: 1 })
      return () => changed(place, token, (held) => Object.assign(held, { data }))
    },
  })),
  {
    input: 'a session of 1.2 MB, many keys, with imports of express-session replaced',
    stores: anyStore,
    prepare: async () => {
      const app = await ReplacedImports.serve()
      const data = wide(1_200_000)
      return async () => async () => (await app.request((held) => Object.assign(held, { data }))).outcome
    },
  },

  ...shapesOf(full).flatMap(([shape, data]): StallCase[] => [
    reads(`a session of 64 kB, ${shape}: read`, (place) => place.stored({ data }), 1),
    reads(`a session of 64 kB, ${shape}: read by 64 requests at once`, (place) => place.stored({ data }), 64),
    {
      input: `a session of 64 kB, ${shape}: changed`,
      stores: anyStore,
      prepare: async (place) => async () => {
        const token = await place.stored({ data })
        return () => changed(place, token, (held) => Object.assign(held, { count: 1 }))
      },
    },
  ]),

  ...rows().flatMap(([row, bytes]): StallCase[] => [
    reads(`a stored row of ${row}: read`, (place) => place.planted(bytes), 1),
    reads(`a stored row of ${row}: read by 64 requests at once`, (place) => place.planted(bytes), 64),
  ]),
  {
    input: 'a stored row of 10^5 keys: changed',
    stores: anyStore,
    prepare: async (place) => async () => {
      const token = await place.planted(Buffer.from(JSON.stringify(manyKeys())))
      return () => changed(place, token, (held) => Object.assign(held, { count: 1 }))
    },
  },

  ...[['0.3 kB', shapes[mainShape].begin()] as const, ['60 kB', { data: wide(60_000) }] as const].map(
    ([size, data]) => ({
      input: `a listing of a user’s 4,000 sessions of ${size}`,
      stores: allStores,
      prepare: async (place: Place) => {
        await place.signedIn('4711', 4_000, data)
        return async () => async () => `${(await place.sessions.user('4711').list()).length} listed`
      },
    }),
  ),
  {
    input: 'one of a user’s 4,000 sessions of 60 kB ended',
    stores: allStores,
    prepare: async (place) => {
      const ids = await place.signedIn('4711', 4_000, { data: wide(60_000) })
      return async () => async () =>
        (await place.sessions.user('4711').revoke(ids.pop()!)) ? 'ended' : 'not found'
    },
  },
  {
    input: 'all of a user’s 4,000 sessions of 60 kB ended',
    stores: allStores,
    rounds: 1,
    prepare: async (place) => {
      await place.signedIn('4711', 4_000, { data: wide(60_000) })
      return async () => async () => `${await place.sessions.user('4711').revokeAll()} ended`
    },
  },
  {
    input: 'a batch of 1,000 expired sessions of 60 kB swept',
    stores: allStores,
    rounds: 1,
    prepare: async (place) => {
      await place.signedIn('4711', 1_000, { data: wide(60_000) }, 1)
      return async () => async () => `${await place.removeExpired(1_000)} swept`
    },
  },
]

type Draft = { draft: Record<string, unknown> }

function merge(shape: string, draft: Record<string, unknown>): StallCase {
  return {
    input: `two changes of 55 kB at once, ${shape}: merged`,
    stores: anyStore,
    prepare: async (place) => async () => {
      const token = await place.stored({ draft })
      const change = (half: 0 | 1) =>
        changed(place, token, (held) => changeHalf((held as Draft).draft, half, 2))
      return async () => (await Promise.all([change(0), change(1)])).join(', ')
    },
  }
}

function mergeWithReplacedImports(shape: string, draft: Record<string, unknown>): StallCase {
  return {
    input: `two changes of 55 kB at once, ${shape}: merged, with imports of express-session replaced`,
    stores: anyStore,
    prepare: async () => {
      const app = await ReplacedImports.serve()
      return async () => {
        const { cookie } = await app.request((held) => Object.assign(held, { draft }))
        const change = async (half: 0 | 1) =>
          (await app.request((held) => changeHalf((held as Draft).draft, half, 2), cookie)).outcome
        return async () => (await Promise.all([change(0), change(1)])).join(', ')
      }
    },
  }
}

/** So many requests at once that open one session. */
function reads(input: string, plant: (place: Place) => Promise<string>, requests: number): StallCase {
  return {
    input,
    stores: anyStore,
    prepare: async (place) => async () => {
      const token = await plant(place)
      const read = async () => {
        const { session } = await place.sessions.load(token)
        return session && Object.keys(session).length > 0 ? 'read' : 'signed out'
      }
      return async () => (await Promise.all(Array.from({ length: requests }, read)))[0]!
    },
  }
}

/** One request that changes a session. */
async function changed(place: Place, token: string, change: (held: object) => unknown): Promise<string> {
  const work = await place.sessions.load(token)
  change(work.session!)
  try {
    await work.commit()
    return 'stored'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

function shapesOf(bytes: number): (readonly [shape: string, data: object])[] {
  return [
    ['many keys', wide(bytes)],
    ['900 levels deep', deep(900, bytes)],
    ['one long text', longText(bytes)],
  ]
}

/** What a fault or an attacker may leave in a database. */
function rows(): (readonly [row: string, bytes: Buffer])[] {
  const valid = Buffer.from(JSON.stringify({ data: wide(full) }))
  return [
    ['10^5 keys', Buffer.from(JSON.stringify(manyKeys()))],
    ['64 kB of noise', noise(full)],
    ['64 kB of JSON without its end', valid.subarray(0, -1)],
    ['64 kB of brackets', Buffer.alloc(full, '[')],
    ['1 MB of balanced brackets', Buffer.from('['.repeat(500_000) + ']'.repeat(500_000))],
  ]
}

function manyKeys(): object {
  return Object.fromEntries(Array.from({ length: 100_000 }, (_, at) => [`k${at}`, at]))
}

/** The same in every run. */
function noise(length: number): Buffer {
  let state = 1
  return Buffer.from(Array.from({ length }, () => (state = (state * 48_271) % 2_147_483_647) & 255))
}
