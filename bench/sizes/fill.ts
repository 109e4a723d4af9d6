import { randomBytes } from 'node:crypto'
import type { SessionId, SessionStore, SessionWrite } from 'coatcheck'
import { createId } from '../../dist/core/token.js'
import { type ShapeName, shapes } from '../apps/shapes.ts'

const day = 86_400_000 // ms
const lifetime = { idle: day, absolute: 30 * day }
/** Writes in a batch, and batches under way at once. */
const batchSize = 256
const lanes = 3
/** So many sessions are in use at a time. */
const portion = 10_000
/** How often each of them is changed after the sign-in. */
const changes = 3

/** What a session of the shape holds, encoded; that of another number has another user. */
export function dataOf(shape: ShapeName, number: number): Buffer {
  const contents = { ...shapes[shape].begin(), views: number }
  return Buffer.from(JSON.stringify(contents))
}

/**
 * Fills an empty store, as apps do.
 * @param kind `'new'`: all sessions of users who have just signed in. `'used'`: sessions of visitors who signed in then, and
 *   changed their session some times after that
 */
export async function fill(
  store: SessionStore,
  shape: ShapeName,
  sessions: number,
  kind: 'new' | 'used',
): Promise<void> {
  for (let first = 0; first < sessions; first += portion) {
    const numbers = Array.from({ length: Math.min(portion, sessions - first) }, (_, index) => first + index)
    const ids = new Map(numbers.map((number) => [number, createId()]))
    const content = (number: number, userId: string | undefined) => ({
      id: ids.get(number) as SessionId,
      userId,
      data: dataOf(shape, number),
      format: 1,
      mark: randomBytes(8),
      lifetime,
    })
    const userOf = (number: number) => `user-${1_000_000 + number}`
    await writeAll(store, numbers, (number) => ({
      ...content(number, kind === 'new' ? userOf(number) : undefined),
      type: 'insert',
      hash: randomBytes(32),
      signedIn: kind === 'new',
    }))
    if (kind === 'new') continue
    await writeAll(store, shuffled(numbers), (number) => ({
      ...content(number, userOf(number)),
      type: 'update',
      version: 1,
      // So short that the change after it drops what the session was before, as one does that comes after the usual grace.
      secret: { hash: randomBytes(32), signedIn: true, grace: 1 },
    }))
    for (let change = 1; change <= changes; change++)
      await writeAll(store, shuffled(numbers), (number) => ({
        ...content(number, userOf(number)),
        type: 'update',
        version: 1 + change,
      }))
  }
}

async function writeAll(
  store: SessionStore,
  numbers: readonly number[],
  writeOf: (number: number) => SessionWrite,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < numbers.length) {
      const batch = numbers.slice(next, (next += batchSize))
      const results = await store.write(batch.map(writeOf))
      const failed = results.find((result) => result !== 'done')
      if (failed !== undefined) throw failed instanceof Error ? failed : new Error(`A write was ${failed}.`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** Users are not active in the order in which they came. */
function shuffled(numbers: readonly number[]): number[] {
  const keys = new Map(numbers.map((number) => [number, Math.random()]))
  return numbers.toSorted((one, other) => keys.get(one)! - keys.get(other)!)
}
