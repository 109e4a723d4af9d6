// One app in a process of its own: plays its part of the programs that come by messages, as fast as it can, and
// answers with what it was told: node process-app.ts <name of a place> <file or URL>
import { Acts, hour, type Jar, realTime, sessionsOn } from './acts.ts'
import type { Account, Facts } from './facts.ts'
import { History } from './history.ts'
import { type PlaceName, places } from './places.ts'
import type { Arrival } from './program.ts'

/** What one process plays. */
export interface Part {
  readonly app: number
  readonly arrivals: readonly { readonly name: string; readonly arrival: Arrival }[]
  readonly jars: Jar[]
  readonly facts: Facts
}

/** What it was told by that, and the tokens that its browsers have then. */
export interface Played {
  readonly account: Account
  readonly jars: readonly Jar[]
}

async function play({ app, arrivals, jars, facts }: Part): Promise<Played> {
  const history = new History({ ...place.traits, absolute: hour }, facts)
  const engines = Array.from({ length: app + 1 }, () => sessions)
  const acts = new Acts(history, realTime, engines, jars)
  const arrive = ({ name, arrival }: Part['arrivals'][number]) => acts.arrive(arrival, name)
  // Half of them at once, to be in each other's way. Meanwhile the others, one by one: so that some begin after what
  // others were told is stored, or has ended.
  const [together, oneByOne] = [
    arrivals.filter((_, index) => index % 2 === 0),
    arrivals.filter((_, index) => index % 2 === 1),
  ]
  const first = together.map(arrive)
  for (const next of oneByOne) await arrive(next)
  await Promise.all(first)
  return { account: history.account, jars }
}

const [name, where] = process.argv.slice(2) as [PlaceName, string]
const place = places[name]
const sessions = sessionsOn(place.open(where), false)

process.on('message', (part: Part) => void play(part).then((played) => process.send?.(played)))
process.on('disconnect', () => void sessions.close())
