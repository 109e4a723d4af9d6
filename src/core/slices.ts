import { nextTurn } from './scheduling.js'

/** Bytes of sessions that are read, decoded or handed over in one turn of the event loop. */
const bytesInSlice = 262_144

/** Cuts work on many sessions into slices, so that other requests have their turn between two. */
export class Slices {
  #bytes = 0

  /** Counts work that is to come. @returns what has to be waited for before it; `undefined` if it fits into this turn. */
  before(bytes: number): Promise<void> | undefined {
    this.#bytes += bytes
    if (this.#bytes <= bytesInSlice || this.#bytes === bytes) return undefined
    this.#bytes = bytes
    return nextTurn()
  }
}
