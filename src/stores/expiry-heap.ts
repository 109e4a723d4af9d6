/** What the heap orders. It keeps `heapIndex` itself; -1 while the entry is not in a heap. */
export interface Expiring {
  expiresAt: number
  heapIndex: number
}

/** A binary heap whose first entry expires soonest. Each entry knows its place, so one that moves or leaves costs O(log n). */
export class ExpiryHeap<Entry extends Expiring> {
  readonly #entries: Entry[] = []

  /** The entry that expires soonest. */
  get first(): Entry | undefined {
    return this.#entries[0]
  }

  add(entry: Entry): void {
    this.#place(entry, this.#entries.length)
    this.#rise(entry)
  }

  /** Call after a change of `expiresAt`. */
  moved(entry: Entry): void {
    this.#rise(entry)
    this.#sink(entry)
  }

  remove(entry: Entry): void {
    const last = this.#entries.pop()
    if (last !== undefined && last !== entry) {
      this.#place(last, entry.heapIndex)
      this.moved(last)
    }
    entry.heapIndex = -1
  }

  #place(entry: Entry, index: number): void {
    this.#entries[index] = entry
    entry.heapIndex = index
  }

  #rise(entry: Entry): void {
    while (entry.heapIndex > 0) {
      const parent = this.#entries[(entry.heapIndex - 1) >> 1]
      if (parent === undefined || parent.expiresAt <= entry.expiresAt) return
      this.#swap(entry, parent)
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const left = this.#entries[entry.heapIndex * 2 + 1]
      const right = this.#entries[entry.heapIndex * 2 + 2]
      const sooner = left && right && right.expiresAt < left.expiresAt ? right : left
      if (sooner === undefined || entry.expiresAt <= sooner.expiresAt) return
      this.#swap(entry, sooner)
    }
  }

  #swap(one: Entry, other: Entry): void {
    const index = one.heapIndex
    this.#place(one, other.heapIndex)
    this.#place(other, index)
  }
}
