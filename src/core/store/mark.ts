import { randomBytes } from 'node:crypto'

/** The bytes of a mark, and how many marks a record keeps. */
export const markLength = 8
export const marksKept = 4

/** Random bytes for the next marks. Getting many at once takes a fortieth of the time. */
let randomness = Buffer.alloc(0)
let taken = 0

/** Makes the random bytes that identify one write of content. */
export function createMark(): Buffer {
  if (taken === randomness.length) {
    // A new buffer each time: marks are slices of the old one, and may still be in use.
    randomness = randomBytes(markLength * 500)
    taken = 0
  }
  return randomness.subarray(taken, (taken += markLength))
}

/** Puts a mark before others, and drops the oldest beyond what a record keeps. Returns a new array. */
export function marksWith(mark: Uint8Array, marks: Uint8Array): Uint8Array {
  const kept = Math.min(marks.length, markLength * (marksKept - 1))
  const all = new Uint8Array(mark.length + kept)
  all.set(mark)
  all.set(marks.subarray(0, kept), mark.length)
  return all
}
