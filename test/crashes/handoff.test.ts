import { expect, inject, test } from 'vitest'
import { playCrashes } from './crashes.ts'
import { handoffCast } from './handoff/requests.ts'
import { crashStores } from './place.ts'

// A hub and its sites die once in each stretch of a hand-off that looks the same from outside: between any two statements, and
// before and after the answer.

const places = crashStores.filter(({ own }) => own).map((store) => [store.title, store] as const)

test.each(places)(
  'on %s, a hub or site that is killed in the middle of a hand-off leaves nobody half signed in or out',
  { timeout: 600_000 },
  async (_title, store) => {
    const outcome = await playCrashes('short', {
      server: inject(store.server === 'PostgreSQL' ? 'postgresql' : 'mariadb'),
      stores: [store],
      cast: handoffCast,
    })
    expect(outcome).toMatchObject({ lost: 0, foreign: 0, untyped: 0, strange: [] })
    // What a browser is told that loads the address of a used code again, or signs out everywhere where nobody is signed in.
    expect(Object.keys(outcome.typed).filter((code) => code !== 'ERR_SESSION_HANDOFF_FAILED')).toEqual([])
    expect(outcome.runs).toBeGreaterThan(25)
  },
)
