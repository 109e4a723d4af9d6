/** Does one thing after the other, in the order asked. */
export class Turns {
  #last: Promise<unknown> | undefined

  /** Acts when all that was asked before is done, whether or not that went well: at once, if nothing is. */
  take<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = this.#last?.then(act, act) ?? act()
    this.#last = turn
    const over = (): void => {
      if (this.#last === turn) this.#last = undefined
    }
    // Its failure too: whoever asked hears of it, and so does who asks for `pending` before it is settled.
    turn.then(over, over)
    return turn
  }

  /** The last turn, while it is not over. */
  get pending(): Promise<unknown> | undefined {
    return this.#last
  }
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
