import { RequestQueue, type RequestQueueSettings } from './request-queue.js'
import type { SessionId, SessionRecord } from './record.js'
import type { SessionStore, SessionWrite, WriteResult } from './session-store.js'

/** How calls share round trips, and how long they may wait. */
export type BatchSettings = Pick<
  RequestQueueSettings,
  'lanes' | 'largestBatch' | 'longestQueue' | 'deadline' | 'failuresToOpen' | 'rest'
>

/** Three batches under way keep the store busy while answers are read; more would only make them smaller. */
export const defaultBatching: BatchSettings = {
  lanes: 3,
  largestBatch: 64,
  longestQueue: 10_000,
  deadline: 10_000,
  failuresToOpen: 5,
  rest: 1_000,
}

/**
 * Gathers what concurrent requests ask of a store. What one turn of the event loop asks goes together as the turn ends,
 * so a quiet server waits for nothing. While all lanes are busy, calls wait, and go together when one is free.
 */
export class Batcher {
  readonly #finds: RequestQueue<SessionId, SessionRecord | undefined>
  readonly #writes: RequestQueue<SessionWrite, WriteResult>

  /**
   * @param fault told of each fault of the store once, however many calls it fails; gives what those are rejected with
   */
  constructor(
    store: SessionStore,
    settings: Partial<BatchSettings> = {},
    fault: (doing: string, cause: unknown) => unknown = (_doing, cause) => cause,
  ) {
    const shared = { ...defaultBatching, ...settings }
    this.#finds = new RequestQueue({
      ...shared,
      // Reading is harmless, so it can be shared, and done again.
      readsOnly: true,
      keyOf: (id) => id,
      bytesOf: (record) => (record ? record.data.length + (record.former?.data.length ?? 0) : 0),
      send: (ids) => store.find(ids),
      fault: (cause) => fault('reading a session', cause),
    })
    this.#writes = new RequestQueue({
      ...shared,
      readsOnly: false,
      keyOf: (write) => write.id,
      send: (writes) => store.write(writes),
      fault: (cause) => fault('storing a session', cause),
    })
  }

  /**
   * @throws (by the promise) what `fault` makes of the store's error, or of one of these. ERR_SESSION_STORE_BUSY: too many calls wait
   *   already. ERR_SESSION_STORE_TIMEOUT: there was no answer by the deadline. ERR_SESSION_STORE_UNAVAILABLE: the store is taken to be away,
   *   and is not asked
   */
  find(id: SessionId): Promise<SessionRecord | undefined> {
    return this.#finds.ask(id)
  }

  /** @throws (by the promise) as `find`; whether it took effect is unknown then, but for ERR_SESSION_STORE_BUSY */
  write(write: SessionWrite): Promise<WriteResult> {
    return this.#writes.ask(write)
  }

  /** Resolves when all that was asked has been answered. */
  async idle(): Promise<void> {
    await Promise.all([this.#finds.idle(), this.#writes.idle()])
  }
}
