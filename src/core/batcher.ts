import type { SessionKey, SessionRecord } from './record.ts'
import type { SessionStore, SessionWrite, WriteResult } from './store.ts'

/** How calls share round trips. */
export interface BatchSettings {
  /** Batches under way at once. */
  readonly lanes: number
  readonly largestBatch: number
}

/** Two batches under way keep the store busy while one answer is read; more would only make them smaller. */
const gathering: BatchSettings = { lanes: 2, largestBatch: 64 }

/**
 * Gathers what concurrent requests ask of a store. A call that finds the line free goes at once, so
 * a quiet server pays nothing. While the line is busy, calls wait, and go together when it is free.
 */
export class Batcher {
  readonly #finds: Line<SessionKey, SessionRecord | undefined>
  readonly #writes: Line<SessionWrite, WriteResult>

  constructor(store: SessionStore, settings: BatchSettings = gathering) {
    this.#finds = new Line(
      (keys) => store.find(keys),
      (key) => key,
      { shareAnswers: true, ...settings },
    )
    this.#writes = new Line(
      (writes) => store.write(writes),
      (write) => write.key,
      { shareAnswers: false, ...settings },
    )
  }

  find(key: SessionKey): Promise<SessionRecord | undefined> {
    return this.#finds.ask(key)
  }

  write(write: SessionWrite): Promise<WriteResult> {
    return this.#writes.ask(write)
  }

  /** Resolves when all that was asked has been answered. */
  async idle(): Promise<void> {
    await Promise.all([this.#finds.idle(), this.#writes.idle()])
  }
}

interface Waiting<Request, Answer> {
  readonly key: SessionKey
  readonly request: Request
  readonly promise: Promise<Answer>
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

type LineSettings = BatchSettings & { readonly shareAnswers: boolean }

class Line<Request, Answer> {
  readonly #send: (requests: readonly Request[]) => Promise<Answer[]>
  readonly #keyOf: (request: Request) => SessionKey
  readonly #settings: LineSettings
  #waiting: Waiting<Request, Answer>[] = []
  readonly #waitingByKey = new Map<SessionKey, Waiting<Request, Answer>>()
  readonly #underWay = new Set<Promise<void>>()

  constructor(
    send: (requests: readonly Request[]) => Promise<Answer[]>,
    keyOf: (request: Request) => SessionKey,
    settings: LineSettings,
  ) {
    this.#send = send
    this.#keyOf = keyOf
    this.#settings = settings
  }

  ask(request: Request): Promise<Answer> {
    const key = this.#keyOf(request)
    if (this.#settings.shareAnswers) {
      // Only with what has not been sent yet: an answer that is already on its way may be older than
      // a change that the asker must see.
      const same = this.#waitingByKey.get(key)
      if (same) return same.promise
    }
    const { promise, resolve, reject } = withResolvers<Answer>()
    const waiting = { key, request, promise, resolve, reject }
    this.#waiting.push(waiting)
    if (this.#settings.shareAnswers) this.#waitingByKey.set(key, waiting)
    this.#sendNext()
    return promise
  }

  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #sendNext(): void {
    if (this.#underWay.size >= this.#settings.lanes || this.#waiting.length === 0) return
    const batch = this.#takeBatch()
    const sending = this.#sendBatch(batch).finally(() => {
      this.#underWay.delete(sending)
      this.#sendNext()
    })
    this.#underWay.add(sending)
  }

  /** The next batch, in order, each key once: a second write to one key waits for the next. */
  #takeBatch(): Waiting<Request, Answer>[] {
    const keys = new Set<SessionKey>()
    const batch: Waiting<Request, Answer>[] = []
    const left: Waiting<Request, Answer>[] = []
    for (const waiting of this.#waiting) {
      if (batch.length < this.#settings.largestBatch && !keys.has(waiting.key)) {
        keys.add(waiting.key)
        batch.push(waiting)
        this.#waitingByKey.delete(waiting.key)
      } else {
        left.push(waiting)
      }
    }
    this.#waiting = left
    return batch
  }

  async #sendBatch(batch: readonly Waiting<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.#send(batch.map((waiting) => waiting.request))
      batch.forEach((waiting, index) => waiting.resolve(answers[index]!))
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    }
  }
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<Value>() {
  let resolve!: (value: Value) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<Value>((resolvePromise, rejectPromise) => {
    resolve = resolvePromise
    reject = rejectPromise
  })
  return { promise, resolve, reject }
}
