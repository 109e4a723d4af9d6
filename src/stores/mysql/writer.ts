import type { SessionId, SessionRecord } from '../../core/store/record.js'
import type {
  InsertWrite,
  Lifetime,
  NewSecret,
  RemoveWrite,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { isSameHash } from '../../core/token.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { carryOut, type Results, singly } from '../sql/carry-out.js'
import { byBytes, dataLength, largestBatch, padded, parts, partsByPowersOfTwo } from '../sql/batch-size.js'
import { lifetimeValues } from '../sql/lifetime-values.js'
import { insertOne } from './insert.js'
import { assertTaken, mostBytes } from './packet.js'
import { mysqlJudgement } from './judgement.js'
import { errorNumber } from './error-codes.js'
import { change, numberOf, select } from './pool.js'
import type { MySQLClient, MySQLValue } from './pool.js'
import { bound, bytesOfId, contentValues, hashOfRow, idOfRow } from './record.js'
import type { MySQLStatements } from './statements.js'

/**
 * Carries out batches of writes. Writes of one type share round trips; the result of each is exact all
 * the same, and a statement that fails fails its own writes only. Rows go in the order of their ids, so that two batches do not
 * wait for each other in a circle.
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
    const sorted = writes.toSorted((one, other) => (one.id < other.id ? -1 : 1))
    const ofType = <Type extends SessionWrite['type']>(type: Type) =>
      sorted.filter((write): write is Extract<SessionWrite, { type: Type }> => write.type === type)
    const updates = Object.groupBy(ofType('update'), (write) => (isPlain(write) ? 'plain' : 'other'))
    await Promise.all([
      this.#insertAll(ofType('insert'), results),
      this.#updateAll(updates.plain ?? [], results),
      this.#touchAll(ofType('touch'), results),
      this.#singly(updates.other ?? [], results, (write) => this.#update(write)),
      this.#singly(ofType('remove'), results, (write) => this.#remove(write)),
    ])
    return writes.map(({ id }) => results.get(id)!)
  }

  #singly<Write extends SessionWrite>(
    writes: readonly Write[],
    results: Results,
    send: (write: Write) => Promise<WriteResult>,
  ): Promise<void> {
    return carryOut(singly(writes), results, mysqlJudgement, async ([write]) => {
      results.set(write!.id, await send(write!))
    })
  }

  #insertAll(writes: readonly InsertWrite[], results: Results): Promise<void> {
    const portions = byBytes(writes, mostBytes, dataLength).flatMap(partsByPowersOfTwo)
    return carryOut(portions.values(), results, mysqlJudgement, (part) => this.#insertPart(part, results))
  }

  async #insertPart(writes: readonly InsertWrite[], results: Results): Promise<void> {
    await assertTaken(this.#client, writes[0]!.data)
    const values = writes.flatMap(insertValues)
    const insert = () => change(this.#client, this.#sql.insert(writes.length), values)
    let result: WriteResult = 'done'
    // Of several, it is not known whose id is taken; then they go one by one.
    if (writes.length > 1) await insert()
    else result = await insertOne(insert, () => this.#removeExpired(writes[0]!))
    for (const { id } of writes) results.set(id, result)
  }

  #updateAll(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    const portions = inGroups(writes, ({ format, lifetime }) => `${format},${keyOfLifetime(lifetime)}`)
      .flatMap((group) => byBytes(group, mostBytes, dataLength))
      .flatMap((portion) => parts(portion, largestBatch))
    return carryOut(portions.values(), results, mysqlJudgement, (part) => this.#updatePart(part, results))
  }

  async #updatePart(writes: readonly UpdateWrite[], results: Results): Promise<void> {
    let left = writes
    for (let tried = 0; left.length > 1 && tried < 3; tried++) {
      const updated = await this.#updateMany(left)
      if (updated === left.length) {
        for (const { id } of left) results.set(id, 'done')
        return
      }
      const live = await this.#look(left)
      if (updated !== 'none') {
        // All that were live were updated, with nobody in between.
        for (const { id } of left) results.set(id, live.has(id) ? 'done' : 'gone')
        return
      }
      for (const { id, version } of left) {
        const found = live.get(id)
        if (found?.version !== version) results.set(id, found ? 'stale' : 'gone')
      }
      left = left.filter(({ id }) => !results.has(id))
    }
    await this.#singly(left, results, (write) => this.#update(write))
  }

  /** @returns how many were updated, or `'none'` because at least one of them has another version. */
  async #updateMany(writes: readonly UpdateWrite[]): Promise<number | 'none'> {
    const ids = idValues(writes)
    const [{ format, lifetime }] = writes as readonly [UpdateWrite, ...UpdateWrite[]]
    const contents = writes.map(contentValues)
    const values = [
      ...valuesById(ids, contents, ([userId]) => userId),
      ...valuesById(ids, contents, ([, data]) => data!),
      format,
      ...valuesById(ids, writes, ({ mark }) => bound(mark)),
      ...valuesById(ids, writes, ({ version }) => version),
      ...moveValues(lifetime),
      ...ids,
    ]
    try {
      return await change(this.#client, this.#sql.updateMany(ids.length), values)
    } catch (error) {
      if (numberOf(error) === errorNumber.outOfRange) return 'none'
      throw error
    }
  }

  async #update(write: UpdateWrite): Promise<WriteResult> {
    await assertTaken(this.#client, write.data)
    const values = [
      ...(write.secret ? secretValues(write.secret) : []),
      ...contentValues(write),
      ...moveValues(write.lifetime),
      bytesOfId(write.id),
      write.version,
    ]
    const updated = await change(this.#client, this.#updateStatement(write), values)
    return updated === 1 ? 'done' : (await this.#isLive(write)) ? 'stale' : 'gone'
  }

  #updateStatement({ secret }: UpdateWrite): string {
    if (!secret) return this.#sql.update
    return secret.grace > 0 ? this.#sql.replaceSecretWithGrace : this.#sql.replaceSecret
  }

  #touchAll(writes: readonly TouchWrite[], results: Results): Promise<void> {
    const portions = byLifetime(writes).flatMap((sameLifetime) => parts(sameLifetime, largestBatch))
    return carryOut(portions.values(), results, mysqlJudgement, (part) => this.#touchPart(part, results))
  }

  async #touchPart(writes: readonly TouchWrite[], results: Results): Promise<void> {
    const ids = idValues(writes)
    const hashes = valuesById(ids, writes, ({ hash }) => bound(hash))
    const values = [...lifetimeValues(writes[0]!.lifetime), ...ids, ...hashes]
    const touched = await change(this.#client, this.#sql.touch(ids.length), values)
    // A second touch in one millisecond changes nothing, and a pool without FOUND_ROWS does not count it.
    const live = touched === writes.length ? undefined : await this.#look(writes)
    for (const { id, hash } of writes) {
      const found = live?.get(id)
      if (!live || isSameHash(found?.hash, hash)) results.set(id, 'done')
      else results.set(id, found ? 'moved' : 'gone')
    }
  }

  async #remove(write: RemoveWrite): Promise<WriteResult> {
    const values = [bytesOfId(write.id), write.userId === undefined ? null : userIdBytes(write.userId)]
    if ((await change(this.#client, this.#sql.remove, values)) === 1) return 'done'
    if (await this.#isLive(write)) return 'moved'
    await this.#removeExpired(write)
    return 'gone'
  }

  #removeExpired({ id }: SessionWrite): Promise<number> {
    return change(this.#client, this.#sql.removeThoseExpired(1), [bytesOfId(id)])
  }

  async #isLive(write: SessionWrite): Promise<boolean> {
    return (await this.#look([write])).size > 0
  }

  /** The version and the hash of those that are live. */
  async #look(
    writes: readonly SessionWrite[],
  ): Promise<Map<SessionId, Pick<SessionRecord, 'version' | 'hash'>>> {
    const ids = idValues(writes)
    const rows = await select(this.#client, this.#sql.look(ids.length), ids)
    return new Map(
      rows.map((row) => [idOfRow(row), { version: Number(row['version']), hash: hashOfRow(row) }]),
    )
  }
}

/** Whether an update can be stored together with others: it changes nothing that most of them leave. */
function isPlain({ secret, about }: UpdateWrite): boolean {
  return secret === undefined && about === undefined
}

function insertValues(write: InsertWrite): MySQLValue[] {
  const [userId, ...content] = contentValues(write)
  return [
    bytesOfId(write.id),
    write.hash ? bound(write.hash) : null,
    write.rootId === undefined ? null : bytesOfId(write.rootId),
    userId,
    Number(write.signedIn),
    ...content,
    Math.min(...lifetimeValues(write.lifetime)),
  ]
}

function secretValues({ hash, signedIn, grace }: NewSecret): MySQLValue[] {
  return [...(grace > 0 ? [grace] : []), Number(signedIn), bound(hash)]
}

/** Padded, as all lists of ids. */
function idValues(writes: readonly SessionWrite[]): Buffer[] {
  return padded(writes).map(({ id }) => bytesOfId(id))
}

/** For a `CASE id WHEN … THEN …` of all `ids`. The first WHEN that matches wins, so what fills the list up needs no value. */
function valuesById<Each>(
  ids: readonly Buffer[],
  each: readonly Each[],
  value: (each: Each) => MySQLValue,
): MySQLValue[] {
  return ids.flatMap((id, index) => [id, index < each.length ? value(each[index]!) : null])
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
  return inGroups(writes, ({ lifetime }) => keyOfLifetime(lifetime))
}

function inGroups<Write>(writes: readonly Write[], keyOf: (write: Write) => string): Write[][] {
  return [...Map.groupBy(writes, keyOf).values()]
}

function keyOfLifetime(lifetime: Lifetime): string {
  return lifetimeValues(lifetime).join()
}
