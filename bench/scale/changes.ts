import { randomBytes } from 'node:crypto'
import type { SessionId, SessionWrite } from 'coatcheck'
import { defaultSweep } from '../../dist/core/store/sweeper.js'
import { median } from '../statistics.ts'
import { dataLength, drawLiveIds, type FilledTable, newId } from './table.ts'

/** Batches under way at once, and writes in one: one lane less than the engine has. */
const lanes = 2
const batchSize = 64
const hotSessions = 1_024
const lifetime = { idle: 7 * 86_400_000, absolute: undefined } // 7 days, in ms
const sliceSeconds = 1

/** Median rows a second. */
export interface ChangeRates {
  readonly insert: number
  readonly touch: number
  /** Without the rests that the sweeper makes. `undefined` where there was nothing to sweep. */
  readonly sweep: number | undefined
}

/** Inserts, touches and sweeps in slices of a second, the tables in turns. */
export async function measureChanges(tables: readonly FilledTable[], rounds: number): Promise<ChangeRates[]> {
  const subjects: { table: FilledTable; hot: SessionId[]; rates: Record<keyof ChangeRates, number[]> }[] = []
  for (const table of tables) {
    const hot = await drawLiveIds(table, hotSessions)
    subjects.push({ table, hot, rates: { insert: [], touch: [], sweep: [] } })
  }
  for (let round = 0; round < rounds; round++) {
    for (const { table, hot, rates } of subjects) {
      rates.insert.push(await insertRate(table, true))
      rates.touch.push(await touchRate(table, hot))
      const sweep = await sweepRate(table)
      if (sweep !== undefined) rates.sweep.push(sweep)
    }
  }
  return subjects.map(({ rates }) => ({
    insert: median(rates.insert),
    touch: median(rates.touch),
    sweep: rates.sweep.length === 0 ? undefined : median(rates.sweep),
  }))
}

/** Rows a second inserted into each of two tables, in turns: one that ids begin with time in, and one where they do not. */
export async function measureIds(timed: FilledTable, random: FilledTable, rounds: number) {
  const rates = { timed: [] as number[], random: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    rates.timed.push(await insertRate(timed, true))
    rates.random.push(await insertRate(random, false))
  }
  return { timed: median(rates.timed), random: median(rates.random) }
}

function insertRate({ store }: FilledTable, timedIds: boolean): Promise<number> {
  return rate(async () => {
    const writes = Array.from({ length: batchSize }, (_, index) => insertOf(newId(timedIds), index % 4 === 0))
    await writeAll(store, writes)
    return writes.length
  })
}

async function touchRate({ store }: FilledTable, hot: readonly SessionId[]): Promise<number> {
  const touches = (await store.alive(hot)).map((alive): SessionWrite => ({
    type: 'touch',
    id: alive!.id,
    hash: alive!.hash!,
    lifetime,
  }))
  let next = 0
  return rate(async () => {
    const batch = touches.slice(next, next + batchSize)
    next = (next + batchSize) % touches.length
    await writeAll(store, batch)
    return batch.length
  })
}

/** Until nothing is left, or the slice is over. `undefined` if there was hardly anything. */
async function sweepRate({ store }: FilledTable): Promise<number | undefined> {
  const from = performance.now()
  let swept = 0
  for (let seconds = 0; seconds < sliceSeconds; seconds = (performance.now() - from) / 1_000) {
    const removed = await store.removeExpired(defaultSweep.batch)
    swept += removed
    if (removed < defaultSweep.batch) break
  }
  return swept < defaultSweep.batch ? undefined : (swept * 1_000) / (performance.now() - from)
}

/** @param send sends one batch and tells how many rows it was for */
async function rate(send: () => Promise<number>): Promise<number> {
  const from = performance.now()
  let rows = 0
  const lane = async () => {
    while (performance.now() - from < sliceSeconds * 1_000) rows += await send()
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return (rows * 1_000) / (performance.now() - from)
}

function insertOf(id: SessionId, signedIn: boolean): SessionWrite {
  return {
    type: 'insert',
    id,
    hash: randomBytes(32),
    format: 1,
    mark: randomBytes(8),
    userId: signedIn ? `user-${Math.floor(Math.random() * 1e7)}` : undefined,
    signedIn,
    data: Buffer.alloc(dataLength, 'x'),
    lifetime,
  }
}

async function writeAll(store: FilledTable['store'], writes: readonly SessionWrite[]): Promise<void> {
  const results = await store.write(writes)
  const failed = results.find((result) => result !== 'done')
  if (failed !== undefined) throw new Error(`A write was ${failed}.`)
}
