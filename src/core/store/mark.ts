import { randomBytes } from 'node:crypto'

/** Bytes of a mark, and how many of them a record keeps. */
export const markLength = 8
export const marksKept = 4

/** Random bytes for the next marks: to ask for many at once takes a fortieth of the time. */
let randomness = Buffer.alloc(0)
let taken = 0

/** Makes the random bytes that identify one write of content. */
export function createMark(): Buffer {
  if (taken === randomness.length) {
    // A new one each time: who holds a mark of the old one keeps it.
    randomness = randomBytes(markLength * 500)
    taken = 0
  }
  return randomness.subarray(taken, (taken += markLength))
}

/** The newest marks, as many as are kept, as a new array. */
export function marksWith(mark: Uint8Array, marks: Uint8Array): Uint8Array {
  const kept = Math.min(marks.length, markLength * (marksKept - 1))
  const all = new Uint8Array(mark.length + kept)
  all.set(mark)
  all.set(marks.subarray(0, kept), mark.length)
  return all
}
