import { optionError } from '../../core/errors.js'
import {
  type AliveRecord,
  aliveOf,
  type ListedRecord,
  type SessionId,
  type SessionRecord,
} from '../../core/store/record.js'
import type { ListQuery, Page, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import { isSessionId } from '../../core/token.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { parts } from '../sql/batch-size.js'
import type { TableLayout } from '../sql/layout.js'
import type { RedisClient } from './client.js'
import { listedOf, recordOf } from './record.js'
import { lookScript, readScript, type Script } from './scripts.js'
import { checkServers } from './server-check.js'
import { UserIndex } from './user-index.js'
import { type Replicas, RedisWriter } from './writer.js'

type Found = Map<SessionId, SessionRecord>

/** The most keys that one script reads, where all lie on one server. */
const largestPart = 256
/** How many keys a server looks at in one step of a scan. */
const scannedAtOnce = 1_000

/** Sessions and notes as values of Redis, one key each. */
export class RedisRecords implements TableLayout {
  readonly keyedBy = undefined
  readonly clocks: 'one' | 'several'
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #index: UserIndex
  readonly #writer: RedisWriter

  /** @param writing sends writes; with connections of its own if they wait for replicas. */
  constructor(client: RedisClient, writing: RedisClient, prefix: string, replicas: Replicas | undefined) {
    this.clocks = client.isCluster ? 'several' : 'one'
    this.#client = client
    this.#prefix = prefix
    this.#index = new UserIndex(writing, prefix)
    this.#writer = new RedisWriter(writing, (id) => this.#keyOf(id), this.#index, replicas)
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    const found = await this.#read(readScript, ids)
    await this.#dropWithoutRoot(found)
    return ids.map((id) => found.get(id))
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    const found = await this.#read(lookScript, ids)
    await this.#dropWithoutRoot(found)
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
    const user = userIdBytes(userId)
    const entries = (await this.#index.entries(user)).filter(({ id }) => id !== except)
    let removed = 0
    for (const ids of parts(unique(entries.map(({ id }) => id)), largestPart)) {
      const results = await this.#writer.write(ids.map((id) => ({ type: 'remove', id, userId })))
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

  #keyOf(id: SessionId): string {
    return `${this.#prefix}${id}`
  }

  /** The live records of some ids; of children, whether their roots live or not. */
  async #read(script: Script, ids: readonly SessionId[]): Promise<Found> {
    const found: Found = new Map()
    const known = ids.filter(isSessionId)
    const portions = parts(known, this.#client.isCluster ? 1 : largestPart)
    await Promise.all(
      portions.map(async (portion) => {
        const keys = portion.map((id) => this.#keyOf(id))
        const [readAt, ...values] = (await this.#client.read(() => this.#client.run(script, keys))) as [
          number,
          ...(Buffer | null)[],
        ]
        portion.forEach((id, index) => {
          const record = recordOf(id, values[index]!, Number(readAt), script === readScript)
          if (record) found.set(id, record)
        })
      }),
    )
    return found
  }

  /**
   * Drops children whose root is gone, or somebody else's. A root that is read together with its child counts as it was read;
   * it is one that the caller asks for at the same moment.
   */
  async #dropWithoutRoot(found: Found): Promise<void> {
    const children = [...found.values()].filter(({ rootId }) => rootId !== undefined)
    if (children.length === 0) return
    const missing = unique(children.map(({ rootId }) => rootId!)).filter((id) => !found.has(id))
    const roots =
      missing.length === 0 ? found : new Map([...found, ...(await this.#read(lookScript, missing))])
    for (const { id, rootId, userId } of children) {
      const root = roots.get(rootId!)
      if (root === undefined || root.userId !== userId) found.delete(id)
    }
  }

  /** The index names them all, and their times order them. */
  async #listOfUser({ after, limit, data }: ListQuery, userId: string): Promise<Page<ListedRecord>> {
    const place = after === undefined ? undefined : placeIn(after)
    const entries = await this.#index.entries(userIdBytes(userId))
    const found = await this.#read(lookScript, unique(entries.map(({ id }) => id)))
    await this.#dropWithoutRoot(found)
    const left = [...found.values()]
      .filter((record) => record.userId === userId && record.hash !== undefined)
      .filter(({ id, seenAt }) => !place || isBefore(place, { id, seenAt }))
      .sort((one, other) => (isBefore(one, other) ? -1 : 1))
    return this.#page(left, limit, data, ({ id, seenAt }) => `${seenAt}.${id}`)
  }

  /** Each page scans all keys anew, and keeps of them the next in order: so it needs no memory for all. */
  async #listAll({ after, limit, data }: ListQuery): Promise<Page<ListedRecord>> {
    if (after !== undefined && !isSessionId(after)) throw badPlace()
    const records: SessionRecord[] = []
    let below = after
    while (records.length <= limit) {
      const ids = await this.#scan(below, limit + 1)
      const found = await this.#read(lookScript, ids)
      await this.#dropWithoutRoot(found)
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
  async #scan(below: string | undefined, most: number): Promise<SessionId[]> {
    const pattern = `${this.#prefix.replaceAll(/[\\*?[\]^]/g, String.raw`\$&`)}${'?'.repeat(16)}`
    const end = below === undefined ? undefined : orderOf(below)
    let greatest = new Set<string>()
    await this.#client.everywhere(async (send) => {
      let cursor = '0'
      do {
        const scan = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', `${scannedAtOnce}`]
        const [next, keys] = (await this.#client.read(() => send(scan))) as [Buffer, Buffer[]]
        cursor = String(next)
        for (const key of keys) {
          const id = key.toString('latin1', key.length - 16)
          if (!isSessionId(id)) continue
          const order = orderOf(id)
          if (end === undefined || order < end) greatest.add(order)
        }
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
    const found = await this.#read(
      readScript,
      page.map(({ id }) => id),
    )
    const whole = page.flatMap(({ id }) => found.get(id) ?? [])
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
