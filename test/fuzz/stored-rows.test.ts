import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'vitest'
import { createSessions, MemoryStore, type SessionStore } from 'coatcheck'
import { createToken, hashOf, idOf } from '../../dist/core/token.js'
import { bag, readData, secret, storedSession } from '../core/works.ts'
import { fuzz } from './fuzz.ts'
import { assertNoPollution, largeRows, rows } from './rows.ts'

const lifetime = { idle: 3_600_000, absolute: undefined }
const canary = { canary: 'of the neighbour' }

/** Puts a row of ada's into a store, as nobody can who goes through the library. */
async function plant(store: SessionStore, row: Uint8Array): Promise<string> {
  const token = createToken()
  const [id, hash, mark] = [idOf(token), hashOf(token), Buffer.alloc(8)]
  const content = { userId: 'ada', data: row, format: 1, mark, lifetime }
  await store.write([{ type: 'insert', id, hash, signedIn: false, ...content }])
  return token
}

/** The data in a row that our codec may have written; `undefined` for all others. */
function dataIn(row: Uint8Array): Record<string, unknown> | undefined {
  if (!isUtf8(row)) return undefined
  try {
    const data: unknown = JSON.parse(
      Buffer.from(row)
        .toString()
        .replace(/^\ufeff/, ''),
    )
    const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
    return isObject && !hasInfinity(data) ? (data as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** JSON has no word for it, but 1e999 is read so. */
function hasInfinity(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(hasInfinity)
  return value === Infinity || value === -Infinity
}

const methods = ['signIn', 'signOut', 'rotate', 'regenerate', 'destroy', 'reload', 'save', 'touch']
const reserved = new Set([
  ...methods,
  'id',
  'publicId',
  'userId',
  'createdAt',
  'authenticatedAt',
  '__proto__',
  'constructor',
])

/** What a session shows of its data. */
function shown(data: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => !reserved.has(name)))
}

/** Sessions on a store in which somebody else is signed in. What rows hold is tried here, and not their size. */
async function house() {
  const store = new MemoryStore({ maxSessions: 10 })
  const sessions = createSessions({ store, secret, sweep: false, sizeLimit: 2 ** 24 })
  const problems: string[] = []
  sessions.on('storeError', ({ code }) => problems.push(code))
  return { store, sessions, problems, neighbour: await storedSession(sessions, canary, 'bob') }
}

const { store, sessions, problems, neighbour } = await house()

test(
  'whatever lies in a row is read as the data that it is, or its holder is signed out',
  fuzz({ ci: 100_000, nightly: 10_000_000 }, rows, async (row) => {
    problems.length = 0
    await store.removeByUser('ada') // the rows that were tried make way for others
    const token = await plant(store, row)
    const data = dataIn(row)
    // In one batch.
    const [work, other] = await Promise.all([sessions.load(token), sessions.load(neighbour)])
    const session = bag(work)

    if (data) {
      const expected = shown(data)
      assert.deepEqual({ ...session }, expected)
      assert.equal(session.id, token)
      assert.equal(session.userId, 'ada')
      assert.deepEqual(problems, [])
    } else {
      assert.deepEqual({ ...session }, {})
      assert.deepEqual([work.isNew, work.userId, session.id === token], [true, undefined, false])
      assert.deepEqual(problems, ['ERR_SESSION_CORRUPT'])
    }
    for (const name of methods) assert.equal(typeof session[name], 'function', name)

    // A request that goes on with it, and the next one.
    session['seen'] = true
    await work.commit()
    assert.equal((await readData(sessions, work.id))['seen'], true)
    assert.deepEqual({ ...bag(other) }, canary)
    assertNoPollution()
  }),
)

test.each(largeRows)('so are %s by the 100,000, which are %s', async (_what, expected, row) => {
  const own = await house()
  const work = await own.sessions.load(await plant(own.store, Buffer.from(row)))
  bag(work)['seen'] = true
  assert.equal(work.isNew ? 'signed out' : 'read', expected)
  await work.commit()
  assert.equal((await readData(own.sessions, work.id))['seen'], true)
  assert.deepEqual(await readData(own.sessions, own.neighbour), canary)
  assertNoPollution()
})
