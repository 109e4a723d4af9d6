import type { SessionId } from 'coatcheck'
import { median } from '../statistics.ts'
import { drawLiveIds, type FilledTable } from './table.ts'

const hotSessions = 1_000
export const batchSize = 32

/** Median microseconds of one `find`. */
export interface LookupTimes {
  /** One id of a hot set that was read just before. */
  readonly warm: number
  /** 32 ids of it. */
  readonly warmBatch: number
  /** One id of all that the table has. */
  readonly uniform: number
  /** Medians over the rounds of `warm` and `warmBatch`, divided by the first table's in the same round. */
  readonly warmRatio: number
  readonly warmBatchRatio: number
}

/** Looks up sessions in tables that lie in one server, in turns, one lookup after the other. */
export async function measureLookups(tables: readonly FilledTable[], rounds: number): Promise<LookupTimes[]> {
  const subjects: Subject[] = []
  for (const table of tables) subjects.push(new Subject(table, await drawLiveIds(table, hotSessions)))
  for (let round = -1; round < rounds; round++) {
    const order = subjects.map((_, index) => subjects[(index + round + 1) % subjects.length]!)
    for (const subject of order) await subject.measure(round >= 0) // the first round warms up the code
  }
  return subjects.map((subject) => subject.times(subjects[0]!))
}

class Subject {
  readonly #table: FilledTable
  readonly #hot: readonly SessionId[]
  readonly #batches: readonly SessionId[][]
  readonly #rounds: { readonly warm: number; readonly warmBatch: number; readonly uniform: number }[] = []

  constructor(table: FilledTable, hot: readonly SessionId[]) {
    this.#table = table
    this.#hot = hot
    this.#batches = Array.from({ length: Math.floor(hot.length / batchSize) }, (_, index) =>
      hot.slice(index * batchSize, (index + 1) * batchSize),
    )
  }

  async measure(counts: boolean): Promise<void> {
    const each = this.#hot.map((id) => [id])
    await this.#timeOf(each)
    const warm = await this.#timeOf(each)
    const warmBatch = await this.#timeOf(this.#batches)
    const anywhere = this.#hot.map(() => [this.#table.idOf(1 + Math.floor(Math.random() * this.#table.rows))])
    const uniform = await this.#timeOf(anywhere)
    if (counts) this.#rounds.push({ warm, warmBatch, uniform })
  }

  /** The median lookup in microseconds. */
  async #timeOf(lookups: readonly (readonly SessionId[])[]): Promise<number> {
    const took: number[] = []
    for (const ids of lookups) {
      const from = performance.now()
      await this.#table.store.find(ids)
      took.push((performance.now() - from) * 1_000)
    }
    return median(took)
  }

  times(first: Subject): LookupTimes {
    const of = (name: 'warm' | 'warmBatch' | 'uniform') => median(this.#rounds.map((round) => round[name]))
    const ratio = (name: 'warm' | 'warmBatch') =>
      median(this.#rounds.map((round, index) => round[name] / first.#rounds[index]![name]))
    return {
      warm: of('warm'),
      warmBatch: of('warmBatch'),
      uniform: of('uniform'),
      warmRatio: ratio('warm'),
      warmBatchRatio: ratio('warmBatch'),
    }
  }
}
