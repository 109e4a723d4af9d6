import type { Places } from '../apps/session-kinds.ts'
import { cases } from './cases.ts'
import { longestHold, type Hold } from './hold.ts'
import { Place, type StoreName } from './place.ts'

/** What one input did. */
export interface Stalled {
  /** One a round. */
  readonly holds: readonly Hold[]
  /** How the last round ended. */
  readonly outcome: string
}

/** ms: no further round begins after that. What takes so long needs no median. */
const longEnough = 20_000

// One input on one store, in a process of its own: `node --expose-gc one.ts INPUT STORE ROUNDS`, the `Places` as JSON in PLACES.
const [input, store, rounds] = process.argv.slice(2) as [string, StoreName, string]
const stallCase = cases.find((each) => each.input === input)!
const place = new Place(store, JSON.parse(process.env['PLACES']!) as Places)
const prepareRound = await stallCase.prepare(place)
const holds: Hold[] = []
const began = performance.now()
let outcome = ''
for (
  let round = 0;
  round < (stallCase.rounds ?? Number(rounds)) && performance.now() - began < longEnough;
  round++
) {
  const work = await prepareRound()
  // What it took to prepare is not to be cleared away at the expense of what is measured.
  globalThis.gc!()
  holds.push(await longestHold(async () => (outcome = await work())))
}
await place.close()
process.send!({ holds, outcome } satisfies Stalled)
process.disconnect!()
