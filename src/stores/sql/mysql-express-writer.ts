import { type Keepsake, keepsakeOf } from '../../core/keepsake.js'
import type { SessionKey } from '../../core/record.js'
import type {
  InsertWrite,
  RotateWrite,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store.js'
import { largestBatch, padded, parts, partsByPowersOfTwo } from './batch-size.js'
import { assertFits, fingerprintIn, hasKeepsake, mayBeThere, storedText } from './mysql-express-record.js'
import type { ExpressRecord } from './mysql-express-record.js'
import type { ExpressStatements } from './mysql-express-statements.js'
import { ExpressUpdates } from './mysql-express-updates.js'
import { doneOrExists, insertOne } from './mysql-insert.js'
import { assertTaken } from './mysql-packet.js'
import { carryOut, type Results, singly } from './mysql-parts.js'
import { change } from './mysql-pool.js'
import type { MySQLClient, MySQLValue } from './mysql-pool.js'
import { byBytes, byLifetime, lifetimeValues, never } from './mysql-writer.js'

/** How many statements of one batch are under way at a time. They share what the server syncs to the disk. */
const lanes = 4
const mostTries = 5

type WriteAlone = Exclude<SessionWrite, TouchWrite>

/**
 * Carries out writes on a table of express-mysql-session. Touches share statements, and so do inserts and updates
 * without a keepsake; each other write is a statement of its own, and fails alone.
 */
export class ExpressWriter {
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  readonly #find: (keys: readonly SessionKey[]) => Promise<Map<SessionKey, ExpressRecord>>
  readonly #updates: ExpressUpdates

  constructor(
    client: MySQLClient,
    sql: ExpressStatements,
    find: (keys: readonly SessionKey[]) => Promise<Map<SessionKey, ExpressRecord>>,
  ) {
    this.#client = client
    this.#sql = sql
    this.#find = find
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
      else if (write.type === 'update' && !this.#mustKeep(write) && mayBeThere(write.key)) updates.push(write)
      else alone.push(write)
    }
    await Promise.all([
      this.#touchAll(touches, results),
      this.#insertAll(inserts, results),
      this.#updateAll(updates, results),
      this.#oneByOne(alone, results),
    ])
    return writes.map(({ key }) => results.get(key)!)
  }

  #oneByOne(writes: readonly WriteAlone[], results: Results): Promise<void> {
    return inLanes(writes, results, async (write) => void results.set(write.key, await this.#carryOut(write)))
  }

  async #carryOut(write: WriteAlone): Promise<WriteResult> {
    if (write.type !== 'remove') await assertTaken(this.#client, write.data)
    if (write.type === 'insert') return this.#insertWithKeepsake(write)
    if (!mayBeThere(write.key)) return 'gone'
    if (write.type === 'update') return this.#update(write)
    return write.type === 'rotate' ? this.#rotate(write) : this.#remove(write.key)
  }

  #insertAll(writes: readonly InsertWrite[], results: Results): Promise<void> {
    const portions = byBytes(writes).flatMap(partsByPowersOfTwo)
    return carryOut(portions.values(), results, async (part) => {
      await assertTaken(this.#client, part[0]!.data)
      const values = part.flatMap((write) => insertValues(write, undefined))
      const insert = () => change(this.#client, this.#sql.insert(part.length), values)
      let result: WriteResult = 'done'
      // Of several, it is not known whose key is taken; then they go one by one.
      if (part.length > 1) await insert()
      else result = await insertOne(insert, () => this.#removeExpired(part[0]!))
      for (const { key } of part) results.set(key, result)
    })
  }

  /** Its keepsake says when it begins, which is this moment by the database's clock. */
  #insertWithKeepsake(write: InsertWrite): Promise<WriteResult> {
    const { userId, publicId } = write
    const [key, idle, end, text] = insertValues(write, { userId, publicId, createdAt: 0 })
    const values = [key, idle, end, withoutMoment(text)]
    const insert = () => change(this.#client, this.#sql.insertCreatedNow, values)
    return insertOne(insert, () => this.#removeExpired(write))
  }

  #removeExpired({ key }: InsertWrite): Promise<number> {
    return change(this.#client, this.#sql.removeThoseExpired(1), [Buffer.from(key)])
  }

  async #updateAll(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    const portions = byLifetime(writes)
      .flatMap(byBytes)
      .flatMap((portion) => parts(portion, largestBatch))
    await carryOut(portions.values(), results, (part) => this.#updates.send(part, results))
    const left = writes.filter(({ key }) => !results.has(key))
    await this.#oneByOne(left, results)
  }

  async #update(write: UpdateWrite): Promise<WriteResult> {
    for (let tried = 0; tried < mostTries; tried++) {
      const before = this.#mustKeep(write) ? await this.#asRead(write) : undefined
      if (typeof before === 'string') return before
      const text = storedText(write.data, write.lifetime.idle, before && keepsakeFor(write, before))
      const values = [
        text,
        ...expiryValues(write, before),
        Buffer.from(write.key),
        fingerprintIn(write.version),
      ]
      if ((await change(this.#client, this.#sql.update, values)) === 1) return 'done'
      const after = await this.#asRead(write)
      if (typeof after === 'string') return after
      // It was there as read, and held all this already: a pool without FOUND_ROWS does not count that.
      if (after.stored.equals(text)) return 'done'
      // In between, others changed it and changed it back.
    }
    return 'stale'
  }

  async #rotate(write: RotateWrite): Promise<WriteResult> {
    assertFits(write.newKey)
    const before = await this.#asRead(write)
    if (typeof before === 'string') return before
    const values = [
      Buffer.from(write.newKey),
      storedText(write.data, write.lifetime.idle, keepsakeFor(write, before)),
      ...expiryValues(write, before),
      Buffer.from(write.key),
      fingerprintIn(write.version),
    ]
    let rotated = 0
    const result = await doneOrExists(
      change(this.#client, this.#sql.rotate, values).then((affected) => (rotated = affected)),
    )
    if (result === 'exists' || rotated === 1) return result
    return (await this.#find([write.key])).has(write.key) ? 'stale' : 'gone'
  }

  /** A session that says who and since when cannot be written without knowing what it says. */
  #mustKeep(write: InsertWrite | UpdateWrite): boolean {
    if (write.type === 'update' && hasKeepsake(write.version)) return true
    return write.userId !== undefined || write.lifetime.absolute !== undefined
  }

  async #asRead({ key, version }: UpdateWrite | RotateWrite): Promise<ExpressRecord | 'stale' | 'gone'> {
    const record = (await this.#find([key])).get(key)
    if (!record) return 'gone'
    return record.version === version ? record : 'stale'
  }

  #touchAll(writes: readonly TouchWrite[], results: Results): Promise<void> {
    for (const { key } of writes) if (!mayBeThere(key)) results.set(key, 'gone')
    const portions = byLifetime(writes.filter(({ key }) => !results.has(key))).flatMap((sameLifetime) =>
      parts(sameLifetime, largestBatch),
    )
    return carryOut(portions.values(), results, (part) => {
      const { absolute } = part[0]!.lifetime
      return absolute === undefined
        ? this.#touch(part, never, results)
        : this.#touchWithin(part, absolute, results)
    })
  }

  /** Each has an end of its own, in its keepsake. For one without, the absolute limit begins to count with its next change. */
  async #touchWithin(writes: readonly TouchWrite[], absolute: number, results: Results): Promise<void> {
    const records = await this.#find(writes.map(({ key }) => key))
    await inLanes(writes, results, async (write) => {
      const record = records.get(write.key)
      if (!record) results.set(write.key, 'gone')
      else if (!hasKeepsake(record.version)) await this.#touch([write], record.readAt + absolute, results)
      else await this.#touch([write], record.createdAt + absolute, results)
    })
  }

  async #touch(writes: readonly TouchWrite[], end: number, results: Results): Promise<void> {
    const keys = padded(writes).map(({ key }) => Buffer.from(key))
    const [idle] = lifetimeValues(writes[0]!.lifetime)
    const values = [idle, Math.min(end, never), ...keys]
    const touched = await change(this.#client, this.#sql.touch(keys.length), values)
    // A second touch in one second changes nothing, and a pool without FOUND_ROWS does not count it.
    const live = touched === writes.length ? undefined : await this.#find(writes.map(({ key }) => key))
    for (const { key } of writes) results.set(key, live === undefined || live.has(key) ? 'done' : 'gone')
  }

  async #remove(key: SessionKey): Promise<WriteResult> {
    if ((await change(this.#client, this.#sql.remove, [Buffer.from(key)])) === 1) return 'done'
    await change(this.#client, this.#sql.removeWhateverItsAge, [Buffer.from(key)])
    return 'gone'
  }
}

/** @throws ERR_SESSION_OPTION, and what `storedText` throws */
function insertValues(
  { key, data, lifetime }: InsertWrite,
  keepsake: Keepsake | undefined,
): [key: Buffer, idle: number, end: number, text: Buffer] {
  assertFits(key)
  const text = storedText(data, lifetime.idle, keepsake)
  return [Buffer.from(key), Math.min(...lifetimeValues(lifetime)), never, text]
}

function keepsakeFor(write: UpdateWrite | RotateWrite, before: ExpressRecord): Keepsake {
  const signedIn = write.type === 'rotate' && write.signedIn
  return keepsakeOf(write.userId, before, signedIn ? before.readAt : before.authenticatedAt)
}

function expiryValues(
  { lifetime }: UpdateWrite | RotateWrite,
  before: ExpressRecord | undefined,
): [idle: MySQLValue, end: MySQLValue] {
  const [idle, absolute] = lifetimeValues(lifetime)
  return [idle, before ? Math.min(before.createdAt + absolute, never) : never]
}

/** Cuts off the `createdAt` that such a text ends in, and what follows it. */
function withoutMoment(text: Buffer): Buffer {
  return text.subarray(0, text.length - '0}}'.length)
}

async function inLanes<Write extends SessionWrite>(
  writes: readonly Write[],
  results: Results,
  send: (write: Write) => Promise<void>,
): Promise<void> {
  const left = singly(writes)
  const lane = () => carryOut(left, results, ([write]) => send(write!))
  await Promise.all(Array.from({ length: lanes }, lane))
}
