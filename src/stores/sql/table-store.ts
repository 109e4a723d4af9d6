import { isError, optionError, SessionError } from '../../core/errors.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import type {
  ListQuery,
  Page,
  SessionStore,
  SessionWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { type RecordTransfer, recordTransfer } from '../../core/store/transfer.js'
import type { TableErrors, TableLayout } from './layout.js'
import { settle } from './settle.js'

const writing = 'writing sessions'

/** What a `TableStore` is made of. */
export interface TableStoreParts {
  readonly layout: TableLayout
  readonly errors: TableErrors
  /** Whether the store makes its tables. */
  readonly createTable: boolean
  /** Closes what the store opened itself. */
  readonly end: () => Promise<void>
}

/**
 * A store in a table of a database server. It makes the tables before they are used, finds out what became of writes whose
 * answer was lost, and turns the server's errors into ours.
 */
export class TableStore implements SessionStore {
  /** `'token'` on a table where sessions are found by their tokens. Otherwise `undefined`. */
  readonly keyedBy: 'token' | undefined
  /** `'several'` on a cluster whose servers have a clock each. */
  readonly clocks: 'one' | 'several' | undefined
  readonly #layout: TableLayout
  readonly #errors: TableErrors
  readonly #createTable: boolean
  readonly #end: () => Promise<void>
  #tableReady: Promise<void> | undefined
  #closed: Promise<void> | undefined
  readonly #underWay = new Set<Promise<unknown>>()

  /** @internal */
  constructor({ layout, errors, createTable, end }: TableStoreParts) {
    this.#layout = layout
    this.#errors = errors
    this.#createTable = createTable
    this.#end = end
    this.keyedBy = layout.keyedBy
    this.clocks = layout.clocks
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    if (ids.length === 0) return []
    return this.#do('reading sessions', () => this.#layout.find(ids))
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    if (ids.length === 0) return []
    return this.#do('reading sessions', () => this.#layout.alive(ids))
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    if (writes.length === 0) return []
    return this.#withTypedErrors(await this.#do(writing, () => this.#writeAll(writes)))
  }

  #withTypedErrors<Result>(results: (Result | Error)[]): (Result | Error)[] {
    const failures = new Set(results.filter((result) => isError(result)))
    if (failures.size === 0) return results
    // Writes that failed together share one SessionError too.
    const typed = new Map([...failures].map((failure) => [failure, this.#errors.failureOf(writing, failure)]))
    return results.map((result) => (isError(result) ? typed.get(result)! : result))
  }

  /** @internal */
  [recordTransfer](): RecordTransfer | undefined {
    const transfer = this.#layout.transfer
    if (!transfer) return undefined
    const reading = 'reading sessions'
    return {
      now: () => this.#do(reading, () => transfer.now()),
      count: () => this.#do(reading, () => transfer.count()),
      page: (after, limit) => this.#do(reading, () => transfer.page(after, limit)),
      read: async (ids) => (ids.length === 0 ? [] : this.#do(reading, () => transfer.read(ids))),
      write: async (writes) =>
        writes.length === 0
          ? []
          : this.#withTypedErrors(await this.#do(writing, () => transfer.write(writes))),
    }
  }

  async list(query: ListQuery): Promise<Page<ListedRecord>> {
    assertWholeNumber(query.limit)
    return this.#do('listing sessions', () => this.#layout.list(query))
  }

  async removeByUser(userId: string, except?: string): Promise<number> {
    return this.#do("removing a user's sessions", () => this.#layout.removeByUser(userId, except))
  }

  async removeExpired(limit: number): Promise<number> {
    assertWholeNumber(limit)
    return this.#do('removing expired sessions', () => this.#layout.removeExpired(limit))
  }

  close(): Promise<void> {
    // A pool that loses a connection while it ends would wait for it in vain.
    this.#closed ??= Promise.allSettled(this.#underWay).then(() => this.#end())
    return this.#closed
  }

  async #writeAll(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const send = async (some: readonly SessionWrite[]) =>
      settle(this.#layout, some, await this.#layout.write(some), (error) => this.#errors.failsAllAlike(error))
    const ready = this.#tableReady
    const results = await send(writes)
    const isLeft = (result: WriteResult | Error | undefined) =>
      isError(result) && this.#errors.missesTable(result)
    const left = writes.filter((_, index) => isLeft(results[index]))
    if (left.length === 0 || !this.#createTable) return results
    await this.#makeTableAgain(ready)
    const again = (await send(left)).values()
    return results.map((result) => (isLeft(result) ? again.next().value! : result))
  }

  /** Every call of the store goes through here. It makes the tables first, and turns errors into SessionErrors. */
  async #do<Answer>(doing: string, work: () => Promise<Answer>): Promise<Answer> {
    if (this.#closed) {
      throw new SessionError('ERR_SESSION_CLOSED', `The store was closed before ${doing}.`, { status: 503 })
    }
    const working = this.#withTable(work)
    this.#underWay.add(working)
    try {
      return await working
    } catch (error) {
      throw this.#errors.failureOf(doing, error)
    } finally {
      this.#underWay.delete(working)
    }
  }

  async #withTable<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    if (!this.#createTable) return work()
    const ready = this.#makeTableOnce()
    await ready
    try {
      return await work()
    } catch (error) {
      if (!this.#errors.missesTable(error)) throw error
      await this.#makeTableAgain(ready)
      return work()
    }
  }

  /**
   * Makes a table that somebody dropped while the app ran.
   * @param ready the promise of the table that was dropped: only the first of several calls makes the table again.
   */
  #makeTableAgain(ready: Promise<void> | undefined): Promise<void> {
    if (this.#tableReady === ready) this.#tableReady = undefined
    return this.#makeTableOnce()
  }

  #makeTableOnce(): Promise<void> {
    // Forget a failed attempt, so that the next call tries again.
    this.#tableReady ??= this.#layout.makeTable().catch((error: unknown) => {
      this.#tableReady = undefined
      throw error
    })
    return this.#tableReady
  }
}

/** It goes into the statement's text, because some servers accept no placeholder in LIMIT. */
function assertWholeNumber(limit: number): void {
  if (Number.isSafeInteger(limit) && limit > 0) return
  throw optionError(`limit must be a whole number above 0, not ${String(limit)}.`)
}
