import { EventEmitter } from 'node:events'
import { inherits } from 'node:util'
import { Cookie, MemoryStore, Session, Store } from 'coatcheck/express'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { incumbent } from './incumbent.ts'

const minute = 60_000
const sides = [
  ['express-session', incumbent],
  ['coatcheck', { Cookie, MemoryStore, Session, Store }],
] as const

type Answer = readonly [error: unknown, value: unknown]

function answer(act: (callback: (error?: unknown, value?: unknown) => void) => unknown): Promise<Answer> {
  return new Promise((resolve) => {
    act((error, value) => resolve([error, value]))
  })
}

afterEach(() => {
  vi.useRealTimers()
})

describe.each(sides)('a store of %s', (_name, side) => {
  test('can be inherited from with util.inherits', () => {
    function OldStore(this: Store, options: object) {
      side.Store.call(this, options)
    }
    inherits(OldStore, side.Store)
    const store = new (OldStore as unknown as new (options: object) => Store)({})
    const heard: unknown[] = []
    store.on('connect', (value) => heard.push(value))
    store.emit('connect', 1)
    expect(heard).toEqual([1])
    expect(store).toBeInstanceOf(side.Store)
    expect(store).toBeInstanceOf(EventEmitter)
    expect(typeof store.createSession).toBe('function')
  })

  test('can be inherited from by a class', () => {
    class NewStore extends side.Store {}
    const store = new NewStore({})
    expect(store).toBeInstanceOf(side.Store)
    expect(store).toBeInstanceOf(EventEmitter)
  })

  test('makes a session of what was stored, and puts it on the request', () => {
    const stored = {
      cookie: { originalMaxAge: minute, expires: '2030-01-01T00:00:00.000Z', path: '/a' },
      a: 1,
    }
    const request: { sessionID: string; session?: unknown } = { sessionID: 'id' }
    const session = new side.Store().createSession(request, structuredClone(stored))
    expect(request.session).toBe(session)
    expect(session).toBeInstanceOf(side.Session)
    expect(session.cookie).toBeInstanceOf(side.Cookie)
    expect(session.cookie.expires).toEqual(new Date('2030-01-01T00:00:00.000Z'))
    expect(JSON.parse(JSON.stringify(session))).toEqual({
      ...stored,
      cookie: { ...stored.cookie, httpOnly: true },
    })
  })

  test('loads a session apart from any request', async () => {
    const store = new side.MemoryStore()
    store.set('id', { cookie: { originalMaxAge: minute, expires: new Date(Date.now() + minute) }, a: 1 })
    const [error, session] = await answer((callback) => store.load('id', callback))
    expect([error, session]).toEqual([null, expect.objectContaining({ id: 'id', a: 1 })])
    expect(session).toBeInstanceOf(side.Session)
    expect(await answer((callback) => store.load('none', callback))).toEqual([undefined, undefined])
    store.get = (_sid, callback) => callback('failure')
    expect(await answer((callback) => store.load('id', callback))).toEqual(['failure', undefined])
  })

  test('regenerates even when the old session could not be removed, and says so', async () => {
    const store = new side.MemoryStore()
    const generated: unknown[] = []
    store.generate = (request) => generated.push((request as { sessionID: string }).sessionID)
    store.destroy = (_sid, callback) => callback!('failure')
    const [error] = await answer((callback) => store.regenerate({ sessionID: 'id' }, callback))
    expect([error, generated]).toEqual(['failure', ['id']])
  })
})

test.each<[unknown]>([
  [undefined],
  [null],
  ['text'],
  [1],
  [{ maxAge: 'x' }],
  [{ originalMaxAge: 'x', expires: null }],
  [{ originalMaxAge: 8.64e15 }],
  [{ originalMaxAge: minute, expires: 'x' }],
  [{ originalMaxAge: minute, expires: 1 }],
])('a store of coatcheck makes a new cookie in place of a stored %j, and calls back', async (cookie) => {
  const store = new Store()
  store.get = (_sid, callback) => callback(null, { cookie, a: 1 } as never)
  const [error, session] = await answer((callback) => store.load('id', callback))
  expect([error, session]).toEqual([null, expect.objectContaining({ a: 1 })])
  expect((session as Session).cookie).toEqual(new Cookie())
  expect(() => (session as Session).touch()).not.toThrow()
})

describe.each(sides)('a memory store of %s', (_name, side) => {
  const session = (expires: Date | null = null) => ({ cookie: { expires }, cart: ['coat'] })

  test('can be inherited from without new', () => {
    function OldStore(this: MemoryStore) {
      side.MemoryStore.call(this)
    }
    inherits(OldStore, side.MemoryStore)
    expect(new (OldStore as unknown as new () => MemoryStore)().sessions).toEqual({})
  })

  test('calls back in a turn of its own', async () => {
    const store = new side.MemoryStore()
    const order: string[] = []
    const done = [
      answer((callback) => store.set('id', session(), callback)).then(() => order.push('set')),
      answer((callback) => store.get('id', callback)).then(() => order.push('get')),
      answer((callback) => store.touch('id', session(), callback)).then(() => order.push('touch')),
      answer((callback) => store.destroy('id', callback)).then(() => order.push('destroy')),
    ]
    order.push('called')
    await Promise.all(done)
    expect(order).toEqual(['called', 'set', 'get', 'touch', 'destroy'])
  })

  test('keeps a copy, and gives copies', async () => {
    const store = new side.MemoryStore()
    const mine = session()
    store.set('id', mine)
    mine.cart.push('hat')
    const [, first] = await answer((callback) => store.get('id', callback))
    ;(first as typeof mine).cart.push('scarf')
    expect(await answer((callback) => store.get('id', callback))).toEqual([null, session()])
    expect(await answer((callback) => store.get('toString', callback))).toEqual([null, undefined])
  })

  test('drops what has expired', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 0 })
    const store = new side.MemoryStore()
    store.set('short', session(new Date(minute)))
    store.set('long', session(new Date(2 * minute)))
    store.set('endless', session())
    vi.setSystemTime(minute)
    expect(await answer((callback) => store.get('short', callback))).toEqual([null, undefined])
    expect(await answer((callback) => store.length(callback))).toEqual([null, 2])
    const [, all] = await answer((callback) => store.all(callback))
    expect(Object.keys(all as object)).toEqual(['long', 'endless'])
    expect(Object.keys(store.sessions)).toEqual(['long', 'endless'])
  })

  test('moves the expiry of a session by a touch, and nothing else', async () => {
    const store = new side.MemoryStore()
    const expires = new Date(Date.now() + minute)
    store.set('id', session())
    await answer((callback) => store.touch('id', { cookie: { expires }, cart: [] }, callback))
    await answer((callback) => store.touch('none', session(), callback))
    const [, touched] = await answer((callback) => store.get('id', callback))
    expect(touched).toEqual({ cookie: { expires: expires.toISOString() }, cart: ['coat'] })
    expect(Object.keys(store.sessions)).toEqual(['id'])
  })

  test('forgets one session, or all', async () => {
    const store = new side.MemoryStore()
    for (const sid of ['a', 'b', 'c']) store.set(sid, session())
    await answer((callback) => store.destroy('a', callback))
    expect(Object.keys(store.sessions)).toEqual(['b', 'c'])
    await answer((callback) => store.clear(callback))
    expect(await answer((callback) => store.length(callback))).toEqual([null, 0])
  })
})
