import { Cookie, MemoryStore, Session } from 'coatcheck/express'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SessionWork } from '../../dist/core/session/session.js'
import { incumbent } from './incumbent.ts'

type Bag = Session & Record<string, unknown>

const sessionMethods = ['regenerate', 'destroy', 'reload', 'save', 'touch', 'resetMaxAge'] as const
const minute = 60_000

const sides = [
  ['express-session', incumbent],
  ['coatcheck', { Cookie, MemoryStore, Session }],
] as const

/** A request as a middleware leaves it, with a session in a store. */
function requestOn(side: (typeof sides)[number][1]) {
  const store = new side.MemoryStore()
  const request: { sessionID: string; sessionStore: object; session?: Bag } = {
    sessionID: 'id',
    sessionStore: store,
  }
  store.generate = () => {
    request.sessionID = 'new id'
    const session = new side.Session(request)
    session.cookie = new side.Cookie({ maxAge: minute })
    request.session = session as Bag
  }
  request.session = new side.Session(request, {
    cookie: new side.Cookie({ maxAge: minute }),
    name: 'Ada',
  }) as Bag
  return { request, store, session: request.session }
}

/** What a method that takes a callback answers it with. */
function called(act: (callback: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    act((error) => (error ? reject(error as Error) : resolve()))
  })
}

describe.each(sides)('a session of %s, without a unit of work', (_name, side) => {
  // express-session's Cookie works its maxAge out from two looks at the clock.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  test('looks like its data and its cookie', () => {
    const { session } = requestOn(side)
    expect(Object.keys(session)).toEqual(['cookie', 'name'])
    const names: string[] = []
    for (const name in session) names.push(name)
    expect(names).toEqual(['cookie', 'name'])
    expect(JSON.parse(JSON.stringify(session))).toEqual({
      cookie: JSON.parse(JSON.stringify(session.cookie)),
      name: 'Ada',
    })
  })

  test('has the id and the request that it was made for', () => {
    const { request, session } = requestOn(side)
    request.sessionID = 'another'
    expect([session.id, session.req === request]).toEqual(['id', true])
    expect(() => Object.assign(session, { id: 'mine' })).toThrow(TypeError)
  })

  test('does not lose a method to a stored key', () => {
    const stored = JSON.parse(
      '{"save":1,"reload":1,"touch":1,"id":"x","req":1,"toString":1,"__proto__":{"a":1}}',
    ) as object
    const session = new side.Session({ sessionID: 'id' }, stored) as Bag
    expect(session).toMatchObject({ id: 'id', req: { sessionID: 'id' } })
    for (const name of sessionMethods) expect(typeof session[name], name).toBe('function')
    expect(Object.keys(session)).toEqual([])
    expect(session['a']).toBeUndefined()
  })

  test('lets a library put a function of its own in a method’s place', async () => {
    const { session } = requestOn(side)
    const save = session.save
    let saves = 0
    Object.assign(session, {
      save(this: Session, callback: () => void) {
        saves++
        return save.call(this, callback)
      },
    })
    await called((callback) => session.save(callback))
    expect(saves).toBe(1)
  })

  test('is read back as it was saved', async () => {
    const { request, session, store } = requestOn(side)
    expect(session.save(() => undefined)).toBe(session)
    session['name'] = 'Grace'
    await called((callback) => session.save(callback))
    session['name'] = 'unsaved'
    expect(await called((callback) => expect(session.reload(callback)).toBe(session))).toBeUndefined()
    expect(request.session).toMatchObject({ name: 'Grace', id: 'id' })
    expect(request.session!.cookie.originalMaxAge).toBe(minute)
    expect(request.session!.cookie.expires).toBeInstanceOf(Date)
    expect(Object.keys(store.sessions)).toEqual(['id'])
  })

  test('fails to reload once it is gone', async () => {
    const { session } = requestOn(side)
    await expect(called((callback) => session.reload(callback))).rejects.toThrow('failed to load session')
  })

  test('is off the request at once when destroyed, and then out of the store', async () => {
    const { request, session, store } = requestOn(side)
    await called((callback) => session.save(callback))
    await called((callback) => {
      expect(session.destroy(callback)).toBe(session)
      expect('session' in request).toBe(false)
    })
    expect(Object.keys(store.sessions)).toEqual([])
  })

  test('gives way to a new one when regenerated', async () => {
    const { request, session, store } = requestOn(side)
    await called((callback) => session.save(callback))
    await called((callback) => expect(session.regenerate(callback)).toBe(session))
    expect([request.sessionID, request.session!.id]).toEqual(['new id', 'new id'])
    expect(Object.keys(request.session!)).toEqual(['cookie'])
    expect(Object.keys(store.sessions)).toEqual([])
  })

  test('calls back with the failure of its store', async () => {
    const { session, store } = requestOn(side)
    const failing = (...parameters: unknown[]) =>
      (parameters.at(-1) as (error: Error) => void)(new Error('down'))
    Object.assign(store, { get: failing, set: failing, destroy: failing })
    for (const name of ['save', 'reload', 'destroy', 'regenerate'] as const) {
      await expect(
        called((callback) => session[name](callback)),
        name,
      ).rejects.toThrow('down')
    }
  })

  describe('at another time', () => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['Date'], now: 0 })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    test.each(['touch', 'resetMaxAge'] as const)('lives its whole maxAge again after %s()', (name) => {
      const { session } = requestOn(side)
      vi.setSystemTime(20_000)
      expect(session[name]()).toBe(session)
      expect(session.cookie.expires).toEqual(new Date(20_000 + minute))
    })
  })
})

describe('a session of coatcheck', () => {
  test('answers by promises where no callback is given', async () => {
    const { request, session, store } = requestOn(sides[1][1])
    await session.save()
    session['name'] = 'unsaved'
    await session.reload()
    expect(request.session!['name']).toBe('Ada')
    await session.regenerate()
    expect(Object.keys(store.sessions)).toEqual([])
    await request.session!.save()
    await request.session!.destroy()
    expect(Object.keys(store.sessions)).toEqual([])
    await expect(session.reload()).rejects.toThrow('failed to load session')
  })

  test.each(sessionMethods)('refuses data under the name of its method %s', (name) => {
    const { session } = requestOn(sides[1][1])
    expect(() => Object.assign(session, { [name]: 'data' })).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_RESERVED_NAME' }),
    )
  })

  test.each(['signIn', 'signOut', 'rotate'] as const)(
    'says that %s() needs a unit of work, where there is none',
    async (name) => {
      const { session } = requestOn(sides[1][1])
      await expect(session[name]('ada')).rejects.toMatchObject({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringContaining(
          'a request that has passed session() of coatcheck/express',
        ) as string,
      })
      expect([session.boundUserId, session.createdAt]).toEqual([undefined, undefined])
    },
  )
})

describe('a session of coatcheck with a unit of work', () => {
  function sessionWith(data: object = {}) {
    const done: unknown[] = []
    const act =
      (name: string) =>
      async (...parameters: unknown[]) => {
        done.push([name, ...parameters])
      }
    const work: SessionWork = {
      id: 'token',
      publicId: 'public',
      userId: 'ada',
      createdAt: new Date(0),
      authenticatedAt: new Date(1),
      assertCurrent: () => undefined,
      touch: () => done.push(['touch']),
      signIn: act('signIn'),
      signOut: act('signOut'),
      rotate: act('rotate'),
      regenerate: act('regenerate'),
      destroy: act('destroy'),
      reload: act('reload'),
      save: act('save'),
      claim: async () => true,
      noteFailure: () => undefined,
      update: act('update') as SessionWork['update'],
    }
    const stored = { cookie: new Cookie({ maxAge: minute }), ...data }
    const session = new Session({ sessionID: 'not asked' }, stored, work) as Bag
    return { session, work, done }
  }

  test('leaves all that it does to the work', async () => {
    const { session, done } = sessionWith()
    await session.signIn('ada', { keep: ['cart'] })
    await session.signOut()
    await session.rotate()
    for (const name of ['regenerate', 'destroy', 'reload', 'save'] as const) {
      await session[name]()
      await called((callback) => expect(session[name](callback)).toBe(session))
    }
    session.touch()
    const twice = ['regenerate', 'destroy', 'reload', 'save'].flatMap((name) => [[name], [name]])
    expect(done).toEqual([
      ['signIn', 'ada', { keep: ['cart'] }],
      ['signOut'],
      ['rotate'],
      ...twice,
      ['touch'],
    ])
    expect(session).toMatchObject({
      id: 'token',
      publicId: 'public',
      boundUserId: 'ada',
      createdAt: new Date(0),
    })
    expect(Object.keys(session)).toEqual(['cookie'])
  })

  test('touches its cookie as well', () => {
    const { session } = sessionWith()
    session.cookie.expires = new Date(0)
    session.cookie.originalMaxAge = minute
    expect(session.touch()).toBe(session)
    expect(session.cookie.originalMaxAge).toBe(minute)
    expect(session.cookie.maxAge).toBeGreaterThan(0)
  })

  test('shows an app its own data under the names that express-session does not have', () => {
    const own = { userId: 7, publicId: 'mine', createdAt: 'today', signIn: 'yes', signOut: 1, rotate: [] }
    const { session } = sessionWith(own)
    expect({ ...session }).toEqual({ cookie: session.cookie, ...own })
    const { session: fresh } = sessionWith()
    Object.assign(fresh, own)
    expect({ ...fresh }).toEqual({ cookie: fresh.cookie, ...own })
  })

  test('has a userId only where the app put one, as under express-session', () => {
    const session = sessionWith().session as object as { userId?: number; boundUserId?: string }
    expect([session.userId, 'userId' in session]).toEqual([undefined, false])
    session.userId = 7
    expect([session.userId, session.boundUserId]).toEqual([7, 'ada'])
    delete session.userId
    expect([session.userId, session.boundUserId]).toEqual([undefined, 'ada'])
  })

  test('refuses to store once the request has gone on with another session', async () => {
    const { session, work } = sessionWith()
    const replaced = new Error('replaced')
    work.assertCurrent = () => {
      throw replaced
    }
    await expect(session.save()).rejects.toBe(replaced)
    await expect(called((callback) => session.reload(callback))).rejects.toBe(replaced)
  })

  test('fails without ending the process if nobody waits', async () => {
    const { session, work } = sessionWith()
    const unhandled = vi.fn<() => void>()
    process.once('unhandledRejection', unhandled)
    work.save = () => Promise.reject(new Error('down'))
    void session.save()
    await new Promise(setImmediate)
    process.removeListener('unhandledRejection', unhandled)
    expect(unhandled).not.toHaveBeenCalled()
  })
})
