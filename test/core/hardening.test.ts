import '../faked-timers.ts'
import { createSessions, MemoryStore, type SessionReference } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { cookieValues } from '../../dist/http/cookie.js'
import {
  bag,
  committedToken,
  memorySessions,
  readData,
  secret,
  storedSession,
  WatchedStore,
} from './works.ts'

describe('ending a session that a parallel request gave a new token', () => {
  for (const ending of ['signOut', 'destroy', 'regenerate'] as const) {
    test(`${ending} reaches it under its new key`, async () => {
      const sessions = memorySessions()
      const destroyed = vi.fn<(event: SessionReference) => void>()
      sessions.on('destroyed', destroyed)
      const token = await storedSession(sessions, { canary: 1 }, 'owner')
      const ender = await sessions.load(token)
      const rotator = await sessions.load(token)
      await bag(rotator).rotate()
      const rotated = await committedToken(rotator)
      await bag(ender)[ending]()
      expect(await readData(sessions, rotated)).toEqual({})
      expect(await sessions.user('owner').list()).toEqual([])
      expect(destroyed).toHaveBeenCalledTimes(1)
    })
  }

  test('two requests that end one session tell it once', async () => {
    const sessions = memorySessions()
    const destroyed = vi.fn<(event: SessionReference) => void>()
    sessions.on('destroyed', destroyed)
    const token = await storedSession(sessions, { canary: 1 }, 'owner')
    const works = [await sessions.load(token), await sessions.load(token)]
    await Promise.all(works.map((work) => bag(work).signOut()))
    expect(destroyed).toHaveBeenCalledTimes(1)
  })
})

test('an ending that failed without anybody waiting is tried again by the commit, and fails it', async () => {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  sessions.on('storeError', () => undefined)
  const token = await storedSession(sessions, { canary: 1 }, 'owner')
  const work = await sessions.load(token)
  store.down = new Error('away')
  await expect(bag(work).destroy()).rejects.toMatchObject({ status: 503 })
  await expect(work.commit()).rejects.toMatchObject({ status: 503 })

  const again = await sessions.load(token).catch(() => undefined)
  expect(again).toBeUndefined()
  store.down = undefined
  const work2 = await sessions.load(token)
  store.down = new Error('away')
  await expect(bag(work2).signOut()).rejects.toMatchObject({ status: 503 })
  store.down = undefined
  await work2.commit()
  expect(work2.outcome).toEqual({ action: 'clear' })
  expect(await readData(sessions, token)).toEqual({})
})

test('signing in as another user ends the session of the one before, data and all', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { canary: 'of the first' }, 'first')
  const work = await sessions.load(token)
  bag(work).draft = 'of the first too'
  await bag(work).signIn('second')
  bag(work).canary = 'of the second'
  const after = await committedToken(work)
  expect(await readData(sessions, after)).toEqual({ canary: 'of the second' })
  expect(await sessions.user('first').list()).toEqual([])
  expect(await readData(sessions, token)).toEqual({})
})

test('signing in again as the same user keeps the data', async () => {
  const sessions = memorySessions()
  const work = await sessions.load(await storedSession(sessions, { cart: [1] }, 'owner'))
  await bag(work).signIn('owner')
  expect(await readData(sessions, await committedToken(work))).toEqual({ cart: [1] })
})

test('once the headers are out, a sign-in is refused before anything is stored', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: [1] })
  const work = await sessions.load(token)
  work.closeHeaders()
  const tooLate = { code: 'ERR_SESSION_HEADERS_SENT' }
  await expect(bag(work).signIn('owner')).rejects.toMatchObject(tooLate)
  await expect(bag(work).rotate()).rejects.toMatchObject(tooLate)
  await work.commit()
  expect(await readData(sessions, token)).toEqual({ cart: [1] })
})

test('once the headers are out, a sign-in as another user ends nothing', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: [1] }, 'owner')
  const work = await sessions.load(token)
  bag(work).n = 1
  await work.commit()
  work.closeHeaders()
  await expect(bag(work).signIn('other')).rejects.toMatchObject({ code: 'ERR_SESSION_HEADERS_SENT' })
  expect(await readData(sessions, token)).toEqual({ cart: [1], n: 1 })
})

test('revokeAll refuses the token of a session in place of its publicId, and an option that it has not', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, {}, 'owner')
  const user = sessions.user('owner')
  const refused = { code: 'ERR_SESSION_OPTION' }
  await expect(user.revokeAll({ except: token })).rejects.toMatchObject(refused)
  await expect(user.revokeAll({ exept: 'x' } as object)).rejects.toMatchObject(refused)
  expect(await user.list()).toHaveLength(1)
  expect(await user.revokeAll({ except: await sessions.load(token).then((work) => bag(work)) })).toBe(0)
})

test('an explicit save of a session that has ended says so', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: [1] }, 'owner')
  const work = await sessions.load(token)
  await sessions.user('owner').revokeAll()
  bag(work).late = true
  await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_GONE', status: 401 })
})

test.each<[unknown, string]>([
  [Number.NaN, 'is NaN, which is no whole number'],
  [Infinity, 'is Infinity, which is no whole number'],
  [1e21, 'is 1e\\+21, which is no whole number that is exact'],
  [1.5, 'is 1.5, which is no whole number'],
  ['', 'is empty: perhaps nobody was found'],
  ['\ud800', 'is not well-formed'],
  ['admin\0x', 'is a text with a NUL character in it'],
  ['é'.repeat(128), 'is 256 bytes long'],
  [{}, 'is of the type object'],
  [Symbol('ada'), 'is of the type symbol'],
  [null, 'is null: perhaps nobody was found'],
  [undefined, 'is undefined: perhaps nobody was found.*app\\.use\\(express\\.json\\(\\)\\)'],
])('no user is named %s, and the error says what was given and what to give', async (userId, fault) => {
  const sessions = memorySessions()
  const error = expect.objectContaining({
    code: 'ERR_SESSION_USER_ID',
    message: expect.stringMatching(new RegExp(`${fault}.* Give the user's own: a text of 1`)),
  }) as Error
  await expect(bag(sessions.begin()).signIn(userId as never)).rejects.toThrow(error)
  expect(() => sessions.user(userId as never)).toThrow(error)
})

test('a sign-in that nobody awaited and that fails is the failure of the commit', async () => {
  const work = memorySessions().begin()
  void bag(work).signIn('')
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_USER_ID' })
})

test('req.session.constructor is no place for data', () => {
  expect(() => {
    bag(memorySessions().begin()).constructor = 'x' as never
  }).toThrow(expect.objectContaining({ code: 'ERR_SESSION_RESERVED_NAME' }))
})

test('a configuration that is refused leaves nothing running', () => {
  vi.useFakeTimers()
  try {
    expect(() => createSessions({ store: new MemoryStore(), secret: 'short' })).toThrow('too short')
    expect(() => createSessions({ store: new MemoryStore(), secret, sites: ['nonsense'] })).toThrow(
      'nonsense',
    )
    expect(vi.getTimerCount()).toBe(0)
  } finally {
    vi.useRealTimers()
  }
})

test('an outage that nobody listens to is one warning for each kind of fault, not one a request', async () => {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  store.down = new Error('away')
  for (let request = 0; request < 20; request++) await sessions.load('any token').catch(() => undefined)
  expect(warn).toHaveBeenCalledTimes(1)
  warn.mockRestore()
})

test('an array that only others changed keeps its identity in hand', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: [1] })
  const [mine, theirs] = [await sessions.load(token), await sessions.load(token)]
  const cart = bag(mine).cart as number[]
  bag(theirs).cart = [1, 2]
  await theirs.commit()
  bag(mine).other = true
  await bag(mine).save()
  cart.push(3)
  await mine.commit()
  expect(await readData(sessions, token)).toEqual({ cart: [1, 2, 3], other: true })
})

test('what is added to an object that others dropped stays, what it held before goes', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: { old: 1 } })
  const [mine, theirs] = [await sessions.load(token), await sessions.load(token)]
  delete bag(theirs).cart
  await theirs.commit()
  Object.assign(bag(mine).cart as object, { mine: 1 })
  await mine.commit()
  expect(await readData(sessions, token)).toEqual({ cart: { mine: 1 } })
})

test('a header of blanks is trimmed in time that grows no faster than it', () => {
  // Counted, not timed: a quadratic scan of this would not come back within the test's time limit.
  const header = `sid=1; a${' '.repeat(4_000_000)}b=1; sid=\t2 `
  expect(cookieValues(header, 'sid')).toEqual(['1', '2'])
})

test("a getter of the session itself that fails is an error that names it, with the app's own as its cause", async () => {
  const cause = new Error('no prices today')
  const sessions = memorySessions()
  const work = await sessions.load(await storedSession(sessions, { cart: ['coat'] }))
  const total = {
    get: () => {
      throw cause
    },
    enumerable: true,
  }
  const told = {
    code: 'ERR_SESSION_DATA',
    message: expect.stringMatching(/^req\.session\.total holds/),
    cause,
  }
  const update = bag(work).update(
    (session) => void Object.defineProperty(session, 'total', { ...total, configurable: true }),
  )
  await expect(update).rejects.toMatchObject(told)
  expect({ ...bag(work) }).toEqual({ cart: ['coat'] })
  Object.defineProperty(bag(work), 'total', total)
  await expect(bag(work).save()).rejects.toMatchObject(told)
  await expect(work.commit()).rejects.toMatchObject(told)
  expect(await readData(sessions, work.id)).toEqual({ cart: ['coat'] })
})

test.each([
  ['a hole in an array', { list: Object.assign([1], { length: 3 }) }, /list\[1\]/],
  ['a toJSON that gives a Map', { value: { toJSON: () => new Map([[1, 2]]) } }, /value holds a Map/],
])('%s is an error that names where it stands', async (_what, data, message) => {
  const work = memorySessions().begin()
  Object.assign(bag(work), data)
  await expect(work.commit()).rejects.toMatchObject({
    code: 'ERR_SESSION_DATA',
    message: expect.stringMatching(message) as string,
  })
})

test.each([123, null, {}, undefined])(
  'to load %j, which is no token, is rejected or finds nothing, and throws at nobody',
  async (token) => {
    const loading = memorySessions().load(token as unknown as string)
    expect(loading).toBeInstanceOf(Promise)
    const work = await loading.catch(() => undefined)
    expect(work?.isNew ?? true).toBe(true)
  },
)
