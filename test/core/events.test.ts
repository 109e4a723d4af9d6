import '../faked-timers.ts'
import type { SessionEvents, Sessions } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { bag, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

const names = ['created', 'committed', 'rotated', 'destroyed', 'expired', 'storeError'] as const

/** A list that fills with what `sessions` tells. */
function heard(sessions: Sessions): [keyof SessionEvents, unknown][] {
  const events: [keyof SessionEvents, unknown][] = []
  for (const name of names) sessions.on(name, (event: unknown) => events.push([name, event]))
  return events
}

test('a first commit is told as created and committed, a later one as committed with its version', async () => {
  const sessions = memorySessions()
  const events = heard(sessions)
  const work = sessions.begin()
  bag(work).a = 1
  await work.commit()
  bag(work).a = 2
  await work.commit()
  const reference = { publicId: work.publicId, userId: undefined }
  expect(events).toEqual([
    ['created', reference],
    ['committed', { ...reference, version: 1 }],
    ['committed', { ...reference, version: 2 }],
  ])
})

test('a sign-in on a stored session is told as rotated and committed, with the user', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { a: 1 })
  const events = heard(sessions)
  const work = await sessions.load(token)
  await bag(work).signIn('ada')
  expect(events).toEqual([])
  await work.commit()
  const reference = { publicId: work.publicId, userId: 'ada' }
  expect(events).toEqual([
    ['rotated', reference],
    ['committed', { ...reference, version: 2 }],
  ])
})

test.each([
  ['signOut', 'signOut'],
  ['destroy', 'destroy'],
  ['regenerate', 'regenerate'],
] as const)('%s is told as destroyed, with that reason', async (method, reason) => {
  const sessions = memorySessions()
  const work = await sessions.load(await storedSession(sessions, {}, 'ada'))
  const { publicId } = work
  const events = heard(sessions)
  await bag(work)[method]()
  expect(events).toEqual([['destroyed', { publicId, userId: 'ada', reason }]])
})

test('a revocation is told as destroyed, once for each session that it ended', async () => {
  const sessions = memorySessions()
  const tokens = [1, 2, 3].map(() => storedSession(sessions, {}, 'ada'))
  const [one, two, three] = await Promise.all(
    tokens.map(async (token) => (await sessions.load(await token)).publicId),
  )
  const events = heard(sessions)
  await sessions.user('ada').revoke(one!)
  await sessions.user('ada').revokeAll({ except: two! })
  const told = (publicId: string) => ['destroyed', { publicId, userId: 'ada', reason: 'revoke' }]
  expect(events).toEqual([told(one!), told(three!)])
})

test('nothing is told of a request that only reads, touches, or stores nothing', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { a: 1 })
  const events = heard(sessions)
  await readData(sessions, token)
  const work = await sessions.load(token)
  bag(work).touch()
  await work.commit()
  await bag(sessions.begin()).signOut()
  expect(events).toEqual([])
})

test('no event holds a token', async () => {
  const sessions = memorySessions()
  const events = heard(sessions)
  const token = await storedSession(sessions, { a: 1 })
  const work = await sessions.load(token)
  await bag(work).signIn('ada')
  await work.commit()
  const after = work.id
  await bag(work).signOut()
  expect(events).toHaveLength(5)
  for (const secret of [token, after]) expect(JSON.stringify(events)).not.toContain(secret)
})

test('a listener of once hears one event, and one that was taken off hears none', async () => {
  const sessions = memorySessions()
  const [once, off] = [vi.fn<() => void>(), vi.fn<() => void>()]
  sessions.once('created', once)
  sessions.on('created', off)
  sessions.off('created', off)
  await storedSession(sessions, { a: 1 })
  await storedSession(sessions, { a: 1 })
  expect(once).toHaveBeenCalledTimes(1)
  expect(off).not.toHaveBeenCalled()
})

test('a listener that throws neither fails the commit nor keeps others from hearing; the process hears its error', async () => {
  const sessions = memorySessions()
  const failure = new Error('of a listener')
  const other = vi.fn<() => void>()
  sessions.on('committed', () => {
    throw failure
  })
  sessions.on('committed', other)
  // Vitest listens too, and would take this for a failure of the test.
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  try {
    const uncaught = new Promise((resolve) => process.once('uncaughtException', resolve))
    const token = await storedSession(sessions, { a: 1 })
    expect(await uncaught).toBe(failure)
    expect(await readData(sessions, token)).toEqual({ a: 1 })
    expect(other).toHaveBeenCalledTimes(1)
  } finally {
    for (const listener of listeners) process.on('uncaughtException', listener)
  }
})

describe('the sweeper', () => {
  test('removes expired sessions a batch after the other, and tells how many', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
    try {
      const sessions = memorySessions({ lifetime: { idle: '1m' }, sweep: { every: '10m', batch: 2 } })
      const events = heard(sessions)
      for (let n = 0; n < 5; n++) await storedSession(sessions, { n })
      events.length = 0
      await vi.advanceTimersByTimeAsync(8 * 60_000)
      expect(events).toEqual([])
      await vi.advanceTimersByTimeAsync(4 * 60_000)
      expect(events).toEqual([['expired', { count: 5 }]])
      await vi.advanceTimersByTimeAsync(60 * 60_000)
      expect(events).toHaveLength(1)
      await sessions.close()
    } finally {
      vi.useRealTimers()
    }
  })

  test('goes on after a failure, which is told and nothing more', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] })
    try {
      const store = new WatchedStore()
      const sessions = memorySessions({ store, lifetime: { idle: '1m' }, sweep: { every: '10m' } })
      await storedSession(sessions, { a: 1 })
      const events = heard(sessions)
      store.down = new Error('deadlock')
      await vi.advanceTimersByTimeAsync(12 * 60_000)
      expect(events).toMatchObject([['storeError', { code: 'ERR_SESSION_STORE_UNAVAILABLE' }]])
      store.down = undefined
      await vi.advanceTimersByTimeAsync(12 * 60_000)
      expect(events.slice(1)).toEqual([['expired', { count: 1 }]])
      await sessions.close()
      expect(vi.getTimerCount()).toBe(0)
    } finally {
      vi.useRealTimers()
    }
  })
})
