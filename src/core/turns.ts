/** Does one thing after the other, in the order asked. */
export class Turns {
  #last: Promise<void> | undefined
  #left = 0

  /** Acts when all that was asked before is done, whether or not that went well. */
  take(act: () => Promise<void>): Promise<void> {
    const turn = (this.#last ?? Promise.resolve()).then(act, act).finally(() => this.#left--)
    this.#left++
    this.#last = turn
    turn.catch(() => undefined) // whoever asked hears of it; so does who asks for `pending` before it is settled
    return turn
  }

  /** The last turn, while it is not over. */
  get pending(): Promise<void> | undefined {
    return this.#left > 0 ? this.#last : undefined
  }
}
