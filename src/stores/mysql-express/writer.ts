import { changedTooOften } from '../../core/errors.js'
import { metadataOf, type SignedMetadata, signedMetadata } from '../../core/data/embedded-metadata.js'
import type { SessionId } from '../../core/store/record.js'
import type {
  InsertWrite,
  RemoveWrite,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { idOf } from '../../core/token.js'
import { byBytes, dataLength, largestBatch, padded, parts, partsByPowersOfTwo } from '../sql/batch-size.js'
import type { MetadataKeys } from './metadata-keys.js'
import { assertFits, fingerprintIn, hasMetadata, mayBeThere, storedText, subjectOf } from './record.js'
import type { ExpressRecord } from './record.js'
import type { ExpressStatements } from './statements.js'
import { ExpressUpdates } from './updates.js'
import { doneOrExists, insertOne } from '../mysql/insert.js'
import { assertTaken, mostBytes } from '../mysql/packet.js'
import { mysqlJudgement } from '../mysql/judgement.js'
import { carryOut, type Results, singly } from '../sql/carry-out.js'
import { change, select } from '../mysql/pool.js'
import type { MySQLClient, MySQLValue } from '../mysql/pool.js'
import { byLifetime } from '../mysql/writer.js'
import { lifetimeValues, never } from '../sql/lifetime-values.js'

/** How many statements of one batch are under way at a time. They share what the server syncs to the disk. */
const lanes = 4
const mostTries = 5

type WriteAlone = Exclude<SessionWrite, TouchWrite>

/**
 * Carries out writes on a table of express-mysql-session. Touches share statements, and so do inserts and updates
 * without a metadata; each other write is a statement of its own, and fails alone.
 */
export class ExpressWriter {
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  readonly #find: (ids: readonly SessionId[]) => Promise<Map<SessionId, ExpressRecord>>
  readonly #updates: ExpressUpdates
  readonly #keys: MetadataKeys

  constructor(
    client: MySQLClient,
    sql: ExpressStatements,
    find: (ids: readonly SessionId[]) => Promise<Map<SessionId, ExpressRecord>>,
    keys: MetadataKeys,
  ) {
    this.#client = client
    this.#sql = sql
    this.#find = find
    this.#keys = keys
    this.#updates = new ExpressUpdates(client, sql, find)
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const results: Results = new Map()
    const touches: TouchWrite[] = []
    const inserts: InsertWrite[] = []
    const updates: UpdateWrite[] = []
    const alone: WriteAlone[] = []
    for (const write of writes) {
      if (write.type === 'touch') touches.push(write)
      else if (write.type === 'insert' && !this.#mustKeep(write)) inserts.push(write)
      else if (write.type === 'update' && !this.#mustKeep(write) && mayBeThere(write.id)) updates.push(write)
      else alone.push(write)
    }
    await Promise.all([
      this.#touchAll(touches, results),
      this.#insertAll(inserts, results),
      this.#updateAll(updates, results),
      this.#oneByOne(alone, results),
    ])
    return writes.map(({ id }) => results.get(id)!)
  }

  #oneByOne(writes: readonly WriteAlone[], results: Results): Promise<void> {
    return inLanes(writes, results, async (write) => void results.set(write.id, await this.#carryOut(write)))
  }

  async #carryOut(write: WriteAlone): Promise<WriteResult> {
    if (write.type === 'remove') return this.#remove(write)
    await assertTaken(this.#client, write.data)
    if (write.type === 'insert') return this.#insertWithMetadata(write)
    return mayBeThere(write.id) ? this.#update(write) : 'gone'
  }

  #insertAll(writes: readonly InsertWrite[], results: Results): Promise<void> {
    const portions = byBytes(writes, mostBytes, dataLength).flatMap(partsByPowersOfTwo)
    return carryOut(portions.values(), results, mysqlJudgement, async (part) => {
      await assertTaken(this.#client, part[0]!.data)
      const values = part.flatMap((write) => insertValues(write, undefined))
      const insert = () => change(this.#client, this.#sql.insert(part.length), values)
      let result: WriteResult = 'done'
      // Of several, it is not known whose id is taken; then they go one by one.
      if (part.length > 1) await insert()
      else result = await insertOne(insert, () => this.#removeExpired(part[0]!))
      for (const { id } of part) results.set(id, result)
    })
  }

  /** Its metadata says when it begins, which is this moment by the database's clock. */
  async #insertWithMetadata(write: InsertWrite): Promise<WriteResult> {
    const { id, userId, publicId = idOf(id) } = write
    const { key, now: createdAt } = await this.#signing()
    const metadata = signedMetadata(key, subjectOf(id), { userId, publicId, createdAt })
    const values = insertValues(write, metadata)
    const insert = () => change(this.#client, this.#sql.insert(1), values)
    return insertOne(insert, () => this.#removeExpired(write))
  }

  /** The key that signs, and the moment by the database's clock. Somebody may have emptied the table, with its key. */
  async #signing(): Promise<{ readonly key: string; readonly now: number }> {
    const known = await this.#keys.signing()
    const [row] = await select(this.#client, this.#sql.moment, [Buffer.from(known)])
    const key = Number(row!['has_key']) === 1 ? known : await this.#keys.signingAnew()
    return { key, now: Number(row!['moment']) }
  }

  #removeExpired({ id }: InsertWrite): Promise<number> {
    return change(this.#client, this.#sql.removeThoseExpired(1), [Buffer.from(id)])
  }

  async #updateAll(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    const portions = byLifetime(writes)
      .flatMap((group) => byBytes(group, mostBytes, dataLength))
      .flatMap((portion) => parts(portion, largestBatch))
    await carryOut(portions.values(), results, mysqlJudgement, (part) => this.#updates.send(part, results))
    const left = writes.filter(({ id }) => !results.has(id))
    await this.#oneByOne(left, results)
  }

  async #update(write: UpdateWrite): Promise<WriteResult> {
    const { token } = write.secret ?? {}
    if (token !== undefined) assertFits(token)
    const key = this.#mustKeep(write) ? (await this.#signing()).key : undefined
    for (let tried = 0; tried < mostTries; tried++) {
      const before = key === undefined ? undefined : await this.#asRead(write)
      if (typeof before === 'string') return before
      const metadata = key !== undefined && before ? metadataFor(key, write, before) : undefined
      const text = storedText(write.data, write.lifetime.idle, metadata)
      const values = [
        text,
        ...expiryValues(write, before),
        ...(token === undefined ? [] : [Buffer.from(token)]),
        Buffer.from(write.id),
        fingerprintIn(write.version),
      ]
      const sql = token === undefined ? this.#sql.update : this.#sql.rotate
      let updated = 0
      const send = async () => void (updated = await change(this.#client, sql, values))
      if ((await doneOrExists(send())) === 'exists') return 'exists'
      if (updated === 1) return 'done'
      const after = await this.#asRead(write)
      if (typeof after === 'string') return after
      // It was there as read, and held all this already: a pool without FOUND_ROWS does not count that.
      if (token === undefined && after.stored.equals(text)) return 'done'
      // In between, others changed it and changed it back.
    }
    return 'stale'
  }

  /** A session that says who and since when cannot be written without knowing what it says. */
  #mustKeep(write: InsertWrite | UpdateWrite): boolean {
    if (write.type === 'update' && (hasMetadata(write.version) || write.secret)) return true
    return write.userId !== undefined || write.lifetime.absolute !== undefined
  }

  async #asRead({ id, version }: UpdateWrite): Promise<ExpressRecord | 'stale' | 'gone'> {
    const record = (await this.#find([id])).get(id)
    if (!record) return 'gone'
    return record.version === version ? record : 'stale'
  }

  #touchAll(writes: readonly TouchWrite[], results: Results): Promise<void> {
    for (const { id } of writes) if (!mayBeThere(id)) results.set(id, 'gone')
    const portions = byLifetime(writes.filter(({ id }) => !results.has(id))).flatMap((sameLifetime) =>
      parts(sameLifetime, largestBatch),
    )
    return carryOut(portions.values(), results, mysqlJudgement, (part) => {
      const { absolute } = part[0]!.lifetime
      return absolute === undefined
        ? this.#touch(part, never, results)
        : this.#touchWithin(part, absolute, results)
    })
  }

  /** Each has an end of its own, in its metadata. For one without, the absolute limit begins to count with its next change. */
  async #touchWithin(writes: readonly TouchWrite[], absolute: number, results: Results): Promise<void> {
    const records = await this.#find(writes.map(({ id }) => id))
    await inLanes(writes, results, async (write) => {
      const record = records.get(write.id)
      if (!record) results.set(write.id, 'gone')
      else if (!hasMetadata(record.version)) await this.#touch([write], record.readAt + absolute, results)
      else await this.#touch([write], record.createdAt + absolute, results)
    })
  }

  async #touch(writes: readonly TouchWrite[], end: number, results: Results): Promise<void> {
    const ids = padded(writes).map(({ id }) => Buffer.from(id))
    const [idle] = lifetimeValues(writes[0]!.lifetime)
    const values = [idle, Math.min(end, never), ...ids]
    const touched = await change(this.#client, this.#sql.touch(ids.length), values)
    // A second touch in one second changes nothing, and a pool without FOUND_ROWS does not count it.
    const live = touched === writes.length ? undefined : await this.#find(writes.map(({ id }) => id))
    for (const { id } of writes) results.set(id, live === undefined || live.has(id) ? 'done' : 'gone')
  }

  /** The user lies within the data, so the condition is that this is still what was read. */
  async #remove({ id, userId }: RemoveWrite): Promise<WriteResult> {
    for (let tried = 0; tried < mostTries; tried++) {
      const record = (await this.#find([id])).get(id)
      if (!record) return 'gone'
      if (record.userId !== userId) return 'moved'
      const values = [Buffer.from(id), fingerprintIn(record.version)]
      if ((await change(this.#client, this.#sql.remove, values)) === 1) return 'done'
    }
    throw changedTooOften(mostTries)
  }
}

/** @throws ERR_SESSION_OPTION, and what `storedText` throws. */
function insertValues(
  { id, data, lifetime }: InsertWrite,
  metadata: SignedMetadata | undefined,
): [id: Buffer, idle: number, end: number, text: Buffer] {
  assertFits(id)
  const text = storedText(data, lifetime.idle, metadata)
  return [Buffer.from(id), Math.min(...lifetimeValues(lifetime)), never, text]
}

function metadataFor(
  key: string,
  { id, userId, secret }: UpdateWrite,
  before: ExpressRecord,
): SignedMetadata {
  const authenticatedAt = secret?.signedIn ? before.readAt : before.authenticatedAt
  return signedMetadata(key, subjectOf(secret?.token ?? id), metadataOf(userId, before, authenticatedAt))
}

function expiryValues(
  { lifetime }: UpdateWrite,
  before: ExpressRecord | undefined,
): [idle: MySQLValue, end: MySQLValue] {
  const [idle, absolute] = lifetimeValues(lifetime)
  return [idle, before ? Math.min(before.createdAt + absolute, never) : never]
}

async function inLanes<Write extends SessionWrite>(
  writes: readonly Write[],
  results: Results,
  send: (write: Write) => Promise<void>,
): Promise<void> {
  const left = singly(writes)
  const lane = () => carryOut(left, results, mysqlJudgement, ([write]) => send(write!))
  await Promise.all(Array.from({ length: lanes }, lane))
}
