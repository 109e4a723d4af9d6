import type { ListedRecord, Sessions, SessionStore } from 'coatcheck'
import { vi } from 'vitest'
import { publicIdOf } from '../../dist/core/store/record.js'
import { bag } from '../core/works.ts'
import { Acts, begin, hour, type Jar, sessionsOn } from './acts.ts'
import type { Checks, Life, Ticket, View } from './facts.ts'
import { History } from './history.ts'
import { apps, type Program } from './program.ts'
import { Schedule } from './schedule.ts'
import { ScheduledStore } from './scheduled-store.ts'
import type { StoreTraits } from './store-traits.ts'
import { viewOf } from './visit.ts'

/**
 * Plays a program on several apps and a store that they share, one step at a time, and then lets all be well again.
 * @throws Error with the invariants that did not hold, and the steps
 */
export async function play(program: Program, store: SessionStore, traits: StoreTraits): Promise<Checks> {
  const history = new History({ ...traits, absolute: hour })
  const schedule = new Schedule(apps)
  const jars = await begin(program, store, history, schedule)
  // Two proofs of who somebody is are told apart by their moments.
  for (const begun = Date.now(); Date.now() === begun;) await turns()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
  try {
    const ways = Array.from({ length: apps }, (_, app) => {
      return new ScheduledStore(store, schedule, app, (record) => {
        if (record.hash) history.witness(record)
      })
    })
    const engines = ways.map((way) => sessionsOn(way, program.touches))
    const acts = new Acts(history, schedule, engines, jars)
    const over = program.arrivals.map((arrival, index) => acts.arrive(arrival, `r${index}`))
    await schedule.run(program.choices)
    await settled(over, program, history, schedule)
    checkWrites(program, ways, history)
    schedule.openUp()
    await checkTheEnd(store, history, schedule)
    await checkEveryToken(jars, engines, history, schedule)
    await checkAllWorks(jars, engines, history, schedule)
    await checkNothingLeaks(engines, history, schedule)
  } finally {
    random.mockRestore()
    vi.useRealTimers()
  }
  if (history.violations.length > 0) {
    const unique = [...new Set(history.violations)]
    throw new Error(`${unique.join('\n')}\n  ${schedule.log.join('\n  ')}`)
  }
  return history.checks
}

async function settled(
  over: readonly Promise<void>[],
  program: Program,
  history: History,
  schedule: Schedule,
): Promise<void> {
  const still = new Set(program.arrivals.keys())
  over.forEach((arrival, index) => void arrival.then(() => still.delete(index)))
  await turns()
  for (const [index, { app }] of program.arrivals.entries()) {
    history.check('I11', schedule.isDead(app) || !still.has(index), () => `r${index} never comes to its end`)
  }
}

function checkWrites(
  { arrivals, touches }: Program,
  ways: readonly ScheduledStore[],
  history: History,
): void {
  const requests = arrivals.map((arrival) => (arrival.kind === 'request' ? arrival.actions : undefined))
  if (!requests.every((actions) => actions?.every((action) => action === 'touch'))) return
  const writes = ways.flatMap((way) => way.writes)
  const most = touches ? requests.length : requests.filter((actions) => actions!.length > 0).length
  const held = writes.every((type) => type === 'touch') && writes.length <= most
  history.check('I10', held, () => `${requests.length} requests that read wrote ${writes.join()}`)
}

async function checkTheEnd(store: SessionStore, history: History, schedule: Schedule): Promise<void> {
  const records = await allRecords(store)
  for (const record of records) history.witness(record)
  history.atTheEnd(records.map(storedView), schedule.now)
}

/** The sessions in a store. */
export async function allRecords(store: SessionStore): Promise<ListedRecord[]> {
  const records: ListedRecord[] = []
  let after: string | undefined
  do {
    const page = await store.list({ after, limit: 100, data: true })
    records.push(...page.items)
    after = page.next
  } while (after !== undefined)
  return records
}

export function storedView(record: ListedRecord): View {
  const data = JSON.parse(Buffer.from(record.data!).toString()) as Record<string, unknown>
  return { publicId: publicIdOf(record), userId: record.userId, data }
}

/** Every token that was ever given, at each app that lives. */
async function checkEveryToken(
  jars: readonly Jar[],
  engines: readonly Sessions[],
  history: History,
  schedule: Schedule,
): Promise<void> {
  const living = engines.filter((_, app) => !schedule.isDead(app))
  const tickets = jars.flat().filter((ticket) => ticket !== null)
  for (const ticket of tickets) {
    const started = schedule.now
    const works = await Promise.all(living.map((sessions) => sessions.load(ticket.token)))
    for (const work of works) history.seen(ticket, viewOf(work), started, schedule.now)
  }
}

/** Whoever was told a token, and whose session nobody ended, goes on with it. */
async function checkAllWorks(
  jars: readonly Jar[],
  engines: readonly Sessions[],
  history: History,
  schedule: Schedule,
): Promise<void> {
  const sessions = engines.find((_, app) => !schedule.isDead(app))!
  const newest = new Map<Life, Ticket>()
  for (const ticket of jars.flat()) {
    // Of those that somebody else may have claimed since, whichever was given later may not be the one that is good.
    if (ticket && (ticket.life.claims === 0 || ticket.rotations === ticket.life.rotations))
      newest.set(ticket.life, ticket)
  }
  for (const [life, { token }] of newest) {
    if (life.untold > 0 || history.mayHaveEnded(life)) continue
    const work = await sessions.load(token)
    const works = !work.isNew && !work.isFormer && (await changes(work, sessions))
    history.check('I11', works, () => `${life.publicId}, which nobody ended, does not work`)
  }
}

async function changes(work: Awaited<ReturnType<Sessions['load']>>, sessions: Sessions): Promise<boolean> {
  bag(work).afterwards = 1
  await work.commit()
  return bag(await sessions.load(work.id)).afterwards === 1
}

async function checkNothingLeaks(
  engines: readonly Sessions[],
  history: History,
  schedule: Schedule,
): Promise<void> {
  const living = engines.filter((_, app) => !schedule.isDead(app))
  let closed = 0
  for (const sessions of living) void sessions.close().then(() => closed++)
  await turns()
  const left = living.length - closed + schedule.pending
  history.check('I11', left === 0, () => `${left} calls of the store are left`)
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
