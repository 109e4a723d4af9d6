import { SessionError } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { failureOf, isAway } from '../../dist/core/store/store-failure.js'
import { bag, failingStore, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

test.each<[string, object, string, number, boolean]>([
  ['data that is refused', { sqlState: '22001' }, 'ERR_SESSION_DATA_REFUSED', 500, false],
  ['a right that is missing', { sqlState: '42501' }, 'ERR_SESSION_STORE_CONFIGURATION', 500, false],
  ['a deadlock', { sqlState: '40001' }, 'ERR_SESSION_STORE_BUSY', 503, false],
  [
    'a statement that may have been undone, or not',
    { sqlState: '40003' },
    'ERR_SESSION_STORE_UNAVAILABLE',
    503,
    true,
  ],
  ['a connection that is refused', { code: 'ECONNREFUSED' }, 'ERR_SESSION_STORE_UNAVAILABLE', 503, true],
  ['what says nothing of its kind', {}, 'ERR_SESSION_STORE_UNAVAILABLE', 503, false],
])(
  '%s has a code and a status, and shuts others out only if the store is away',
  (_, facts, code, status, away) => {
    const failure = failureOf('storing a session', Object.assign(new Error('refused'), facts))
    expect([failure.code, failure.status, isAway(failure)]).toEqual([code, status, away])
  },
)

describe('a store that fails', () => {
  test('is a typed 503 and an event, never a session that is empty', async () => {
    const { store, sessions, token, told, cause } = await failingStore()
    store.down = cause
    const error: unknown = await sessions.load(token).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(SessionError)
    expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503, cause })
    expect((error as Error).message).not.toContain('connection refused')
    expect(told).toEqual([error])
    store.down = undefined
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })

  test('fails a commit, and the browser is told nothing', async () => {
    const { store, sessions, told, cause } = await failingStore()
    const work = sessions.begin()
    bag(work).a = 1
    store.down = cause
    await expect(work.commit()).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
      cause,
    })
    expect(work.outcome.action).toBe('keep')
    expect(told).toHaveLength(1)
  })

  test('fails a sign-out, and the session is not taken for ended', async () => {
    const { store, sessions, token, cause } = await failingStore()
    const work = await sessions.load(token)
    store.down = cause
    await expect(bag(work).signOut()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    expect(work.outcome.action).toBe('keep')
    expect(work.userId).toBe('ada')
    store.down = undefined
    expect((await sessions.load(token)).userId).toBe('ada')
  })

  test('is asked once for an ending that nobody waited for', async () => {
    const { store, sessions, token, told, cause } = await failingStore()
    const work = await sessions.load(token)
    store.down = cause
    bag(work)
      .destroy()
      .catch(() => undefined)
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    expect(told).toHaveLength(1)
  })

  test('does not fail a request by a touch, which is an event only', async () => {
    const { store, sessions, token, told, cause } = await failingStore()
    const work = await sessions.load(token)
    bag(work).touch()
    store.down = cause
    await work.commit()
    expect(told).toMatchObject([{ code: 'ERR_SESSION_STORE_UNAVAILABLE' }])
  })

  test('fails listing and revoking', async () => {
    const { store, sessions, cause } = await failingStore()
    store.down = cause
    const user = sessions.user('ada')
    for (const call of [() => user.list(), () => user.revoke('x'.repeat(16)), () => user.revokeAll()]) {
      await expect(call()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
    }
  })

  test.each<[string, unknown]>([
    ['an Error without a message', new Error('')],
    ['a text', 'gone away'],
    ['undefined', undefined],
  ])('may reject with %s', async (_name, reason) => {
    const { store, sessions, token } = await failingStore()
    store.find = () => Promise.reject(reason as Error)
    await expect(sessions.load(token)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  })

  test('may reject with a typed error of its own, which stays what it is', async () => {
    const { store, sessions, token, told } = await failingStore()
    store.down = new SessionError(
      'ERR_SESSION_MISSING_TABLE',
      'The table sessions is missing: run the schema.',
    )
    await expect(sessions.load(token)).rejects.toBe(store.down)
    expect(told).toEqual([store.down])
  })

  test('is a warning of the process if nobody listens', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    store.down = new Error('connection refused')
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    try {
      const error = await sessions.load('token').catch((reason: unknown) => reason)
      const { name: type, code, message } = error as SessionError
      expect(warn).toHaveBeenCalledExactlyOnceWith(message, expect.objectContaining({ type, code }))
    } finally {
      warn.mockRestore()
    }
  })
})

describe('work that began while the store was unavailable', () => {
  test('reads as empty and refuses to be stored, with the error from then', async () => {
    const { store, sessions } = await failingStore()
    store.writes.length = 0
    const unavailable = new SessionError('ERR_SESSION_STORE_UNAVAILABLE', 'down', { status: 503 })
    const work = sessions.begin(unavailable)
    expect({ ...bag(work) }).toEqual({})
    expect(work.commit()).toBeUndefined()
    bag(work).a = 1
    await expect(work.commit()).rejects.toBe(unavailable)
    await expect(bag(work).signIn('ada')).rejects.toBe(unavailable)
    await expect(bag(work).signOut()).rejects.toBe(unavailable)
    await expect(bag(work).reload()).rejects.toBe(unavailable)
    expect(store.writes).toEqual([])
    expect(work.outcome.action).toBe('keep')
  })
})

describe('closing', () => {
  test('closes the store once, however often it is called', async () => {
    const { store, sessions } = await failingStore()
    await Promise.all([sessions.close(), sessions.close()])
    await sessions.close()
    expect(store.closed).toBe(1)
  })

  test('waits for what is under way', async () => {
    const { store, sessions } = await failingStore()
    const work = sessions.begin()
    bag(work).a = 1
    let release: () => void = () => undefined
    const reached = new Promise<void>((atStore) => {
      store.beforeWrite = () => {
        atStore()
        return new Promise((resolve) => (release = resolve))
      }
    })
    const commit = work.commit()
    await reached
    const closing = sessions.close()
    expect(store.closed).toBe(0)
    release()
    await commit
    await closing
    expect(store.closed).toBe(1)
    expect(work.outcome.action).toBe('issue')
  })

  test('waits for a load that has yet to ask for what its token led to before a rotation', async () => {
    const { store, sessions, token } = await failingStore()
    const rotating = await sessions.load(token)
    await bag(rotating).rotate()
    await rotating.commit()
    const find = store.find.bind(store)
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const reached = new Promise<void>((atStore) => {
      store.find = async (keys) => {
        atStore()
        await released
        return find(keys)
      }
    })
    const loading = sessions.load(token)
    await reached
    const closing = sessions.close()
    release()
    expect((await loading).isFormer).toBe(true)
    await closing
    expect(store.closed).toBe(1)
  })

  test('does not wait for a store that never closes, and tells of it', async () => {
    const store = Object.assign(new WatchedStore(), { close: () => new Promise<never>(() => undefined) })
    const sessions = memorySessions({ store, storeLimits: { deadline: '20ms' } })
    const told: unknown[] = []
    sessions.on('storeError', (error) => told.push(error))
    await sessions.close()
    expect(told).toMatchObject([{ code: 'ERR_SESSION_STORE_TIMEOUT' }])
  })

  test('fails where the store says that it cannot be closed', async () => {
    const failure = new Error('it is held open')
    const store = Object.assign(new WatchedStore(), { close: () => Promise.reject(failure) })
    await expect(memorySessions({ store }).close()).rejects.toBe(failure)
  })

  test('makes whatever needs the store a typed 503', async () => {
    const { sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).a = 2
    await sessions.close()
    const closed = { code: 'ERR_SESSION_CLOSED', status: 503 }
    await expect(sessions.load(token)).rejects.toMatchObject(closed)
    await expect(work.commit()).rejects.toMatchObject(closed)
    await expect(sessions.user('ada').list()).rejects.toMatchObject(closed)
    await expect(sessions.user('ada').revokeAll()).rejects.toMatchObject(closed)
  })
})

test('ready() says whether the store answers', async () => {
  const { store, sessions, cause } = await failingStore()
  await expect(sessions.ready()).resolves.toBeUndefined()
  store.down = cause
  await expect(sessions.ready()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
  store.down = undefined
  await sessions.close()
  await expect(sessions.ready()).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED', status: 503 })
})

test('listing, ending all and sweeping fail in time too on a store that never answers, and close() does not wait for it', async () => {
  const store = new WatchedStore()
  const never = () => new Promise<never>(() => undefined)
  const sessions = memorySessions({
    store: Object.assign(store, { list: never, removeByUser: never, removeExpired: never }),
    storeLimits: { deadline: '20ms' },
    sweep: { every: '1ms' },
  })
  const told: string[] = []
  sessions.on('storeError', ({ code }) => told.push(code))
  const late = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }
  await expect(sessions.user('ada').list()).rejects.toMatchObject(late)
  await expect(sessions.user('ada').revokeAll()).rejects.toMatchObject(late)
  await expect.poll(() => told.length).toBeGreaterThan(2)
  await sessions.close()
})

test('a store that fails while it is asked what was revoked loses no session: the sign-in can be tried again', async () => {
  const { store, sessions } = await failingStore()
  const work = await sessions.load(await storedSession(sessions, { cart: 1 }))
  await bag(work).signIn('bob', { keep: true })
  store.beforeWrite = async () => {
    store.beforeWrite = undefined
    const { find } = store
    store.find = async () => {
      store.find = find
      throw new Error('connection reset')
    }
  }
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  expect(work.outcome.action).toBe('keep')
  await work.commit()
  expect(await readData(sessions, work.id)).toEqual({ cart: 1 })
  expect(await sessions.user('bob').list()).toHaveLength(1)
})

test('an ending that fails on a session that was rotated meanwhile is tried again by the commit', async () => {
  const { store, sessions, token } = await failingStore()
  const [ending, rotating] = [await sessions.load(token), await sessions.load(token)]
  await bag(rotating).rotate()
  await rotating.commit()
  store.beforeWrite = async () => {
    store.beforeWrite = undefined
    throw new Error('connection reset')
  }
  await expect(bag(ending).signOut()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  await ending.commit()
  expect((await sessions.load(rotating.id)).isNew).toBe(true)
})

test('a sign-in after an ending that failed is not ended with it', async () => {
  const { store, sessions, token, cause } = await failingStore()
  const work = await sessions.load(token)
  store.down = cause
  await expect(bag(work).signOut()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  store.down = undefined
  await bag(work).signIn('ada')
  await work.commit()
  expect(work.outcome.action).toBe('issue')
  expect((await sessions.load(work.id)).userId).toBe('ada')
  expect((await sessions.load(token)).isNew).toBe(true)
})
