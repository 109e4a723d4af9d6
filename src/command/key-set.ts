import { keyEndLength } from './copy-statements.js'

/**
 * The keys that a pass saw, by their ends: 8 bytes a key, so that ten million take 80 MB. That two keys
 * share an end is a chance of one in 2⁵² a pair; the one would then be taken for the other.
 */
export class KeySet {
  #ends = new Float64Array(1024)
  #size = 0
  #sorted = true

  /** @param ends the last 13 hexadecimal digits of each key, one after the other */
  add(ends: string): void {
    for (let start = 0; start < ends.length; start += keyEndLength) {
      if (this.#size === this.#ends.length) this.#grow()
      this.#ends[this.#size++] = Number.parseInt(ends.slice(start, start + keyEndLength), 16)
    }
    this.#sorted = false
  }

  /** @param key in hexadecimal digits */
  has(key: string): boolean {
    if (!this.#sorted) this.#ends.subarray(0, this.#size).sort()
    this.#sorted = true
    const end = Number.parseInt(key.slice(-keyEndLength), 16)
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
