/** Does one thing after the other, in the order asked. */
export class Turns {
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

/** Turns for each of many things, known by their keys, and for none longer than somebody waits. */
export class KeyedTurns {
  readonly #turns = new Map<string, Turns>()

  /** Acts when all that was asked before for this key is done. */
  async take<Result>(key: string, act: () => Promise<Result>): Promise<Result> {
    const turns = this.#turns.get(key) ?? new Turns()
    this.#turns.set(key, turns)
    try {
      return await turns.take(act)
    } finally {
      if (!turns.pending) this.#turns.delete(key)
    }
  }
}
