import { RequestQueue, type RequestQueueSettings } from './request-queue.js'
import type { SessionId, SessionRecord } from './record.js'
import type { SessionStore, SessionWrite, WriteResult } from './session-store.js'

/** How calls share round trips, and how long they may wait. */
export type BatchSettings = Pick<
  RequestQueueSettings,
  'lanes' | 'largestBatch' | 'longestQueue' | 'deadline' | 'failuresToOpen' | 'rest'
>

/** Three batches at a time keep the store busy while answers are read. More would only make the batches smaller. */
export const defaultBatching: BatchSettings = {
  lanes: 3,
  largestBatch: 64,
  longestQueue: 10_000,
  deadline: 10_000,
  failuresToOpen: 5,
  rest: 1_000,
}

/**
 * Batches the calls of concurrent requests to a store. Calls of one turn of the event loop go together when the turn
 * ends, so nothing waits on a quiet server. While all lanes are busy, calls wait, and go together when a lane is free.
 */
export class Batcher {
  readonly #finds: RequestQueue<SessionId, SessionRecord | undefined>
  readonly #writes: RequestQueue<SessionWrite, WriteResult>

  /**
   * @param fault called once for each fault of the store, however many calls that fails. It returns the error for them.
   */
  constructor(
    store: SessionStore,
    settings: Partial<BatchSettings> = {},
    fault: (doing: string, cause: unknown) => unknown = (_doing, cause) => cause,
  ) {
    const shared = { ...defaultBatching, ...settings }
    this.#finds = new RequestQueue({
      ...shared,
      // Reads have no effect, so calls can share one, and it can be repeated.
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
   * @throws (by the promise) what `fault` makes of the store's error, or of one of these. ERR_SESSION_STORE_BUSY: too
   *   many calls wait already. ERR_SESSION_STORE_TIMEOUT: there was no answer by the deadline.
   *   ERR_SESSION_STORE_UNAVAILABLE: the store is taken to be away, and is not asked.
   */
  find(id: SessionId): Promise<SessionRecord | undefined> {
    return this.#finds.ask(id)
  }

  /** @throws (by the promise) as `find`; whether it took effect is unknown then, but for ERR_SESSION_STORE_BUSY. */
  write(write: SessionWrite): Promise<WriteResult> {
    return this.#writes.ask(write)
  }

  /** Resolves when all that was asked has been answered. */
  async idle(): Promise<void> {
    await Promise.all([this.#finds.idle(), this.#writes.idle()])
  }
}
