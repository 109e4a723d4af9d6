import { sessionBusy, turnTooLate } from './errors.js'
import { clearTimeout, setTimeout } from './scheduling.js'

/** Does one thing after the other, in the order asked. */
export class SerialQueue {
  #last: Promise<unknown> | undefined
  #all: Promise<unknown> | undefined

  /** Acts when all that was asked before is done, whether or not that went well: at once, if nothing is. */
  take<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.#last?.then(act, act) ?? act()
    this.#last = turn
    this.#all = this.#all ? firstFailureOf(this.#all, turn) : turn
    const over = (): void => {
      if (this.#last === turn) this.#last = this.#all = undefined
    }
    // Its failure too: whoever asked hears of it, and so does who asks for `pending` before it is settled.
    turn.then(over, over)
    this.#all.catch(() => undefined)
    return turn
  }

  /** All turns, while the last is not over. Fails as the first of them that fails, once all are over. */
  get pending(): Promise<unknown> | undefined {
    return this.#all
  }
}

function firstFailureOf(before: Promise<unknown>, turn: Promise<unknown>): Promise<unknown> {
  return turn.then(
    () => before,
    async (error: unknown) => {
      await before
      throw error
    },
  )
}

/** How many may wait for their turn at one thing, and for how many milliseconds each. */
export interface SerialQueueLimits {
  readonly longestQueue: number
  readonly deadline: number
}

/** A serial queue for each of many things, known by their keys, and for none longer than somebody waits. */
export class KeyedSerialQueues {
  readonly #queues = new Map<string, LimitedSerialQueue>()
  readonly #limits: SerialQueueLimits | undefined

  /** @param limits left out: all wait for as long as it takes. */
  constructor(limits?: SerialQueueLimits) {
    this.#limits = limits
  }

  /**
   * Acts when all that was asked before for this key is done.
   * @throws (by the promise) what `act` throws.
   * @throws (by the promise) ERR_SESSION_STORE_BUSY if too many wait for this key already. It never acts.
   * @throws (by the promise) ERR_SESSION_STORE_TIMEOUT if its turn did not come in time. It never acts.
   */
  take<Result>(key: string, act: () => Promise<Result>): Promise<Result> {
    let queue = this.#queues.get(key)
    if (!queue) this.#queues.set(key, (queue = new LimitedSerialQueue(() => this.#queues.delete(key))))
    return queue.take(act, this.#limits)
  }
}

/** The serial queue of one thing, and how many wait for their turn. */
class LimitedSerialQueue {
  readonly #turns = new SerialQueue()
  readonly #emptied: () => void
  #waiting = 0

  /** @param emptied called when nobody acts or waits any more. */
  constructor(emptied: () => void) {
    this.#emptied = emptied
  }

  take<Result>(act: () => Promise<Result>, limits: SerialQueueLimits | undefined): Promise<Result> {
    if (!limits || !this.#turns.pending) return this.#inTurn(act)
    if (this.#waiting >= limits.longestQueue) return Promise.reject(sessionBusy(limits.longestQueue))
    return this.#inTurnByDeadline(act, limits.deadline)
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.#turns.take(act)
    const over = (): void => {
      if (!this.#turns.pending) this.#emptied()
    }
    turn.then(over, over)
    return turn
  }

  #inTurnByDeadline<Result>(act: () => Promise<Result>, deadline: number): Promise<Result> {
    this.#waiting++
    return new Promise((resolve, reject) => {
      let tooLate = false
      const giveUp = (): void => {
        tooLate = true
        this.#waiting--
        reject(turnTooLate(deadline))
      }
      // It holds no process open: what goes on before it does.
      const timer = setTimeout(giveUp, deadline).unref()
      void this.#inTurn(async () => {
        if (tooLate) return
        clearTimeout(timer)
        this.#waiting--
        const acting = act()
        resolve(acting)
        await acting
      })
    })
  }
}
