import { optionError } from '../../core/errors.js'
import {
  type AliveRecord,
  aliveOf,
  type ListedRecord,
  type SessionId,
  type SessionRecord,
} from '../../core/store/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import type { RecordTransfer } from '../../core/store/transfer.js'
import { isSessionId } from '../../core/token.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { parts } from '../sql/batch-size.js'
import type { TableLayout } from '../sql/layout.js'
import type { RedisClient } from './client.js'
import { RedisReader } from './reader.js'
import { listedOf } from './record.js'
import { lookScript, readScript } from './scripts.js'
import { checkServers } from './server-check.js'
import { RedisTransfer } from './transfer.js'
import { UserIndex } from './user-index.js'
import { type Replicas, RedisWriter } from './writer.js'

type Found = Map<SessionId, SessionRecord>

/** How many sessions of a user are removed at once. */
const removedAtOnce = 256
/** How many keys a server looks at in one step of a scan. */
const scannedAtOnce = 1_000

/** Sessions and notes as values of Redis, one key each. */
export class RedisRecords implements TableLayout {
  readonly keyedBy = undefined
  readonly clocks: 'one' | 'several'
  readonly transfer: RecordTransfer
  readonly #client: RedisClient
  readonly #reader: RedisReader
  readonly #index: UserIndex
  readonly #writer: RedisWriter

  /** @param writing sends writes; with connections of its own if they wait for replicas. */
  constructor(client: RedisClient, writing: RedisClient, prefix: string, replicas: Replicas | undefined) {
    this.clocks = client.isCluster ? 'several' : 'one'
    this.#client = client
    this.#reader = new RedisReader(client, prefix)
    this.#index = new UserIndex(writing, prefix)
    this.#writer = new RedisWriter(writing, (id) => this.#reader.keyOf(id), this.#index, replicas)
    this.transfer = new RedisTransfer(this.#reader, this.#index)
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    const found = await this.#reader.records(readScript, ids)
    await this.#dropWithoutRoot(found)
    return ids.map((id) => found.get(id))
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    const found = await this.#looked(ids)
    return ids.map((id) => {
      const record = found.get(id)
      return record && aliveOf(record)
    })
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    return this.#writer.write(writes)
  }

  list(query: ListQuery): Promise<Page<ListedRecord>> {
    return query.userId === undefined ? this.#listAll(query) : this.#listOfUser(query, query.userId)
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    const entries = await this.#index.entries(userIdBytes(userId))
    const ids = unique(entries.map(({ id }) => id)).filter((id) => id !== except)
    let removed = 0
    for (const part of parts(ids, removedAtOnce)) {
      const results = await this.#writer.write(part.map((id) => ({ type: 'remove', id, userId })))
      for (const result of results) {
        if (result instanceof Error) throw result
        if (result === 'done') removed++
      }
    }
    return removed
  }

  /** The server removes what has expired by itself. */
  async removeExpired(): Promise<number> {
    return 0
  }

  async makeTable(): Promise<void> {
    await checkServers(this.#client)
  }

  /** What can be found of some ids, without their data. */
  async #looked(ids: readonly SessionId[]): Promise<Found> {
    const found = await this.#reader.records(lookScript, ids)
    await this.#dropWithoutRoot(found)
    return found
  }

  /**
   * Drops children whose root is gone, or somebody else's. A root that was read beside its child counts as it was read:
   * whoever asks for a child asks for its root at the same moment.
   */
  async #dropWithoutRoot(found: Found): Promise<void> {
    const children = [...found.values()].filter(({ rootId }) => rootId !== undefined)
    if (children.length === 0) return
    const missing = unique(children.map(({ rootId }) => rootId!)).filter((id) => !found.has(id))
    const roots = await this.#reader.records(lookScript, missing)
    for (const { id, rootId, userId } of children) {
      const root = found.get(rootId!) ?? roots.get(rootId!)
      if (root === undefined || root.userId !== userId) found.delete(id)
    }
  }

  /** The index names them all, and their times order them. */
  async #listOfUser({ after, limit, data }: ListQuery, userId: string): Promise<Page<ListedRecord>> {
    const place = after === undefined ? undefined : placeIn(after)
    const entries = await this.#index.entries(userIdBytes(userId))
    const found = await this.#looked(unique(entries.map(({ id }) => id)))
    const left = [...found.values()]
      .filter((record) => record.userId === userId && record.hash !== undefined)
      .filter((record) => place === undefined || isBefore(place, record))
      .sort((one, other) => (isBefore(one, other) ? -1 : 1))
    return this.#page(left, limit, data, ({ id, seenAt }) => `${seenAt}.${id}`)
  }

  /** Each page scans all keys anew, and keeps of them the next in order: so it needs no memory for all. */
  async #listAll({ after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    if (after !== undefined && !isSessionId(after)) throw badPlace()
    const records: SessionRecord[] = []
    let below = after
    while (records.length <= limit) {
      const ids = await this.#greatestBelow(below, limit + 1)
      const found = await this.#looked(ids)
      for (const id of ids) {
        const record = found.get(id)
        if (record?.hash !== undefined) records.push(record)
      }
      if (ids.length <= limit) break
      below = ids.at(-1)
    }
    return this.#page(records, limit, data, ({ id }) => id)
  }

  /** The `most` greatest ids below one, the greatest first. */
  async #greatestBelow(below: string | undefined, most: number): Promise<SessionId[]> {
    const end = below === undefined ? undefined : orderOf(below)
    let greatest = new Set<string>()
    await this.#client.everywhere(async (send) => {
      let cursor = '0'
      do {
        const { ids, next } = await this.#reader.scan(send, cursor, scannedAtOnce)
        cursor = next
        for (const order of ids.map(orderOf)) if (end === undefined || order < end) greatest.add(order)
        if (greatest.size > 2 * most) greatest = new Set(descending(greatest).slice(0, most))
      } while (cursor !== '0')
    })
    return descending(greatest)
      .slice(0, most)
      .map((order) => Buffer.from(order, 'latin1').toString('base64url') as SessionId)
  }

  async #page(
    records: readonly SessionRecord[],
    limit: number,
    data: boolean,
    placeOf: (record: SessionRecord) => string,
  ): Promise<Page<ListedRecord>> {
    const page = records.slice(0, limit)
    const next = records.length > limit ? placeOf(page.at(-1)!) : undefined
    if (!data) return { items: page.map((record) => listedOf(record, false)), next }
    const ids = page.map(({ id }) => id)
    const found = await this.#reader.records(readScript, ids)
    const whole = ids.flatMap((id) => found.get(id) ?? [])
    return { items: whole.map((record) => listedOf(record, true)), next }
  }
}

/** The bytes of an id as a text: such texts compare as the bytes do, and those of base64url do not. */
function orderOf(id: string): string {
  return Buffer.from(id, 'base64url').toString('latin1')
}

function descending(orders: Iterable<string>): string[] {
  return [...orders].sort((one, other) => (one > other ? -1 : 1))
}

function unique<Item>(items: readonly Item[]): Item[] {
  return [...new Set(items)]
}

/** Where a record stands in a listing of one user: the last used first. */
type Place = Pick<SessionRecord, 'id' | 'seenAt'>

function isBefore(one: Place, other: Place): boolean {
  return one.seenAt === other.seenAt ? orderOf(one.id) > orderOf(other.id) : one.seenAt > other.seenAt
}

function placeIn(after: string): Place {
  const [, seenAt, id] = /^(\d{1,15})\.([\w-]{16})$/.exec(after) ?? []
  if (id === undefined) throw badPlace()
  return { id: id as SessionId, seenAt: Number(seenAt) }
}

function badPlace(): Error {
  return optionError('`after` must be the `next` value of the previous page.')
}
