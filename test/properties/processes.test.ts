import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { afterEach, describe, expect, test } from 'vitest'
import { freshDatabase } from '../servers/databases.ts'
import { begin, hour, realTime } from './acts.ts'
import { type Facts, History } from './history.ts'
import { allRecords, storedView } from './play.ts'
import type { Part } from './process-app.ts'
import { apps, type Focus, type Program, programs } from './program.ts'
import { holds, runs, timeout } from './replay.ts'

const cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

interface Place {
  readonly name: 'sqlite' | 'mysql'
  where(): Promise<string>
  open(where: string): SessionStore
}

const places: readonly Place[] = [
  {
    name: 'sqlite',
    where: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'coatcheck-properties-'))
      cleanUps.push(() => rm(folder, { recursive: true, force: true }))
      return join(folder, 'sessions.db')
    },
    open: (where) => new SQLiteStore(where),
  },
  { name: 'mysql', where: () => freshDatabase(), open: (where) => new MySQLStore(where) },
]

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

describe.each(places)('three processes on one database of $name', ({ name, where, open }) => {
  test.each([
    ['lose no change of each other', changes],
    ['keep what they acknowledged, and nothing that was ended', focus],
  ])(`%s (${runs(6)} programs)`, { timeout }, async (_, made) => {
    const place = await where()
    const store = open(place)
    cleanUps.push(() => store.close())
    const children = Array.from({ length: apps }, () => startApp(name, place))
    const property = holds(programs(made), 6, (program) => play(program, store, children))
    await expect(property).resolves.toBeUndefined()
  })
})

function startApp(...parameters: readonly string[]): ChildProcess {
  const file = join(import.meta.dirname, 'process-app.ts')
  const child = fork(file, parameters, { serialization: 'advanced' })
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
  children: readonly ChildProcess[],
): Promise<void> {
  await Promise.all((await allRecords(store)).map(({ key }) => store.write([{ type: 'remove', key }])))
  const traits = { versionsGrow: true, grace: true, precision: 0, absolute: hour }
  const history = new History(traits)
  const jars = await begin({ users }, store, history, realTime)
  const { facts } = history
  const told = children.map(async (child, app) => {
    const own = arrivals
      .map((arrival, index) => ({ name: `r${index}`, arrival }))
      .filter(({ arrival }) => arrival.app === app)
    return answer(child, { app, arrivals: own, jars, facts })
  })
  history.takeIn(await Promise.all(told))
  const records = await allRecords(store)
  for (const record of records) history.witness(record)
  history.atTheEnd(records.map(storedView), realTime.now)
  expect([...new Set(history.violations)]).toEqual([])
}

/** Has a process play its part, and gives what it was told. */
async function answer(child: ChildProcess, part: Part): Promise<Facts> {
  const answered = Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`An app ended with ${String(code)}.`)
    }),
  ])
  child.send(part)
  const [facts] = (await answered) as [Facts]
  return facts
}
