/** What the order links. It keeps `before` and `after` itself. */
export interface Used<Entry> {
  before: Entry | undefined
  after: Entry | undefined
}

/** Entries in the order of their use, as a linked list: whatever is done with one costs the same, however many there are. */
export class RecencyList<Entry extends Used<Entry>> {
  #first: Entry | undefined
  #last: Entry | undefined
  #size = 0

  /** The entry that was least recently used. */
  get first(): Entry | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  /** Puts an entry that is in no order at the end of this one. */
  add(entry: Entry): void {
    entry.before = this.#last
    if (this.#last) this.#last.after = entry
    else this.#first = entry
    this.#last = entry
    this.#size++
  }

  /** Takes out an entry that is in this order. */
  remove(entry: Entry): void {
    const { before, after } = entry
    if (before) before.after = after
    else this.#first = after
    if (after) after.before = before
    else this.#last = before
    entry.before = entry.after = undefined
    this.#size--
  }
}
