import type { SessionKey } from '../../core/record.js'
import type {
  InsertWrite,
  Lifetime,
  RemoveWrite,
  RotateWrite,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store.js'
import { largestBatch, nextPowerOfTwo, padded, parts, partsByPowersOfTwo } from './batch-size.js'
import { insertOne } from './mysql-insert.js'
import { assertTaken, mostBytes } from './mysql-packet.js'
import { carryOut, type Results, singly } from './mysql-parts.js'
import { errorNumber } from './mysql-error-codes.js'
import { change, numberOf, select } from './mysql-pool.js'
import type { MySQLClient, MySQLValue } from './mysql-pool.js'
import { bytesOfKey, contentValues, keyOfRow } from './mysql-record.js'
import type { MySQLStatements } from './mysql-statements.js'

/** Far beyond any lifetime, and small enough that a moment plus it is still exact. */
export const never = 2 ** 52

/**
 * Carries out batches of writes. Writes of one type share round trips; the result of each is exact all
 * the same, and a statement that fails fails its own writes only. Rows go in the order of their keys, so that two batches do not wait for each other in a circle.
 */
export class MySQLWriter {
  readonly #client: MySQLClient
  readonly #sql: MySQLStatements

  constructor(client: MySQLClient, sql: MySQLStatements) {
    this.#client = client
    this.#sql = sql
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const results: Results = new Map()
    const sorted = writes.toSorted((one, other) => (one.key < other.key ? -1 : 1))
    const ofType = <Type extends SessionWrite['type']>(type: Type) =>
      sorted.filter((write): write is Extract<SessionWrite, { type: Type }> => write.type === type)
    await Promise.all([
      this.#insertAll(ofType('insert'), results),
      this.#updateAll(ofType('update'), results),
      this.#touchAll(ofType('touch'), results),
      this.#singly(ofType('rotate'), results, (write) => this.#rotate(write)),
      this.#singly(ofType('remove'), results, (write) => this.#remove(write)),
    ])
    return writes.map(({ key }) => results.get(key)!)
  }

  #singly<Write extends SessionWrite>(
    writes: readonly Write[],
    results: Results,
    send: (write: Write) => Promise<WriteResult>,
  ): Promise<void> {
    return carryOut(singly(writes), results, async ([write]) => {
      results.set(write!.key, await send(write!))
    })
  }

  #insertAll(writes: readonly InsertWrite[], results: Results): Promise<void> {
    const portions = byBytes(writes).flatMap(partsByPowersOfTwo)
    return carryOut(portions.values(), results, (part) => this.#insertPart(part, results))
  }

  async #insertPart(writes: readonly InsertWrite[], results: Results): Promise<void> {
    await assertTaken(this.#client, writes[0]!.data)
    const values = writes.flatMap((write): MySQLValue[] => [
      bytesOfKey(write.key),
      Buffer.from(write.publicId),
      ...insertedContent(write),
      Math.min(...lifetimeValues(write.lifetime)),
    ])
    const insert = () => change(this.#client, this.#sql.insert(writes.length), values)
    let result: WriteResult = 'done'
    // Of several, it is not known whose key is taken; then they go one by one.
    if (writes.length > 1) await insert()
    else result = await insertOne(insert, () => this.#removeExpired(writes[0]!))
    for (const { key } of writes) results.set(key, result)
  }

  #updateAll(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    const portions = byLifetime(writes)
      .flatMap(byBytes)
      .flatMap((portion) => parts(portion, largestBatch))
    return carryOut(portions.values(), results, (part) => this.#updatePart(part, results))
  }

  async #updatePart(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    let left = writes
    for (let tried = 0; left.length > 1 && tried < 3; tried++) {
      const updated = await this.#updateMany(left)
      if (updated === left.length) {
        for (const { key } of left) results.set(key, 'done')
        return
      }
      const versions = await this.#versions(left)
      if (updated !== 'none') {
        // All that were live were updated, with nobody in between.
        for (const { key } of left) results.set(key, versions.has(key) ? 'done' : 'gone')
        return
      }
      for (const { key, version } of left) {
        if (versions.get(key) !== version) results.set(key, versions.has(key) ? 'stale' : 'gone')
      }
      left = left.filter(({ key }) => !results.has(key))
    }
    await this.#singly(left, results, (write) => this.#update(write))
  }

  /** @returns how many were updated, or `'none'` because at least one of them has another version */
  async #updateMany(writes: readonly UpdateWrite[]): Promise<number | 'none'> {
    const size = nextPowerOfTwo(writes.length)
    const contents = writes.map(contentValues)
    // The first WHEN that matches wins, so what fills the list up needs no content.
    const byKey = (value: (index: number) => MySQLValue) =>
      Array.from({ length: size }, (_, index): MySQLValue[] => {
        const write = writes[Math.min(index, writes.length - 1)]!
        return [bytesOfKey(write.key), index < writes.length ? value(index) : null]
      }).flat()
    const values = [
      ...byKey((index) => contents[index]![0]),
      ...byKey((index) => contents[index]![1]),
      ...byKey((index) => writes[index]!.version),
      ...moveValues(writes[0]!.lifetime),
      ...padded(writes).map(({ key }) => bytesOfKey(key)),
    ]
    try {
      return await change(this.#client, this.#sql.updateMany(size), values)
    } catch (error) {
      if (numberOf(error) === errorNumber.outOfRange) return 'none'
      throw error
    }
  }

  async #update(write: UpdateWrite): Promise<WriteResult> {
    await assertTaken(this.#client, write.data)
    const values = [
      ...contentValues(write),
      ...moveValues(write.lifetime),
      bytesOfKey(write.key),
      write.version,
    ]
    const updated = await change(this.#client, this.#sql.update, values)
    return updated === 1 ? 'done' : this.#whyNot(write)
  }

  async #rotate(write: RotateWrite): Promise<WriteResult> {
    await assertTaken(this.#client, write.data)
    const values = [
      write.grace,
      Number(write.signedIn),
      bytesOfKey(write.newKey),
      ...contentValues(write),
      ...moveValues(write.lifetime),
      bytesOfKey(write.key),
      write.version,
    ]
    try {
      const rotated = await change(this.#client, this.#sql.rotate(write.grace > 0), values)
      return rotated === 1 ? 'done' : await this.#whyNot(write)
    } catch (error) {
      if (numberOf(error) === errorNumber.duplicateKey) return 'exists'
      throw error
    }
  }

  async #whyNot(write: UpdateWrite | RotateWrite): Promise<WriteResult> {
    const versions = await this.#versions([write])
    return versions.has(write.key) ? 'stale' : 'gone'
  }

  #touchAll(writes: readonly TouchWrite[], results: Results): Promise<void> {
    const portions = byLifetime(writes).flatMap((sameLifetime) => parts(sameLifetime, largestBatch))
    return carryOut(portions.values(), results, (part) => this.#touchPart(part, results))
  }

  async #touchPart(writes: readonly TouchWrite[], results: Results): Promise<void> {
    const keys = padded(writes).map(({ key }) => bytesOfKey(key))
    const values = [...lifetimeValues(writes[0]!.lifetime), ...keys]
    const touched = await change(this.#client, this.#sql.touch(keys.length), values)
    // A second touch in one millisecond changes nothing, and a pool without FOUND_ROWS does not count it.
    const live = touched === writes.length ? undefined : await this.#versions(writes)
    for (const { key } of writes) results.set(key, live === undefined || live.has(key) ? 'done' : 'gone')
  }

  #removeExpired({ key }: InsertWrite): Promise<number> {
    return change(this.#client, this.#sql.removeThoseExpired(1), [bytesOfKey(key)])
  }

  async #remove({ key }: RemoveWrite): Promise<WriteResult> {
    if ((await change(this.#client, this.#sql.remove, [bytesOfKey(key)])) === 1) return 'done'
    await change(this.#client, this.#sql.removeWhateverItsAge, [bytesOfKey(key)])
    return 'gone'
  }

  /** The versions of those that are live. */
  async #versions(writes: readonly SessionWrite[]): Promise<Map<SessionKey, number>> {
    const keys = padded(writes).map(({ key }) => bytesOfKey(key))
    const rows = await select(this.#client, this.#sql.versions(keys.length), keys)
    return new Map(rows.map((row) => [keyOfRow(row), Number(row['version'])]))
  }
}

function insertedContent(write: InsertWrite): MySQLValue[] {
  const [userId, data] = contentValues(write)
  return [userId, Number(write.signedIn), data]
}

export function lifetimeValues({ idle, absolute }: Lifetime): [idle: number, absolute: number] {
  return [Math.min(idle, never), Math.min(absolute ?? never, never)]
}

/** For a statement that moves both `expires_at` and `sweep_at`. */
function moveValues(lifetime: Lifetime): number[] {
  const values = lifetimeValues(lifetime)
  return [...values, ...values]
}

/** Writes of one lifetime together: in one app that is all of them. */
export function byLifetime<Write extends { readonly lifetime: Lifetime }>(
  writes: readonly Write[],
): Write[][] {
  const groups = new Map<string, Write[]>()
  for (const write of writes) {
    const lifetime = lifetimeValues(write.lifetime).join()
    const group = groups.get(lifetime)
    if (group) group.push(write)
    else groups.set(lifetime, [write])
  }
  return [...groups.values()]
}

/** Portions of at most `mostBytes` of data; a write that is larger goes alone. */
export function byBytes<Write extends { readonly data: Uint8Array }>(writes: readonly Write[]): Write[][] {
  const portions: Write[][] = []
  let bytes = Infinity
  for (const write of writes) {
    bytes += write.data.length
    if (bytes > mostBytes) {
      portions.push([])
      bytes = write.data.length
    }
    portions.at(-1)!.push(write)
  }
  return portions
}
