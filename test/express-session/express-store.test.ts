import '../faked-timers.ts'
import { createSessions, MemoryStore } from 'coatcheck'
import { Cookie, ExpressStore, Session, Store } from 'coatcheck/express'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import type { ListedRecord } from '../../dist/core/store/record.js'
import { createId, createToken, hashOf, idOf } from '../../dist/core/token.js'

const minute = 60_000

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

function opened(options?: object) {
  const inner = new MemoryStore()
  const store = new ExpressStore(inner, options)
  onTestFinished(() => store.close())
  const records = async () => (await inner.list({ limit: 10, data: true })).items
  return { inner, store, records }
}

/** What a method answers by its callback. */
function called(act: (callback: (...answer: unknown[]) => void) => unknown): Promise<unknown[]> {
  return new Promise((resolve) => {
    act((...answer) => resolve(answer))
  })
}

/** A session as a request of its own would have it in hand. */
async function inHand(store: ExpressStore, sid = 'id') {
  const data = await store.get(sid)
  return store.createSession({ sessionID: sid, sessionStore: store }, data!) as Session &
    Record<string, unknown>
}

/** What stores a record's content as it is, as another's change. */
function updateOf({ id, version, userId, data }: ListedRecord) {
  const lifetime = { idle: minute, absolute: undefined }
  const content = { userId, data: data!, format: 1, mark: Buffer.alloc(8), lifetime }
  return { type: 'update', id, version, ...content } as const
}

const session = (data: object = {}, maxAge = minute) => ({ cookie: new Cookie({ maxAge }), ...data })

test('an ExpressStore is a store of express-session’s kind', () => {
  expect(opened().store).toBeInstanceOf(Store)
})

test('an ExpressStore lists sessions, and not what coatcheck remembers of users', async () => {
  const { inner, store } = opened()
  await store.set('id', session({ a: 1 }))
  const sessions = createSessions({ store: inner, secret: 'a secret of enough characters', sweep: false })
  await sessions.user('ada').revokeAll()
  expect(Object.keys(await store.all())).toHaveLength(1)
  expect(await store.length()).toBe(1)
})

test('an ExpressStore finds nothing of a sign-in by the id from before it', async () => {
  const { inner, store } = opened()
  const sessions = createSessions({ store: inner, secret: 'a secret of enough characters', sweep: false })
  const work = sessions.begin()
  Object.assign(work.session!, { cart: 1 })
  await work.commit()
  const before = work.id
  expect(await store.get(before)).toEqual({ cart: 1 })
  const login = await sessions.load(before)
  await login.session!.signIn('ada', { keep: ['cart'] })
  await login.commit()
  expect(await store.get(before)).toBeUndefined()
  expect(await store.get(login.id)).toEqual({ cart: 1 })
})

test('an ExpressStore does nothing by a token that was replaced, and all by the new one', async () => {
  const { inner, store, records } = opened()
  const id = createId()
  const [former, token] = [createToken(id), createToken(id)]
  await store.set(former, session({ a: 1 }))
  const mine = await inHand(store, former)
  const secret = { hash: hashOf(token), signedIn: false, grace: minute }
  await inner.write([{ ...updateOf((await records())[0]!), secret }])
  const before = await inner.find([id])

  expect(await store.get(former)).toBeUndefined()
  await store.set(former, session({ b: 2 }))
  await store.touch(former, session())
  await store.destroy(former)
  mine['c'] = 3
  await mine.save()
  expect(await inner.find([id])).toEqual(
    before.map((record) => ({ ...record, readAt: expect.any(Number) as number })),
  )
})

test('an ExpressStore ends the session of whoever is signed in on it', async () => {
  const { inner, store, records } = opened()
  await store.set('id', session())
  await inner.write([{ ...updateOf((await records())[0]!), userId: 'ada' }])
  await store.destroy('id')
  expect(await records()).toEqual([])
  await store.set('id', session())
  await inner.write([{ ...updateOf((await records())[0]!), userId: 'ada' }])
  await store.clear()
  expect(await records()).toEqual([])
})

test('an ExpressStore marks each change of what it stores', async () => {
  const { inner, store } = opened()
  await store.set('id', session({ a: 1 }))
  const mine = await inHand(store)
  mine['a'] = 2
  await mine.save()
  const [record] = await inner.find([idOf('id')])
  const marks = Buffer.from(record!.marks!).toString('hex')
  expect(marks).toHaveLength(32)
  expect(marks.slice(0, 16)).not.toBe(marks.slice(16))
})

test('an ExpressStore begins a session under the id of one that has expired and was not swept', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  const { inner, store, records } = opened({ sweep: false })
  vi.spyOn(inner, 'removeExpired').mockResolvedValue(0)
  await store.set('id', session({ a: 1 }))
  const [before] = await records()
  vi.advanceTimersByTime(minute)
  expect(await store.get('id')).toBeUndefined()
  await store.set('id', session({ b: 2 }))
  expect(await store.get('id')).toMatchObject({ b: 2 })
  const [after] = await records()
  expect(after!.createdAt).toBe(before!.createdAt + minute)
})

test('an ExpressStore answers by promises', async () => {
  const { store, records } = opened()
  expect(await store.get('id')).toBeUndefined()
  expect(await store.set('id', session({ name: 'Ada' }))).toBeUndefined()
  const read = await store.get('id')
  expect(read).toMatchObject({ name: 'Ada', cookie: { originalMaxAge: minute, path: '/' } })
  const [record] = await records()
  expect(await store.all()).toEqual({ [record!.id]: read })
  expect(await store.length()).toBe(1)
  expect(await store.touch('id', read!)).toBeUndefined()
  expect(await store.destroy('id')).toBeUndefined()
  expect(await store.destroy('id')).toBeUndefined()
  await store.set('a', session())
  await store.set('b', session())
  expect(await store.clear()).toBeUndefined()
  expect([await store.length(), await store.all()]).toEqual([0, {}])
})

test('an ExpressStore answers by callbacks', async () => {
  const { store } = opened()
  expect(await called((done) => store.get('id', done))).toEqual([null, undefined])
  expect(await called((done) => store.set('id', session({ a: 1 }), done))).toEqual([null, undefined])
  expect(await called((done) => store.get('id', done))).toEqual([null, expect.objectContaining({ a: 1 })])
  expect(await called((done) => store.touch('id', session({ a: 1 }), done))).toEqual([null, undefined])
  expect(await called((done) => store.length(done))).toEqual([null, 1])
  const [, all] = await called((done) => store.all(done))
  expect(Object.values(all as object)).toEqual([expect.objectContaining({ a: 1 })])
  expect(await called((done) => store.destroy('id', done))).toEqual([null, undefined])
  expect(await called((done) => store.clear(done))).toEqual([null, undefined])
  expect(await called((done) => store.close(done))).toEqual([null, undefined])
})

test('an ExpressStore tells by promise and by callback that its store failed', async () => {
  const { inner, store } = opened()
  const down = () => Promise.reject(new Error('the line is down'))
  vi.spyOn(inner, 'find').mockImplementation(down)
  vi.spyOn(inner, 'write').mockImplementation(down)
  const unavailable = expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 }) as Error
  await expect(store.get('id')).rejects.toEqual(unavailable)
  expect(await called((done) => store.get('id', done))).toEqual([unavailable])
  expect(await called((done) => store.set('id', session(), done))).toEqual([unavailable])
  expect(await called((done) => store.touch('id', session(), done))).toEqual([unavailable])
  expect(await called((done) => store.destroy('id', done))).toEqual([unavailable])
})

test('an ExpressStore keeps no session id in its store', async () => {
  const { store, records } = opened()
  await store.set('a session id', session())
  expect(JSON.stringify(await records())).not.toContain('a session id')
})

test('saves of two that read the same session keep the changes of both', async () => {
  const { store } = opened()
  await store.set('id', session({ kept: 1, dropped: 1, cart: { coat: 1 } }))
  const [one, other] = [await inHand(store), await inHand(store)]
  Object.assign(one, { one: 1, cart: { coat: 1, hat: 1 } })
  delete one['dropped']
  Object.assign(other, { other: 1, cart: { coat: 1, scarf: 1 } })
  await Promise.all([one.save(), other.save()])
  const { cookie: _, ...data } = (await store.get('id'))!
  expect(data).toEqual({ kept: 1, one: 1, other: 1, cart: { coat: 1, hat: 1, scarf: 1 } })
})

test('many saves at once keep all that each changed', async () => {
  const { store } = opened()
  await store.set('id', session())
  const sessions = await Promise.all(Array.from({ length: 20 }, () => inHand(store)))
  await Promise.all(sessions.map((each, index) => Object.assign(each, { [`key${index}`]: index }).save()))
  expect(Object.keys((await store.get('id'))!)).toHaveLength(21)
})

test('a second save before the first is done stands on the first', async () => {
  const { store, records } = opened()
  await store.set('id', session())
  const mine = await inHand(store)
  mine['step'] = 1
  const first = mine.save()
  mine['step'] = 2
  await Promise.all([first, mine.save()])
  expect((await store.get('id'))!['step']).toBe(2)
  expect((await records())[0]!.version).toBe(3)
})

test('a save or a touch brings no ended session back, and is no error', async () => {
  const { store } = opened()
  await store.set('id', session())
  const [one, other] = [await inHand(store), await inHand(store)]
  await store.destroy('id')
  one['late'] = true
  await one.save()
  await store.touch('id', other)
  expect(await store.length()).toBe(0)
})

test('a session that this very object began does not come back either', async () => {
  const { store } = opened()
  const begun = session()
  await store.set('id', begun)
  await store.destroy('id')
  await store.set('id', begun)
  expect(await store.get('id')).toBeUndefined()
})

test('an object that was never read replaces what is stored under its id', async () => {
  const { store } = opened()
  await store.set('id', session({ before: 1 }))
  await store.set('id', session({ after: 1 }))
  expect(Object.keys((await store.get('id'))!)).toEqual(['cookie', 'after'])
})

test('a new maxAge is kept although express-session only touches the session', async () => {
  const { store } = opened()
  await store.set('id', session({ name: 'Ada' }))
  const mine = await inHand(store)
  mine.cookie.maxAge = 60 * minute
  await store.touch('id', mine)
  expect((await inHand(store)).cookie.originalMaxAge).toBe(60 * minute)
})

test('a new maxAge comes through the save of another request', async () => {
  const { store } = opened()
  await store.set('id', session({ name: 'Ada' }))
  const [one, other] = [await inHand(store), await inHand(store)]
  one.cookie.maxAge = 60 * minute
  await one.save()
  other['name'] = 'Grace'
  await other.save()
  const read = await inHand(store)
  expect([read['name'], read.cookie.originalMaxAge]).toEqual(['Grace', 60 * minute])
})

test('a touch moves the expiry, and neither stores data nor takes it back', async () => {
  const { store, records } = opened()
  await store.set('id', session({ name: 'Ada' }))
  const [before] = await records()
  const mine = await store.get('id')
  mine!['name'] = 'not saved'
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + minute / 2 })
  await store.touch('id', mine!)
  const [after] = await records()
  expect(after!.expiresAt - before!.expiresAt).toBeGreaterThanOrEqual(minute / 2)
  expect([after!.version, (await store.get('id'))!['name']]).toEqual([1, 'Ada'])
})

test('a session lives for the maxAge of its cookie, else for the ttl', async () => {
  const { store, records } = opened({ ttl: '2h' })
  await store.set('a', session({}, 5 * minute))
  await store.set('b', { cookie: new Cookie() })
  const lives = (await records()).map(({ createdAt, expiresAt }) => expiresAt - createdAt)
  expect(lives.sort((one, other) => one - other)).toEqual([5 * minute, 120 * minute])
})

test('a maxAge of 0 ends the session', async () => {
  const { store } = opened()
  await store.set('id', session())
  const mine = await inHand(store)
  mine.cookie.maxAge = 0
  await mine.save()
  expect(await store.length()).toBe(0)
})

test('what cannot be decoded is no session', async () => {
  const { inner, store, records } = opened()
  await store.set('id', session())
  await inner.write([{ ...updateOf((await records())[0]!), data: Buffer.from('not JSON') }])
  expect([await store.get('id'), await store.all()]).toEqual([undefined, {}])
})

test('a codec of the app’s keeps what JSON does not', async () => {
  const { deserialize, serialize } = await import('node:v8')
  const codec = {
    encode: (data: object) => serialize(data),
    decode: (bytes: Uint8Array) => deserialize(bytes) as Record<string, unknown>,
  }
  const { store } = opened({ codec })
  await store.set('id', session({ since: new Date(0) }))
  const mine = await inHand(store)
  expect([mine['since'], mine.cookie.originalMaxAge]).toEqual([new Date(0), minute])
})

test('expired sessions are cleared away now and then, unless `sweep` is false', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const [sweeping, leaving] = [opened(), opened({ sweep: false })]
  const [swept, left] = [sweeping, leaving].map(({ inner }) => vi.spyOn(inner, 'removeExpired'))
  vi.advanceTimersByTime(11 * minute)
  expect(swept).toHaveBeenCalledTimes(1)
  expect(left).not.toHaveBeenCalled()
})

test('an ExpressStore refuses options that it does not know', () => {
  expect(() => new ExpressStore(new MemoryStore(), { tll: '1h' } as object)).toThrow(
    expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
  )
})

/** Lists in lists, so many levels deep. */
function nested(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels))
}

const cookie = { originalMaxAge: null, expires: null }
const circle: Record<string, unknown> = { cookie }
circle['self'] = circle

test.each<[string, object]>([
  ['an empty session', {}],
  ['lists 1,000 levels deep', { cookie, a: nested(1_000) }],
  ['objects in lists', { cookie, a: [{ b: [{ c: null }] }] }],
  [
    'what JSON has no word for',
    { cookie, a: Infinity, b: undefined, c: () => 1, d: new Date(0), e: new Map() },
  ],
  ['half of a surrogate pair', { cookie, a: '\ud800', '\udc00': '\0' }],
  [
    'a name of the prototype',
    JSON.parse('{ "cookie": null, "__proto__": { "a": 1 }, "constructor": 2 }') as object,
  ],
  ['no cookie', { a: 1 }],
  ['a cookie that is none', { cookie: 'text', a: 1 }],
  ['a `toJSON` that gives data', { toJSON: () => ({ cookie, a: 1 }) }],
])('an ExpressStore gives back what it took: %s', async (_what, data) => {
  const { store } = opened()
  await store.set('id', data)
  expect(JSON.stringify(await store.get('id'))).toBe(JSON.stringify(data))
})

test.each<[string, object]>([
  ['lists 1,001 levels deep', { cookie, a: nested(1_001) }],
  ['lists 1,500 levels deep', { cookie, a: nested(1_500) }],
  ['lists 5,000 levels deep', { cookie, a: nested(5_000) }],
  ['a `toJSON` that gives no session', { cookie, toJSON: () => [1] }],
  ['a `toJSON` that gives nothing', { cookie, toJSON: () => undefined }],
  ['a circle', circle],
  ['a BigInt', { cookie, a: 1n }],
])('an ExpressStore refuses what it could not give back: %s', async (_what, data) => {
  const { store } = opened()
  await store.set('id', session({ before: 1 }))
  await expect(store.set('id', data)).rejects.toThrow(Error)
  const [error] = await called((done) => store.set('id', data, done))
  expect(error).toBeInstanceOf(Error)
  expect(await store.get('id')).toMatchObject({ before: 1 })
})
