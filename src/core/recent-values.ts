/** Values in one generation. At most two generations are kept. */
const generationSize = 2_048

/** What was worked out of the texts that were asked for last. What was asked for the longest time ago is forgotten first. */
export class RecentValues<Value> {
  #young = new Map<string, Value>()
  #old = new Map<string, Value>()

  get(text: string): Value | undefined {
    const young = this.#young.get(text)
    if (young !== undefined) return young
    const old = this.#old.get(text)
    if (old !== undefined) this.set(text, old)
    return old
  }

  set(text: string, value: Value): void {
    if (this.#young.size >= generationSize) {
      this.#old = this.#young
      this.#young = new Map()
    }
    // A copy: a part of a header would keep all of the header in memory.
    this.#young.set(Buffer.from(text).toString(), value)
  }
}
