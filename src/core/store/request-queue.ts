import { Circuit, type CircuitSettings } from './circuit.js'
import { isError, storeBusy, storeTimeout } from '../errors.js'
import { setImmediate, setTimeout } from '../scheduling.js'
import { Slices } from '../slices.js'
import { isAway } from './store-failure.js'

/** How a queue gathers calls, and what it does with them. */
export interface RequestQueueSettings<Request = never, Answer = unknown> extends CircuitSettings {
  /** Batches under way at once. */
  readonly lanes: number
  readonly largestBatch: number
  /** So many calls may wait to be sent; one more is refused. */
  readonly longestQueue: number
  /** Milliseconds after which a call that has no answer fails; up to a tenth later. */
  readonly deadline: number
  /** Whether asking the same again, or once for several, does no harm. */
  readonly readsOnly: boolean
  readonly keyOf: (request: Request) => string
  /** Bytes that whoever gets an answer has to work through; left out: next to none. */
  readonly bytesOf?: (answer: Answer) => number
  /** Answers in the order asked; an Error there is the failure of that one, or of those that share it. */
  readonly send: (requests: readonly Request[]) => Promise<readonly (Answer | Error)[]>
  /** Told of each failure once; gives what the calls that it fails are rejected with. */
  readonly fault: (cause: unknown) => unknown
}

const ticksToDeadline = 10

/**
 * One call. It is a class and no object literal because of V8's garbage collector. While a server is busy, calls
 * outlive a few young collections. V8 soon allocates literals that do so among the old objects. What they hold, here
 * the request and its response, would then stay until a full collection.
 */
class Call<Request, Answer> {
  readonly request: Request
  /** By the queue's own ticks. */
  readonly askedAt: number
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
  /** Answered, failed or given up. */
  settled = false

  constructor(
    request: Request,
    askedAt: number,
    resolve: (answer: Answer) => void,
    reject: (error: unknown) => void,
  ) {
    this.request = request
    this.askedAt = askedAt
    this.resolve = resolve
    this.reject = reject
  }
}

type Calls<Request, Answer> = readonly Call<Request, Answer>[]

/**
 * Calls that go to the store in batches, first come, first served. The calls of one turn of the event loop go together
 * when it ends. Calls that come while every lane is busy go when one is free. One array has the calls that wait, and
 * another those that are under way. No Map or Set outlives its batch.
 */
export class RequestQueue<Request, Answer> {
  readonly #settings: RequestQueueSettings<Request, Answer>
  readonly #circuit: Circuit
  #waiting: Call<Request, Answer>[] = []
  #underWay: Calls<Request, Answer>[] = []
  /** Grows by one each tenth of the deadline while there are calls: so none needs a clock, or a timer of its own. */
  #tick = 0
  #watching = false
  #sendingSoon = false
  #whenIdle: (() => void)[] = []
  /** What is refused for want of room is rejected with, as one fault, until the queue has been empty. */
  #noRoom: unknown

  constructor(settings: RequestQueueSettings<Request, Answer>) {
    this.#settings = settings
    this.#circuit = new Circuit(settings, (error) => settings.fault(error))
  }

  ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { refusal } = this.#circuit
      if (refusal !== undefined) return reject(refusal as Error)
      if (this.#waiting.length === 0) this.#noRoom = undefined
      if (this.#waiting.length >= this.#settings.longestQueue) {
        this.#noRoom ??= this.#settings.fault(storeBusy(this.#settings.longestQueue))
        return reject(this.#noRoom as Error)
      }
      this.#waiting.push(new Call(request, this.#tick, resolve, reject))
      this.#sendSoon()
      if (!this.#watching) this.#watchOn()
    })
  }

  /** Resolves when every call has been answered, or has failed. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve)
      this.#tellIdle()
    })
  }

  #sendSoon(): void {
    if (this.#sendingSoon || this.#underWay.length >= this.#settings.lanes) return
    this.#sendingSoon = true
    setImmediate(() => {
      this.#sendingSoon = false
      this.#sendWaiting()
    })
  }

  #sendWaiting(): void {
    while (
      this.#waiting.length > 0 &&
      this.#underWay.length < this.#settings.lanes &&
      this.#circuit.letsPass()
    ) {
      const calls = this.#takeBatch()
      this.#underWay.push(calls)
      void this.#carryOut(calls).then(() => this.#freeLane(calls))
    }
    this.#tellIdle()
  }

  #freeLane(calls: Calls<Request, Answer>): void {
    const lane = this.#underWay.indexOf(calls)
    if (lane < 0) return // given up before
    this.#underWay.splice(lane, 1)
    this.#sendWaiting()
  }

  #tellIdle(): void {
    if (this.#whenIdle.length === 0 || this.#waiting.length > 0 || this.#underWay.length > 0) return
    for (const tell of this.#whenIdle.splice(0)) tell()
  }

  #takeBatch(): Calls<Request, Answer> {
    const { largestBatch, readsOnly, keyOf } = this.#settings
    if (readsOnly || this.#waiting.length === 1) return this.#waiting.splice(0, largestBatch)
    // A second write to one key waits for the next batch, which need not wait for others.
    const keys = new Set<string>()
    const batch: Call<Request, Answer>[] = []
    const left: Call<Request, Answer>[] = []
    for (const call of this.#waiting) {
      if (batch.length === largestBatch) break
      const key = keyOf(call.request)
      ;(keys.has(key) ? left : batch).push(call)
      keys.add(key)
    }
    this.#waiting.splice(0, batch.length + left.length, ...left)
    return batch
  }

  /** Gets every call of a batch its answer or its failure. */
  async #carryOut(calls: Calls<Request, Answer>): Promise<void> {
    const failure = await this.#send(calls)
    if (failure) await this.#carryOutFailed(calls, failure.cause)
  }

  /** A bad row must not fail its neighbours: those that were read with it are asked again in halves. */
  async #carryOutFailed(calls: Calls<Request, Answer>, cause: unknown, answers = false): Promise<void> {
    const nobodyWaits = calls.every(({ settled }) => settled)
    if (!this.#settings.readsOnly || calls.length === 1 || nobodyWaits) return this.#fail(calls, cause)
    const middle = Math.ceil(calls.length / 2)
    const halves = [calls.slice(0, middle), calls.slice(middle)] as const
    const [first, second] = await Promise.all([this.#send(halves[0], true), this.#send(halves[1], true)])
    // If it has answered nothing yet, it is the store that fails, and to ask on would only burden it.
    if (first && second && !answers) return this.#fail(calls, first.cause)
    if (first) await this.#carryOutFailed(halves[0], first.cause, true)
    if (second) await this.#carryOutFailed(halves[1], second.cause, true)
  }

  /**
   * @param isPart of a batch that failed and is counted already.
   * @returns why none was answered; `undefined` if they were.
   */
  async #send(
    calls: Calls<Request, Answer>,
    isPart = false,
  ): Promise<{ readonly cause: unknown } | undefined> {
    try {
      const { requests, placeOf } = this.#requestsOf(calls)
      const answers = await this.#settings.send(requests)
      if (answers.every(isAway)) this.#noteFailure(answers[0], calls)
      else this.#circuit.answered()
      await this.#answer(calls, (index) => answers[placeOf?.[index] ?? index]!)
      return undefined
    } catch (cause) {
      if (!isPart) this.#noteFailure(cause, calls)
      return { cause }
    }
  }

  /** If the store is taken to be away from now on, those that wait need not. */
  #noteFailure(cause: unknown, calls: Calls<Request, Answer>): void {
    this.#circuit.failed(
      cause,
      calls.map(({ request }) => this.#settings.keyOf(request)),
    )
    const { refusal } = this.#circuit
    if (refusal === undefined) return
    for (const call of this.#waiting.splice(0)) {
      call.settled = true
      call.reject(refusal)
    }
  }

  /** What is asked for some calls, each key once, and where among the answers theirs will stand if not in their own place. */
  #requestsOf(calls: Calls<Request, Answer>): { requests: Request[]; placeOf?: number[] } {
    if (calls.length === 1 || !this.#settings.readsOnly)
      return { requests: calls.map(({ request }) => request) }
    const places = new Map<string, number>()
    const requests: Request[] = []
    const placeOf = calls.map(({ request }) => {
      const key = this.#settings.keyOf(request)
      let place = places.get(key)
      if (place === undefined) places.set(key, (place = requests.push(request) - 1))
      return place
    })
    return { requests, placeOf }
  }

  /** Large answers go out over several turns of the event loop: each wakes up a request. */
  async #answer(calls: Calls<Request, Answer>, answerAt: (index: number) => Answer | Error): Promise<void> {
    const { bytesOf } = this.#settings
    const slices = bytesOf && new Slices()
    // By index: entries() would make an array for each call.
    for (let index = 0; index < calls.length; index++) {
      const call = calls[index]!
      const answer = answerAt(index)
      if (isError(answer)) {
        // One fault for all that share it.
        const sharing = calls.filter((_, other) => answerAt(other) === answer)
        this.#fail(sharing, answer)
        continue
      }
      const turn = slices?.before(bytesOf!(answer))
      if (turn) await turn
      call.settled = true
      call.resolve(answer)
    }
  }

  #fail(calls: Calls<Request, Answer>, cause: unknown): void {
    const waiting = calls.filter(({ settled }) => !settled)
    if (waiting.length === 0) return
    const error = this.#settings.fault(cause)
    for (const call of waiting) {
      call.settled = true
      call.reject(error)
    }
  }

  #watchOn(): void {
    this.#watching = true
    const tick = (): void => {
      this.#tick++
      this.#giveUpOverdue()
      this.#watching = false
      if (this.#waiting.length > 0 || this.#underWay.length > 0) this.#watchOn()
    }
    // It holds no process open: what the store itself waits for does.
    setTimeout(tick, this.#settings.deadline / ticksToDeadline).unref()
  }

  #giveUpOverdue(): void {
    const overdue = [...this.#underWay.flat(), ...this.#waiting].filter(
      ({ settled, askedAt }) => !settled && this.#tick - askedAt > ticksToDeadline,
    )
    if (overdue.length === 0) return
    this.#fail(overdue, storeTimeout(this.#settings.deadline))
    this.#waiting = this.#waiting.filter(({ settled }) => !settled)
    // A batch that nobody waits for any more must not keep its lane from others.
    const givenUp = this.#underWay.filter((calls) => calls.every(({ settled }) => settled))
    this.#underWay = this.#underWay.filter((calls) => !givenUp.includes(calls))
    for (const calls of givenUp) this.#noteFailure(storeTimeout(this.#settings.deadline), calls)
    this.#sendWaiting()
  }
}
