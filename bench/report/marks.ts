import { onSixtyFour } from '../contenders.ts'
import type { Slice } from '../slice.ts'
import { median } from '../statistics.ts'
import { type Measured, type MeasuredScenario, ratio, scenarioOf } from './measured.ts'

/** What was aimed at, and what one run of the bench gave. */
export interface Mark {
  readonly what: string
  readonly wanted: string
  readonly got: string
  readonly met: boolean
}

const ours = 'express/coatcheck-mysql'
const nothing = 'express/none'
const theirs = 'express/mysql'

/** The marks that a run of the bench can tell of. */
export function marksOf(measured: Measured): Mark[] {
  const read = scenarioOf(measured)
  const change = scenarioOf(measured, { profile: 'change' })
  const p99 = ({ p99: time }: Slice) => time
  return [
    atLeast('MySQL, read-only: requests/s against Express with nothing', 0.85, ratio(read, ours, nothing)),
    atLeast('… against express-session + express-mysql-session', 3.2, ratio(read, ours, theirs)),
    atMost('… its p99 against that', 0.5, ratio(read, ours, theirs, p99)),
    atLeast('… against express-session + connect-redis', 1.6, ratio(read, ours, 'express/redis')),
    atLeast('… against express-session + its MemoryStore', 1.3, ratio(read, ours, 'express/memory')),
    atMost(
      '… app CPU above Express with nothing, against express-mysql-session’s',
      0.15,
      above(read, ours, theirs),
    ),
    atLeast(
      'MySQL, changing on every request: against express-mysql-session',
      2.5,
      ratio(change, ours, theirs),
    ),
    atLeast('… against Express with nothing', 0.6, ratio(change, ours, nothing)),
    atLeast(
      'MySQL, read-only, plain node:http: against express-session + express-mysql-session there',
      4.5,
      ratio(read, 'http/coatcheck-mysql', 'http/mysql'),
    ),
    atLeast(
      'SQLite, read-only: against Express with nothing',
      0.88,
      ratio(read, 'express/coatcheck-sqlite', nothing),
    ),
    atMost(
      'Memory store: app CPU above Express with nothing, against MemoryStore’s',
      0.4,
      above(read, 'express/coatcheck-memory', 'express/memory'),
    ),
    ...alone(measured),
    atMost(
      'Statements for 1,000 read-only requests',
      150,
      median(read.slices[ours]!.map(({ statements }) => statements)),
      0,
    ),
    ...many(measured),
  ]
}

/** One's CPU above that of Express with nothing, against another's. */
function above({ slices }: MeasuredScenario, name: string, other: string): number {
  const cpu = (of: string, round: number) => slices[of]![round]!.appCPU - slices[nothing]![round]!.appCPU
  return median(slices[name]!.map((_, round) => cpu(name, round) / cpu(other, round)))
}

function alone(measured: Measured): Mark[] {
  const one = scenarioOf(measured, { connections: 1 })
  const latency = ({ p50 }: Slice) => p50
  return [
    atMost(
      'MySQL, one connection: latency against express-mysql-session',
      0.7,
      ratio(one, ours, theirs, latency),
    ),
  ]
}

function many(measured: Measured): Mark[] {
  const scenario = scenarioOf(measured, { connections: 256 })
  return [atLeast('256 connections against 64: requests/s', 1, ratio(scenario, ours, onSixtyFour.name))]
}

function atLeast(what: string, wanted: number, got: number): Mark {
  return { what, wanted: `at least ${wanted}`, got: got.toFixed(2), met: got >= wanted }
}

function atMost(what: string, wanted: number, got: number, digits = 2): Mark {
  return { what, wanted: `at most ${wanted}`, got: got.toFixed(digits), met: got <= wanted }
}
