import { inspect } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { hashOf, idOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, secret, storedSession, WatchedStore } from './works.ts'

/** All that a log could show of what happens: errors with their causes, events, warnings, and what is printed of objects. */
async function everythingTold(): Promise<{ told: string; tokens: string[] }> {
  const store = new WatchedStore()
  const sessions = memorySessions({
    store,
    sizeLimit: 1_000,
    sessionsPerUser: { most: 1, whenFull: 'refuse' },
  })
  const told: unknown[] = []
  const note = (...what: unknown[]): void => void told.push(...what)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  for (const name of ['created', 'committed', 'rotated', 'destroyed', 'expired', 'storeError'] as const) {
    sessions.on(name, note)
  }
  const failing = async (act: () => unknown): Promise<void> => {
    try {
      await act()
    } catch (error) {
      note(error)
    }
  }

  const first = await storedSession(sessions, { name: 'Ada' }, 'ada')
  const work = await sessions.load(first)
  note(sessions, work, bag(work), inspect(bag(work), { showHidden: true, depth: 10 }), JSON.stringify(work))
  await failing(() => storedSession(sessions, {}, 'ada')) // the limit
  await bag(work).rotate()
  const second = await committedToken(work)
  // @ts-expect-error no promise may be returned
  await failing(() => bag(work).update(() => Promise.resolve()))
  const large = await sessions.load(second)
  bag(large).large = 'x'.repeat(2_000)
  await failing(() => large.commit())
  const odd = await sessions.load(second)
  bag(odd).odd = new Map([['token', second]])
  await failing(() => odd.commit())
  store.down = new Error('connection refused')
  await failing(() => sessions.load(second))
  await failing(() => bag(work).save())
  await failing(() => bag(work).destroy())
  store.down = undefined
  await store.write([
    { type: 'update', id: idOf(second), version: 2, userId: 'ada', data: Buffer.from('{'), format: 1, mark: Buffer.alloc(8), lifetime: { idle: 60_000, absolute: undefined } },
  ]) // prettier-ignore
  await failing(async () => bag(await sessions.load(second)))
  await sessions.user('ada').revokeAll()
  await failing(() => bag(work).reload())
  note(sessions, work, await sessions.user('ada').list())
  await new Promise((resolve) => setImmediate(resolve)) // warnings come in a turn of their own
  return { told: told.map((what) => inspect(what, { depth: 10 })).join('\n'), tokens: [first, second] }
}

test('no error, event, warning or printed object holds a token, a hash or the secret', async () => {
  const { told, tokens } = await everythingTold()
  expect(told).toContain('ERR_SESSION_TOO_LARGE')
  expect(told).toContain('ERR_SESSION_CORRUPT')
  expect(told).toContain('ERR_SESSION_LIMIT')
  expect(told).toContain('connection refused')
  for (const token of tokens) {
    expect(told).not.toContain(token)
    for (const form of ['hex', 'base64url'] as const)
      expect(told).not.toContain(Buffer.from(hashOf(token)).toString(form))
  }
  expect(told).not.toContain(secret)
})
