// One app in a process of its own: plays its part of the programs that come by messages, as fast as it can, and
// answers with what it was told: node process-app.ts sqlite|mysql <file or URL>
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { Acts, hour, type Jar, realTime, sessionsOn } from './acts.ts'
import { type Facts, History } from './history.ts'
import type { Arrival } from './program.ts'

/** What one process plays. */
export interface Part {
  readonly app: number
  readonly arrivals: readonly { readonly name: string; readonly arrival: Arrival }[]
  readonly jars: Jar[]
  readonly facts: Facts
}

async function play({ app, arrivals, jars, facts }: Part): Promise<Facts> {
  const history = new History({ versionsGrow: false, grace: true, precision: 0, absolute: hour }, facts)
  const engines = Array.from({ length: app + 1 }, () => sessions)
  const acts = new Acts(history, realTime, engines, jars)
  await Promise.all(arrivals.map(({ name, arrival }) => acts.arrive(arrival, name)))
  return history.facts
}

const [kind, where] = process.argv.slice(2)
const sessions = sessionsOn(kind === 'mysql' ? new MySQLStore(where!) : new SQLiteStore(where!), false)

process.on('message', (part: Part) => void play(part).then((facts) => process.send?.(facts)))
process.on('disconnect', () => void sessions.close())
