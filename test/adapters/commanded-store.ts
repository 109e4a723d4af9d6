import { setTimeout as wait } from 'node:timers/promises'
import {
  type AliveRecord,
  type ListedRecord,
  type ListQuery,
  MemoryStore,
  type Page,
  type SessionId,
  type SessionRecord,
  type SessionStore,
  type SessionWrite,
  type WriteResult,
} from 'coatcheck'

type Call = 'find' | 'write'

/** A call that a test holds back. */
export interface Gate {
  /** Resolves when the call has come. */
  readonly reached: Promise<void>
  /** Lets it through to the store. */
  open(): void
  /** Makes it fail, as if the database had gone away. */
  fail(): void
}

/** A real store that delays or fails calls on command. */
export class CommandedStore implements SessionStore {
  readonly #store = new MemoryStore()
  readonly #gates: { readonly call: Call; reach(): void; readonly opened: Promise<void> }[] = []
  /** Every write that came, whether or not it succeeded. */
  readonly writes: SessionWrite[] = []
  /** Milliseconds that each write takes. */
  writeDelay = 0
  /** Which calls fail: a kind of call, or a kind of write. */
  readonly down = new Set<Call | SessionWrite['type']>()

  /** Holds back the next such call. */
  hold(call: Call): Gate {
    const reached = Promise.withResolvers<void>()
    const opened = Promise.withResolvers<void>()
    this.#gates.push({ call, reach: () => reached.resolve(), opened: opened.promise })
    return {
      reached: reached.promise,
      open: () => opened.resolve(),
      fail: () => opened.reject(new Error('connect ECONNREFUSED')),
    }
  }

  async find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    await this.#pass('find')
    this.#failIf(this.down.has('find'))
    return this.#store.find(ids)
  }

  async alive(ids: readonly SessionId[]): Promise<(AliveRecord | undefined)[]> {
    this.#failIf(this.down.has('find'))
    return this.#store.alive(ids)
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    this.writes.push(...writes)
    await this.#pass('write')
    if (this.writeDelay > 0) await wait(this.writeDelay)
    this.#failIf(this.down.has('write') || writes.some(({ type }) => this.down.has(type)))
    return this.#store.write(writes)
  }

  list(query: ListQuery): Promise<Page<ListedRecord>> {
    return this.#store.list(query)
  }

  /** The live records, decoded. */
  async stored(): Promise<Record<string, unknown>[]> {
    const { items } = await this.#store.list({ limit: 100, data: true })
    return items.map(({ data }) => JSON.parse(Buffer.from(data!).toString()) as Record<string, unknown>)
  }

  removeByUser(userId: string, except?: string): Promise<number> {
    return this.#store.removeByUser(userId, except)
  }

  removeExpired(limit: number): Promise<number> {
    return this.#store.removeExpired(limit)
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  async #pass(call: Call): Promise<void> {
    const index = this.#gates.findIndex((gate) => gate.call === call)
    if (index < 0) return
    const [gate] = this.#gates.splice(index, 1)
    gate!.reach()
    await gate!.opened
  }

  #failIf(down: boolean): void {
    if (down) throw new Error('connect ECONNREFUSED')
  }
}
