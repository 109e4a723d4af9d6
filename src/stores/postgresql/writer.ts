import type { SessionId } from '../../core/store/record.js'
import type {
  InsertWrite,
  Lifetime,
  RemoveWrite,
  SessionWrite,
  TouchWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { carryOut, type Results } from '../sql/carry-out.js'
import { byBytes, dataLength, parts } from '../sql/batch-size.js'
import { lifetimeValues } from '../sql/lifetime-values.js'
import type { PostgreSQLClient, Value } from './client.js'
import { postgresqlJudgement } from './errors.js'
import { bound, boundData, bytesOfId, idOfRow } from './record.js'
import type { PostgreSQLStatements, Statement } from './statements.js'

/** The most writes that go in one statement. */
export const largestPart = 256
/** The most bytes of data that several sessions have in one statement, where each takes two digits. */
export const mostBytes = 1024 * 1024

/**
 * Carries out batches of writes. Writes of one type share a statement; the result of each is exact all the same, and a
 * statement that fails fails its own writes only. Rows go in the order of their ids, so that two batches seldom wait for
 * each other in a circle. In a small table the server may choose another order; then it undoes one of them after a second,
 * and that is sent again.
 */
export class PostgreSQLWriter {
  readonly #client: PostgreSQLClient
  readonly #sql: PostgreSQLStatements

  constructor(client: PostgreSQLClient, sql: PostgreSQLStatements) {
    this.#client = client
    this.#sql = sql
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const results: Results = new Map()
    const sorted = writes.toSorted((one, other) => (one.id < other.id ? -1 : 1))
    const ofType = <Type extends SessionWrite['type']>(type: Type) =>
      sorted.filter((write): write is Extract<SessionWrite, { type: Type }> => write.type === type)
    const { insert, update, touch, remove } = this.#sql
    await Promise.all([
      this.#send(
        byBytes(ofType('insert'), mostBytes, dataLength),
        results,
        insert,
        insertValues,
        () => 'exists',
      ),
      this.#send(byBytes(ofType('update'), mostBytes, dataLength), results, update, updateValues, 'stale'),
      this.#send([ofType('touch')], results, touch, touchValues, 'moved'),
      this.#send([ofType('remove')], results, remove, removeValues, 'moved'),
    ])
    return writes.map(({ id }) => results.get(id)!)
  }

  /**
   * @param values the arrays of a statement.
   * @param otherwise the result of a write that was not carried out though its record is live; a function, if there is no
   *   need to ask.
   */
  #send<Write extends SessionWrite>(
    portions: readonly (readonly Write[])[],
    results: Results,
    statement: Statement,
    values: (writes: readonly Write[]) => Value[],
    otherwise: WriteResult | (() => WriteResult),
  ): Promise<void> {
    const all = portions.flatMap((portion) => parts(portion, largestPart)).values()
    return carryOut(all, results, postgresqlJudgement, async (part) => {
      const { rows } = await this.#client.change(statement, values(part))
      for (const row of rows) results.set(idOfRow(row), 'done')
      const left = part.filter(({ id }) => !results.has(id))
      if (left.length === 0) return
      const live = typeof otherwise === 'function' ? undefined : await this.#live(left)
      for (const { id } of left)
        results.set(id, typeof otherwise === 'function' ? otherwise() : live!.has(id) ? otherwise : 'gone')
    })
  }

  async #live(writes: readonly SessionWrite[]): Promise<ReadonlySet<SessionId>> {
    const rows = await this.#client.select(this.#sql.look, [writes.map(({ id }) => bytesOfId(id))])
    return new Set(rows.map(idOfRow))
  }
}

function insertValues(writes: readonly InsertWrite[]): Value[] {
  return [
    writes.map(({ id }) => bytesOfId(id)),
    writes.map(({ hash }) => (hash ? bound(hash) : null)),
    writes.map(userOf),
    writes.map(({ signedIn }) => signedIn),
    writes.map(({ data }) => boundData(data)),
    writes.map(aboutOf),
    writes.map(({ format }) => format),
    writes.map(({ mark }) => bound(mark)),
    writes.map(({ rootId }) => (rootId === undefined ? null : bytesOfId(rootId))),
    writes.map(({ lifetime }) => Math.min(...lifetimeValues(lifetime))),
  ]
}

function updateValues(writes: readonly UpdateWrite[]): Value[] {
  return [
    writes.map(({ id }) => bytesOfId(id)),
    writes.map(({ version }) => version),
    writes.map(userOf),
    writes.map(({ data }) => boundData(data)),
    writes.map(aboutOf),
    writes.map(({ format }) => format),
    writes.map(({ mark }) => bound(mark)),
    ...lifetimesOf(writes),
    writes.map(({ secret }) => (secret ? bound(secret.hash) : null)),
    writes.map(({ secret }) => secret?.signedIn ?? false),
    writes.map(({ secret }) => secret?.grace ?? null),
  ]
}

function touchValues(writes: readonly TouchWrite[]): Value[] {
  return [
    writes.map(({ id }) => bytesOfId(id)),
    writes.map(({ hash }) => bound(hash)),
    ...lifetimesOf(writes),
  ]
}

function removeValues(writes: readonly RemoveWrite[]): Value[] {
  return [writes.map(({ id }) => bytesOfId(id)), writes.map(userOf)]
}

function lifetimesOf(
  writes: readonly { readonly lifetime: Lifetime }[],
): [idle: number[], absolute: number[]] {
  const lifetimes = writes.map(({ lifetime }) => lifetimeValues(lifetime))
  return [lifetimes.map(([idle]) => idle), lifetimes.map(([, absolute]) => absolute)]
}

function userOf({ userId }: { readonly userId: string | undefined }): Buffer | null {
  return userId === undefined ? null : userIdBytes(userId)
}

function aboutOf({ about }: { readonly about?: string | undefined }): Buffer | null {
  return about === undefined ? null : Buffer.from(about)
}
