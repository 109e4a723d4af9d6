import fc from 'fast-check'
import { expect, test } from 'vitest'
import { holds, timeout } from '../properties/replay.ts'
import { type Act, type Event, type Pass, type Turn, World } from './transfer-world.ts'

// Random histories of two stores, and of a copy that is killed between any two steps. `transfer-world.ts` has the rules.

const act = fc.record<Act>({
  place: fc.constantFrom('old', 'old', 'new'),
  kind: fc.constantFrom(
    'create',
    'create',
    'note',
    'change',
    'change',
    'touch',
    'rotate',
    'signIn',
    'remove',
  ),
  target: fc.nat({ max: 12 }),
})
const pass = fc.record<Pass>({
  kind: fc.constant('pass'),
  crashAt: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  half: fc.boolean(),
  during: fc.array(act, { maxLength: 12 }),
})
const event: fc.Arbitrary<Event> = fc.oneof({ weight: 3, arbitrary: act }, { weight: 1, arbitrary: pass })
const eventOfBothWays: fc.Arbitrary<Event> = fc.oneof(
  { weight: 6, arbitrary: act },
  { weight: 3, arbitrary: pass },
  { weight: 1, arbitrary: fc.constant<Turn>({ kind: 'turn' }) },
)

async function play(events: readonly Event[], offset: number): Promise<number> {
  const world = new World(offset)
  try {
    for (const each of events) await world.happen(each)
    await world.settle()
    return world.kills
  } finally {
    await world.close()
  }
}

test(
  'whatever apps do on both sides, and wherever the copy is killed, the rules hold',
  async () => {
    const history = fc.record({
      events: fc.array(event, { minLength: 5, maxLength: 60 }),
      offset: fc.constantFrom(0, 0, 7_200_000, -5_000),
    })
    let kills = 0
    const check = async ({ events, offset }: { events: Event[]; offset: number }) => {
      kills += await play(events, offset)
    }
    await holds(history, 150, check, { shown: JSON.stringify })
    expect(kills).toBeGreaterThan(50)
  },
  timeout,
)

test(
  'whichever way the copy goes, nothing that was ended comes back, and nothing else is lost',
  async () => {
    const history = fc.array(eventOfBothWays, { minLength: 5, maxLength: 60 })
    let kills = 0
    const check = async (events: Event[]) => {
      kills += await play(events, 0)
    }
    await holds(history, 100, check, { shown: JSON.stringify })
    expect(kills).toBeGreaterThan(30)
  },
  timeout,
)
