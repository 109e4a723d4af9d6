import { onSixtyFour } from '../contenders.ts'
import { type Sleep, type Slice, sleeps } from '../load.ts'
import { type Measured, middle, ratio, ratioAbove, scenarioOf } from './measured.ts'

/** What was aimed at, and what was measured. */
export interface Mark {
  readonly what: string
  readonly wanted: string
  /** With idle cores kept awake and with cores that sleep: as far as the mark is for them, and it was measured. */
  readonly got: Readonly<Partial<Record<Sleep, string>>>
  /** Whether all that was measured is as wanted. */
  readonly met: boolean
}

/** A mark before it is measured. */
interface Aim {
  readonly what: string
  readonly wanted: readonly ['at least' | 'at most', number]
  /** Left out: both. */
  readonly cores?: Sleep
  /** NaN where it was not measured. */
  readonly of: (measured: Pick<Measured, 'scenarios'>, cores: Sleep) => number
}

const ours = 'express/coatcheck-mysql'
const nothing = 'express/none'
const mysql = 'express/mysql'
const redis = 'express/redis'
const oursOnRedis = 'express/coatcheck-redis'
const oursOnPostgreSQL = 'express/coatcheck-postgresql'
const postgresql = 'express/postgresql'
const memory = 'express/memory'

/** The measured scenarios that marks are about, by name. */
const about = {
  reading: {},
  changing: { profile: 'change' },
  alone: { connections: 1 },
  crowded: { connections: 256 },
  dead: { profile: 'dead', connections: 1 },
} as const

type About = keyof typeof about

/** One's figure against another's. */
function against(scenario: About, name: string, other: string, figure?: (slice: Slice) => number): Aim['of'] {
  return (measured, cores) => ratio(scenarioOf(measured, cores, about[scenario]), name, other, figure)
}

/** One's CPU above that of Express with nothing, against another's. */
function aboveExpress(scenario: About, name: string, other: string): Aim['of'] {
  return (measured, cores) => ratioAbove(scenarioOf(measured, cores, about[scenario]), name, other, nothing)
}

function statements(
  measured: Pick<Measured, 'scenarios'>,
  cores: Sleep,
  scenario: About,
  name = ours,
): number {
  return middle(scenarioOf(measured, cores, about[scenario]), name, (slice) => slice.statements)
}

const aims: readonly Aim[] = [
  {
    what: 'MySQL, reading: app CPU above Express, of express-session + express-mysql-session’s',
    wanted: ['at most', 0.12],
    of: aboveExpress('reading', ours, mysql),
  },
  {
    what: '… of express-session + connect-redis’s',
    wanted: ['at most', 0.4],
    of: aboveExpress('reading', ours, redis),
  },
  {
    what: '… requests/s, of express-session + MemoryStore’s',
    wanted: ['at least', 1.4],
    of: against('reading', ours, memory),
  },
  {
    what: '… requests/s, of Express with nothing',
    wanted: ['at least', 0.65],
    cores: 'awake',
    of: against('reading', ours, nothing),
  },
  {
    what: 'SQLite, reading: requests/s, of Express with nothing',
    wanted: ['at least', 0.65],
    cores: 'awake',
    of: against('reading', 'express/coatcheck-sqlite', nothing),
  },
  {
    what: 'MySQL, changing on every request: requests/s, of express-session + express-mysql-session’s',
    wanted: ['at least', 3],
    of: against('changing', ours, mysql),
  },
  {
    what: '… requests/s, of express-session + connect-redis’s',
    wanted: ['at least', 1.3],
    of: against('changing', ours, redis),
  },
  {
    what: '… app CPU above Express, of express-session + connect-redis’s',
    wanted: ['at most', 0.6],
    of: aboveExpress('changing', ours, redis),
  },
  {
    what: 'Redis, reading: requests/s, of express-session + connect-redis’s',
    wanted: ['at least', 1.6],
    of: against('reading', oursOnRedis, redis),
  },
  {
    what: '… app CPU above Express, of express-session + connect-redis’s',
    wanted: ['at most', 0.5],
    of: aboveExpress('reading', oursOnRedis, redis),
  },
  {
    what: 'Redis, changing on every request: requests/s, of express-session + connect-redis’s',
    wanted: ['at least', 1.3],
    of: against('changing', oursOnRedis, redis),
  },
  {
    what: 'PostgreSQL, reading: requests/s, of express-session + connect-pg-simple’s',
    wanted: ['at least', 2.5],
    of: against('reading', oursOnPostgreSQL, postgresql),
  },
  {
    what: '… statements for 1,000 requests',
    wanted: ['at most', 150],
    of: (measured, cores) => statements(measured, cores, 'reading', oursOnPostgreSQL),
  },
  {
    what: 'PostgreSQL, changing on every request: requests/s, of express-session + connect-pg-simple’s',
    wanted: ['at least', 2],
    of: against('changing', oursOnPostgreSQL, postgresql),
  },
  {
    what: 'Memory store, reading: app CPU above Express, of MemoryStore’s',
    wanted: ['at most', 0.3],
    of: aboveExpress('reading', 'express/coatcheck-memory', memory),
  },
  {
    // A sweep, or a session that ends, adds one now and then.
    what: 'MySQL, one connection: statements for reads of dead tokens, of those for reads of live ones',
    wanted: ['at most', 1.01],
    of: (measured, cores) => statements(measured, cores, 'dead') / statements(measured, cores, 'alone'),
  },
  {
    what: 'MySQL, reading: requests/s, of express-session + express-mysql-session’s',
    wanted: ['at least', 3.2],
    of: against('reading', ours, mysql),
  },
  {
    what: '… p99, of express-session + express-mysql-session’s',
    wanted: ['at most', 0.5],
    of: against('reading', ours, mysql, ({ p99 }) => p99),
  },
  {
    what: '… requests/s, of express-session + connect-redis’s',
    wanted: ['at least', 1.6],
    of: against('reading', ours, redis),
  },
  {
    what: '… statements for 1,000 requests',
    wanted: ['at most', 150],
    of: (measured, cores) => statements(measured, cores, 'reading'),
  },
  {
    what: '… plain node:http: requests/s, of express-session + express-mysql-session’s there',
    wanted: ['at least', 4.5],
    of: against('reading', 'http/coatcheck-mysql', 'http/mysql'),
  },
  {
    what: 'MySQL, changing: requests/s, of Express with nothing',
    wanted: ['at least', 0.6],
    cores: 'awake',
    of: against('changing', ours, nothing),
  },
  {
    what: 'MySQL, reading, one connection: p50, of express-session + express-mysql-session’s',
    wanted: ['at most', 0.7],
    of: against('alone', ours, mysql, ({ p50 }) => p50),
  },
  {
    what: 'MySQL, reading: requests/s on 256 connections, of those on 64',
    wanted: ['at least', 1],
    of: against('crowded', ours, onSixtyFour.name),
  },
]

/** The marks that a run of the bench can tell of. All are for the main shape. */
export function marksOf(measured: Pick<Measured, 'scenarios'>): Mark[] {
  return aims.flatMap(({ what, wanted, cores: only, of }) => {
    const got = (only ? [only] : sleeps)
      .map((cores) => [cores, of(measured, cores)] as const)
      .filter(([, value]) => !Number.isNaN(value))
    return got.length === 0
      ? []
      : [mark(only ? `${what}, cores ${only}` : what, wanted, Object.fromEntries(got))]
  })
}

/** @param got what was measured, by whether idle cores were kept awake */
export function mark(
  what: string,
  [limit, wanted]: Aim['wanted'],
  got: Partial<Record<Sleep, number>>,
): Mark {
  const values = Object.entries(got) as [Sleep, number][]
  const digits = wanted >= 10 ? 0 : 2
  return {
    what,
    wanted: `${limit} ${wanted}`,
    got: Object.fromEntries(values.map(([cores, value]) => [cores, value.toFixed(digits)])),
    met: values.every(([, value]) => (limit === 'at least' ? value >= wanted : value <= wanted)),
  }
}
