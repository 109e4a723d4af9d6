import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SessionStore } from 'coatcheck'
import { createConnection } from 'mysql2/promise'
import { Client } from 'pg'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { createId } from '../../dist/core/token.js'
import { databases, freshDatabase } from '../servers/databases.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { emptyRedis, freshRedis } from '../servers/redis-places.ts'
import { ownProcess } from '../servers/owned.ts'
import { begin, hour, type Jar, realTime, sessionsOn } from './acts.ts'
import type { Checks, Invariant } from './facts.ts'
import { History } from './history.ts'
import { type PlaceName, places } from './places.ts'
import { allRecords, storedView } from './play.ts'
import type { Part, Played } from './process-app.ts'
import { apps, type Focus, type Program, programs, shown } from './program.ts'
import { holds, isReplay, runs, timeout } from './replay.ts'
import type { StoreTraits } from './store-traits.ts'
import { Tally } from './tally.ts'
import { viewOf } from './visit.ts'

const cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function newFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-properties-'))
  cleanUps.push(() => rm(folder, { recursive: true, force: true }))
  return join(folder, 'sessions.db')
}

async function emptyFile(file: string): Promise<void> {
  const database = new DatabaseSync(file, { timeout: 5_000 })
  database.exec('DELETE FROM coatcheck_sessions')
  database.close()
}

async function emptyTable(url: string, table: string): Promise<void> {
  const connection = await createConnection(url)
  await connection.query(`DELETE FROM ${table}`)
  await connection.end()
}

async function emptyPostgreSQL(url: string): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('DELETE FROM coatcheck_sessions')
  await client.end()
}

const tally = new Tally()
afterAll(() => tally.print())

const focus: Focus = {
  actions: [
    'set', 'set', 'same', 'delete', 'increment', 'increment', 'save', 'touch', 'reload', 'rotate',
    'signInAda', 'signInBob', 'signOut', 'destroy', 'regenerate', 'revokeOthers',
  ], // prettier-ignore
  others: ['revoke', 'revokeAll'],
  requests: 20,
  arrivals: [20, 60],
}
const changes: Focus = {
  actions: ['set', 'same', 'delete', 'increment', 'increment', 'save'],
  arrivals: [20, 60],
}

/**
 * What is tried, of what, and the invariants that each is there for. I9 is not among them: it is checked only where a login
 * that was revoked is still to be seen, and that is a matter of moments here. I10 needs a store that counts.
 */
const properties: readonly (readonly [string, Focus, readonly Invariant[]])[] = [
  ['lose no change of each other', changes, ['I1', 'I5', 'I6', 'I8']],
  ['keep what they acknowledged, and nothing that was ended', focus, ['I2', 'I3', 'I4', 'I7', 'I11']],
]

interface SharedPlace {
  readonly title: string
  readonly name: PlaceName
  make(): Promise<string>
  /** Removes all that is there. */
  empty(where: string): Promise<unknown>
}

const sharedPlaces = (Object.keys(places) as PlaceName[]).flatMap((name): SharedPlace[] => {
  if (name === 'sqlite') return [{ title: name, name, make: newFile, empty: emptyFile }]
  if (name === 'postgresql')
    return [{ title: name, name, make: () => freshPostgreSQL(), empty: emptyPostgreSQL }]
  if (name === 'redis') return [{ title: name, name, make: async () => freshRedis(), empty: emptyRedis }]
  return databases().map(({ name: database, server }) => ({
    title: `${name} on ${database}`,
    name,
    make: () => freshDatabase(server),
    empty: (url) => emptyTable(url, name === 'mysql' ? 'coatcheck_sessions' : 'sessions'),
  }))
})

describe.each(sharedPlaces)('three processes on one database of $title', ({ title, name, make, empty }) => {
  test.each(properties)(`%s (${runs(6)} programs)`, { timeout }, async (_, made, about) => {
    const { open, traits } = places[name]
    const where = await make()
    const store = open(where)
    await store.find([createId()])
    cleanUps.push(() => store.close())
    const children = Array.from({ length: apps }, () => startApp(name, where))
    const own = new Tally()
    const property = holds(
      programs(made),
      6,
      async (program) => {
        // Also of what is remembered: in whole seconds, a revocation of the program before would reach logins of this one.
        await empty(where)
        const checks = await play(program, store, traits, children)
        for (const counts of [own, tally]) counts.add(title, checks)
      },
      { shown, again: 'The same program again, which processes come through in another order each time' },
    )
    await expect(property).resolves.toBeUndefined()
    expect(own.neverChecked(title, isReplay ? [] : about), 'never checked').toEqual([])
  })
})

function startApp(...parameters: readonly string[]): ChildProcess {
  const file = join(import.meta.dirname, 'process-app.ts')
  const child = ownProcess(fork(file, parameters, { serialization: 'advanced' }))
  cleanUps.push(async () => {
    const exited = once(child, 'exit')
    child.disconnect()
    await exited
  })
  return child
}

async function play(
  { users, arrivals }: Program,
  store: SessionStore,
  traits: StoreTraits,
  children: readonly ChildProcess[],
): Promise<Checks> {
  const history = new History({ ...traits, absolute: hour })
  const jars = await begin({ users }, store, history, realTime)
  const { facts } = history
  const told = children.map(async (child, app) => {
    const own = arrivals
      .map((arrival, index) => ({ name: `r${index}`, arrival }))
      .filter(({ arrival }) => arrival.app === app)
    return answer(child, { app, arrivals: own, jars, facts })
  })
  const parts = await Promise.all(told)
  history.takeIn(parts.map(({ account }) => account))
  await checkEveryToken(parts.flatMap(({ jars }) => jars).flat(), store, history)
  const records = await allRecords(store)
  for (const record of records) history.witness(record)
  history.atTheEnd(records.map(storedView), realTime.now)
  if (history.violations.length > 0) throw new Error([...new Set(history.violations)].join('\n'))
  return history.checks
}

/** Every token that any process was given, now that all is known. While they played, none knew what another had ended. */
async function checkEveryToken(jar: Jar, store: SessionStore, history: History): Promise<void> {
  const sessions = sessionsOn(store, false)
  const tickets = new Map(jar.filter((ticket) => ticket !== null).map((ticket) => [ticket.token, ticket]))
  for (const ticket of tickets.values()) {
    const started = realTime.now
    const work = await sessions.load(ticket.token)
    const { publicId, browser } = ticket.life
    // How often its session was moved before it, no process could know.
    const known = { ...ticket, life: history.life(publicId, browser), rotations: undefined }
    history.seen(known, viewOf(work), started, realTime.now)
  }
}

/** Has a process play its part. */
async function answer(child: ChildProcess, part: Part): Promise<Played> {
  // Whichever does not come is no longer waited for: a process plays many programs.
  const waiting = new AbortController()
  const answered = Promise.race([
    once(child, 'message', waiting),
    once(child, 'exit', waiting).then(([code]) => {
      throw new Error(`An app ended with ${String(code)}.`)
    }),
  ])
  child.send(part)
  try {
    const [played] = (await answered) as [Played]
    return played
  } finally {
    waiting.abort()
  }
}
