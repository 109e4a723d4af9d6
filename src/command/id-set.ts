import { idEndLength } from './copy-statements.js'

/**
 * The ids that a pass saw, by their ends: 8 bytes an id, so that ten million take 80 MB. That two ids
 * share an end is a chance of one in 2⁵² a pair; the one would then be taken for the other.
 */
export class IdSet {
  #ends = new Float64Array(1024)
  #size = 0
  #sorted = true

  /** @param ends the last 13 hexadecimal digits of each id, one after the other */
  add(ends: string): void {
    for (let start = 0; start < ends.length; start += idEndLength) {
      if (this.#size === this.#ends.length) this.#grow()
      this.#ends[this.#size++] = Number.parseInt(ends.slice(start, start + idEndLength), 16)
    }
    this.#sorted = false
  }

  /** @param id in hexadecimal digits */
  has(id: string): boolean {
    if (!this.#sorted) this.#ends.subarray(0, this.#size).sort()
    this.#sorted = true
    const end = Number.parseInt(id.slice(-idEndLength), 16)
    let low = 0
    for (let high = this.#size; low < high;) {
      const middle = (low + high) >>> 1
      if (this.#ends[middle]! < end) low = middle + 1
      else high = middle
    }
    return low < this.#size && this.#ends[low] === end
  }

  #grow(): void {
    const larger = new Float64Array(this.#ends.length * 2)
    larger.set(this.#ends)
    this.#ends = larger
  }
}
