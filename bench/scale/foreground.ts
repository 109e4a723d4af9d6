import { randomBytes } from 'node:crypto'
import type { SessionId } from 'coatcheck'
import type { MySQLStore } from 'coatcheck/mysql'
import { setTimeout } from 'node:timers/promises'
import { Batcher } from '../../dist/core/store/batcher.js'
import { defaultSweep, Sweeper } from '../../dist/core/store/sweeper.js'
import { median, quantile } from '../statistics.ts'
import { dataLength, drawLiveIds, type FilledTable } from './table.ts'

/** Requests under way at once. Each is followed by the next one without a rest. */
export const concurrency = 16
const day = 86_400_000 // ms
const lifetime = { idle: 7 * day, absolute: undefined }
const hotSessions = 1_000

export interface Latencies {
  /** ms */
  readonly p50: number
  readonly p99: number
  readonly requestsPerSecond: number
}

export interface SweepEffect {
  readonly quiet: Latencies
  readonly sweeping: Latencies
  /** Medians over the rounds of the one divided by the other in the same round. */
  readonly p50Ratio: number
  readonly p99Ratio: number
  readonly rounds: number
  readonly swept: number
  readonly sweptPerSecond: number
}

/**
 * Loads sessions, and changes or touches some, as 16 concurrent requests do, through the batcher and the store and in the
 * process in which the real sweeper runs, because that is where it runs in an app. Slices without and with the sweeper
 * take turns until nothing expired is left.
 *
 * @param sliceSeconds how long each slice with the sweeper is; those without take half as long
 */
export async function measureSweepEffect(table: FilledTable, sliceSeconds: number): Promise<SweepEffect> {
  const foreground = new Foreground(table.store, await drawLiveIds(table, hotSessions))
  await foreground.run(async () => setTimeout(2_000)) // warms up
  const rounds: { readonly quiet: Latencies; readonly sweeping: Latencies }[] = []
  let swept = 0
  let sweepSeconds = 0
  for (let left = true; left;) {
    const quiet = await foreground.run(async () => setTimeout(sliceSeconds * 500))
    const sweeping = await foreground.run(async () => {
      const from = performance.now()
      const slice = await sweepFor(table.store, sliceSeconds)
      sweepSeconds += (performance.now() - from) / 1_000
      swept += slice.swept
      left = !slice.cameToTheEnd
    })
    // The last slice swept only for a part of its time.
    if (left || rounds.length === 0) rounds.push({ quiet, sweeping })
  }
  const ratio = (of: 'p50' | 'p99') => median(rounds.map(({ quiet, sweeping }) => sweeping[of] / quiet[of]))
  return {
    quiet: medians(rounds.map(({ quiet }) => quiet)),
    sweeping: medians(rounds.map(({ sweeping }) => sweeping)),
    p50Ratio: ratio('p50'),
    p99Ratio: ratio('p99'),
    rounds: rounds.length,
    swept,
    sweptPerSecond: swept / sweepSeconds,
  }
}

/** Sweeps until the time is over or nothing is left to sweep. */
async function sweepFor(store: MySQLStore, seconds: number) {
  let swept = 0
  let failure: unknown
  const end = new AbortController()
  const began = performance.now()
  const sweeper = new Sweeper(
    store,
    { ...defaultSweep, every: 1 },
    {
      swept: (count) => {
        swept += count
        end.abort()
      },
      failed: (error) => {
        failure = error
        end.abort()
      },
    },
  )
  await setTimeout(seconds * 1_000, undefined, { signal: end.signal }).catch(() => undefined)
  await sweeper.stop()
  if (failure !== undefined) throw failure
  return { swept, cameToTheEnd: performance.now() - began < seconds * 1_000 }
}

class Foreground {
  readonly #batcher: Batcher
  readonly #ids: readonly SessionId[]

  constructor(store: MySQLStore, ids: readonly SessionId[]) {
    this.#batcher = new Batcher(store)
    this.#ids = ids
  }

  /** Makes requests while `work` is done. */
  async run(work: () => Promise<void>): Promise<Latencies> {
    const took: number[] = []
    let over = false
    const from = performance.now()
    const workers = Array.from({ length: concurrency }, async () => {
      while (!over) {
        const began = performance.now()
        await this.#request()
        took.push(performance.now() - began)
      }
    })
    try {
      await work()
    } finally {
      over = true
      await Promise.all(workers)
    }
    const seconds = (performance.now() - from) / 1_000
    took.sort((one, other) => one - other)
    return { p50: quantile(took, 0.5), p99: quantile(took, 0.99), requestsPerSecond: took.length / seconds }
  }

  /** Of 100 requests, 90 only load their session, 5 touch it, 5 change it. */
  async #request(): Promise<void> {
    const id = this.#ids[Math.floor(Math.random() * this.#ids.length)]!
    const record = await this.#batcher.find(id)
    if (record === undefined) throw new Error('A live session is gone.')
    const chance = Math.random()
    if (chance < 0.9) return
    const { userId, version, hash } = record
    const data = Buffer.alloc(dataLength, randomText())
    const mark = randomBytes(8)
    if (chance < 0.95) await this.#batcher.write({ type: 'touch', id, hash: hash!, lifetime })
    // Another worker may have changed it first: `stale` is an answer like any other.
    else await this.#batcher.write({ type: 'update', id, userId, data, format: 1, mark, version, lifetime })
  }
}

function randomText(): string {
  return Math.random().toString(36)
}

function medians(all: readonly Latencies[]): Latencies {
  const of = (name: keyof Latencies) => median(all.map((latencies) => latencies[name]))
  return { p50: of('p50'), p99: of('p99'), requestsPerSecond: of('requestsPerSecond') }
}
