import {
  createSessions,
  MemoryStore,
  type ResponseChanges,
  SessionError,
  type Sessions,
  type SessionsOptions,
  type UnitOfWork,
} from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { Signer } from '../../dist/core/signer.js'
import { idOf } from '../../dist/core/token.js'
import { type CookiePolicy, CookieTransport } from '../../dist/http/cookie-transport.js'
import { Exchange, type ExchangeContext } from '../../dist/http/exchange.js'
import { bag, secret, WatchedStore } from '../core/works.ts'

const oldSecret = 'a secret that is to be retired'

/** One host that answers requests; `store` may be shared with others. */
function host(options: Partial<SessionsOptions> = {}, cookie?: CookiePolicy) {
  const given = { store: new MemoryStore(), secret, sweep: false as const, ...options }
  const sessions: Sessions = createSessions(given)
  const signer = new Signer(given.secret as string)
  const transport = cookie && new CookieTransport(cookie, signer)
  const context: ExchangeContext = {
    ...internalsOf(sessions),
    ...(transport && { transportOf: () => transport }),
  }
  const begin = (cookieHeader?: string, { secure = true, anonymousWhenUnavailable = false } = {}) =>
    Exchange.begin(context, { cookieHeader, secure, anonymousWhenUnavailable })
  return { sessions, signer, begin }
}

/** What only the adapters see. */
function internalsOf(sessions: Sessions): ExchangeContext {
  const engine = sessions as unknown as ExchangeContext['engine'] & {
    readonly transports: { of: ExchangeContext['transportOf'] }
  }
  return { engine, transportOf: (request) => engine.transports.of(request) }
}

/** The name and value that a browser keeps of a Set-Cookie header. */
function kept(changes: ResponseChanges | undefined): string {
  if (changes?.name !== 'Set-Cookie') throw new Error('no cookie was set')
  return changes.value.split(';', 1)[0]!
}

/** Stores a session by an exchange of its own, and gives the browser's cookie. */
async function signedIn({ begin }: Pick<ReturnType<typeof host>, 'begin'>, userId = 'ada'): Promise<string> {
  const exchange = await begin()
  await bag(exchange.work).signIn(userId)
  return kept(await exchange.finish())
}

/** Stores a session of nobody, and gives the browser's cookie. */
async function visited({ begin }: Pick<ReturnType<typeof host>, 'begin'>): Promise<string> {
  const exchange = await begin()
  bag(exchange.work).visited = true
  return kept(await exchange.finish())
}

describe('a request', () => {
  test('without a cookie never asks the store, and is answered without waiting', () => {
    const store = new WatchedStore()
    const exchange = host({ store }).begin('theme=dark')
    expect(exchange).toBeInstanceOf(Exchange)
    expect((exchange as Exchange).finish()).toBeUndefined()
    expect(store.finds).toEqual([])
  })

  test('with a cookie that nobody of us signed never asks the store', () => {
    const store = new WatchedStore()
    const { begin } = host({ store })
    const forged = new Signer('the secret of somebody else').sign('token')
    for (const value of [forged, 's:token.', 'token', '', idOf('token'), `s:${idOf('token')}.x`]) {
      expect(begin(`__Host-sid=${encodeURIComponent(value)}`), value).toBeInstanceOf(Exchange)
    }
    expect(store.finds).toEqual([])
  })

  test('whose session is only read gets no Set-Cookie and writes nothing', async () => {
    const store = new WatchedStore()
    const app = host({ store })
    const cookie = await signedIn(app)
    store.writes.length = 0
    const exchange = await app.begin(cookie)
    expect(bag(exchange.work).userId).toBe('ada')
    expect(exchange.finish()).toBeUndefined()
    expect(store.writes).toEqual([])
  })

  test('is known again by the cookie that it was given', async () => {
    const app = host()
    const first = await app.begin()
    bag(first.work).cart = ['coat']
    const changes = await first.finish()
    expect(changes?.value).toMatch(
      /^__Host-sid=s%3Acoat_[\w-]{48}\.[\w%]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    const second = await app.begin(kept(changes))
    expect(bag(second.work).cart).toEqual(['coat'])
  })

  test('over HTTP reads no cookie that is for HTTPS, nor the other way around', async () => {
    const app = host()
    const cookie = await signedIn(app)
    expect((await app.begin(cookie, { secure: false })).work.userId).toBeUndefined()
    expect((await app.begin(cookie.replace('__Host-', ''))).work.userId).toBeUndefined()
  })

  test('that signs out has its cookie cleared', async () => {
    const app = host()
    const exchange = await app.begin(await signedIn(app))
    await bag(exchange.work).signOut()
    expect(await exchange.finish()).toMatchObject({
      name: 'Set-Cookie',
      value:
        '__Host-sid=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
    })
  })

  test('that signs in gets another cookie, and the one from before is void', async () => {
    const app = host()
    const first = await app.begin()
    bag(first.work).cart = []
    const before = kept(await first.finish())
    const login = await app.begin(before)
    await bag(login.work).signIn('ada')
    const after = kept(await login.finish())
    expect(after).not.toBe(before)
    expect((await app.begin(before)).work.userId).toBeUndefined()
    expect((await app.begin(after)).work.userId).toBe('ada')
  })

  test('whose commit fails says so and gives no header', async () => {
    const store = new WatchedStore()
    const { sessions, begin } = host({ store })
    sessions.on('storeError', () => undefined)
    const exchange = await begin()
    bag(exchange.work).a = 1
    store.down = new Error('down')
    await expect(exchange.finish()).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
    })
  })

  test('whose session ended meanwhile gets no header: a parallel one may have moved it', async () => {
    const app = host()
    const cookie = await signedIn(app)
    const late = await app.begin(cookie)
    bag(late.work).late = 1
    await app.sessions.user('ada').revokeAll()
    expect(await late.finish()).toBeUndefined()
  })
})

describe('of several cookies of our name', () => {
  test('the first that leads to a session decides, so that a planted one locks nobody out', async () => {
    const app = host()
    const cookie = await signedIn(app)
    const stale = `__Host-sid=${encodeURIComponent(app.signer.sign('leads nowhere'))}`
    for (const header of [`${stale}; ${cookie}`, `${cookie}; ${stale}`, `__Host-sid=junk; ${cookie}`]) {
      expect((await app.begin(header)).work.userId).toBe('ada')
    }
  })

  const dead = ({ signer }: Pick<ReturnType<typeof host>, 'signer'>, name: string) =>
    `__Host-sid=${encodeURIComponent(signer.sign(name))}`

  test('every one is tried, each once and in full batches, however many dead ones come first', async () => {
    const store = new WatchedStore()
    const asked = vi.spyOn(store, 'find')
    const app = host({ store })
    const cookie = await signedIn(app)
    const others = Array.from({ length: 150 }, (_, n) => dead(app, `t${n}`))
    asked.mockClear()
    const exchange = await app.begin([...others, ...others.slice(0, 5), cookie, cookie].join('; '))
    expect(exchange.work.userId).toBe('ada')
    expect(asked.mock.calls.map(([ids]) => ids.length)).toEqual([64, 64, 23])
  })

  test('no more is read of the header than Node lets through', async () => {
    const app = host()
    const cookie = await signedIn(app)
    const before = `${'x'.repeat(16_384 - cookie.length - 2)}; `
    expect((await app.begin(before + cookie)).work.userId).toBe('ada')
    expect((await app.begin(`x${before}${cookie}`)).work.userId).toBeUndefined()
  })

  test('two that lead to sessions of two users are nobody, which no header tells', async () => {
    const store = new WatchedStore()
    const app = host({ store })
    const [ada, bob] = [await signedIn(app, 'ada'), await signedIn(app, 'bob')]
    store.writes.length = 0
    for (const header of [`${ada}; ${bob}`, `${bob}; ${ada}`, `${ada}; ${dead(app, 'x')}; ${bob}; ${ada}`]) {
      const exchange = await app.begin(header)
      expect([exchange.work.userId, exchange.work.isNew, { ...bag(exchange.work) }]).toEqual([
        undefined,
        true,
        {},
      ])
      expect(exchange.finish()).toBeUndefined()
    }
    expect(store.writes).toEqual([])
    // Each by itself is as good as before.
    expect((await app.begin(ada)).work.userId).toBe('ada')
    expect((await app.begin(bob)).work.userId).toBe('bob')
  })

  test('what such a visitor stores begins a session of its own', async () => {
    const app = host()
    const [ada, bob] = [await signedIn(app, 'ada'), await signedIn(app, 'bob')]
    const exchange = await app.begin(`${ada}; ${bob}`)
    bag(exchange.work).cart = ['coat']
    const cookie = kept(await exchange.finish())
    expect({ ...bag((await app.begin(cookie)).work) }).toEqual({ cart: ['coat'] })
    expect({ ...bag((await app.begin(ada)).work) }).toEqual({})
    expect((await app.begin(bob)).work.userId).toBe('bob')
  })

  test.each([
    ['of two users', ['ada', 'bob']],
    ['of one user', ['ada', 'ada']],
    ['of a user and of nobody', [undefined, 'ada']],
    ['of three users', ['ada', 'bob', 'cleo']],
  ])('a sign-out ends all sessions that they lead to: %s', async (_what, users) => {
    const app = host()
    const ended: unknown[] = []
    app.sessions.on('destroyed', ({ userId, reason }) => ended.push([userId, reason]))
    const cookies: string[] = []
    for (const user of users)
      cookies.push(user === undefined ? await visited(app) : await signedIn(app, user))
    const exchange = await app.begin(cookies.join('; '))
    await bag(exchange.work).signOut()
    expect((await exchange.finish())?.value).toMatch(/^__Host-sid=; Max-Age=0;/)
    for (const cookie of cookies) expect((await app.begin(cookie)).work.isNew).toBe(true)
    expect(ended).toHaveLength(users.length)
    expect(ended).toEqual(expect.arrayContaining(users.map((user) => [user, 'signOut'])))
  })

  test('a sign-out whose store fails ends with the commit what is left', async () => {
    const store = new WatchedStore()
    const app = host({ store })
    app.sessions.on('storeError', () => undefined)
    const [ada, bob] = [await signedIn(app, 'ada'), await signedIn(app, 'bob')]
    const exchange = await app.begin(`${ada}; ${bob}`)
    store.down = new Error('down')
    await expect(bag(exchange.work).signOut()).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
    })
    store.down = undefined
    expect((await exchange.finish())?.value).toMatch(/^__Host-sid=; Max-Age=0;/)
    for (const cookie of [ada, bob]) expect((await app.begin(cookie)).work.isNew).toBe(true)
  })

  test('a sign-in ends those of other users, so that the next request is signed in', async () => {
    const app = host()
    const cookies = [await signedIn(app, 'ada'), await signedIn(app, 'bob'), await visited(app)]
    const exchange = await app.begin(cookies.join('; '))
    await bag(exchange.work).signIn('ada')
    const fresh = kept(await exchange.finish())
    const next = await app.begin([...cookies, fresh].join('; '))
    expect(next.work.userId).toBe('ada')
    const isThere = async (cookie: string) => !(await app.begin(cookie)).work.isNew
    expect(await Promise.all(cookies.map(isThere))).toEqual([true, false, true])
  })

  test('with userOf the data says whose they are, and regenerate ends them, as Passport begins a sign-in', async () => {
    const app = host({ userOf: 'user' })
    const cookieOf = async (user: string) => {
      const exchange = await app.begin()
      bag(exchange.work).user = user
      return kept(await exchange.finish())
    }
    const [ada, bob] = [await cookieOf('ada'), await cookieOf('bob')]
    const exchange = await app.begin(`${ada}; ${bob}`)
    expect({ ...bag(exchange.work) }).toEqual({})
    await bag(exchange.work).regenerate()
    bag(exchange.work).user = 'ada'
    const fresh = kept(await exchange.finish())
    expect((await app.begin(`${ada}; ${bob}; ${fresh}`)).work.userId).toBe('ada')
  })

  test('that of the user is taken before an anonymous one, which may have been planted, and else the first current one', async () => {
    const app = host()
    const [user, again] = [await signedIn(app), await signedIn(app)]
    const [nobody, stranger] = [await visited(app), await visited(app)]
    const idOf = async (header: string) => (await app.begin(header)).work.publicId
    expect(await idOf(`${again}; ${user}`)).toBe(await idOf(again))
    expect(await idOf(`${nobody}; ${user}`)).toBe(await idOf(user))
    expect(await idOf(`${user}; ${nobody}`)).toBe(await idOf(user))
    expect(await idOf(`${nobody}; ${stranger}`)).toBe(await idOf(nobody))
    // Another request has just got a new token, and the browser does not have it yet.
    const slow = await app.begin(user)
    const rotating = await app.begin(user)
    await bag(rotating.work).rotate()
    await rotating.finish()
    expect(await idOf(`${nobody}; ${user}`)).toBe(slow.work.publicId)
  })

  test('one from before a rotation is only taken where there is no other, and says nothing of its user', async () => {
    const app = host()
    const before = await visited(app)
    const login = await app.begin(before)
    await bag(login.work).signIn('ada')
    const after = kept(await login.finish())
    const bob = await signedIn(app, 'bob')
    const userOf = async (header: string) => (await app.begin(header)).work.userId
    expect(await userOf(`${before}; ${after}`)).toBe('ada')
    expect(await userOf(`${before}; ${bob}`)).toBe('bob')
    expect(await userOf(`${after}; ${bob}`)).toBeUndefined()
    expect((await app.begin(before)).work.isFormer).toBe(true)
  })
})

describe('a cookie of an older secret', () => {
  test('is good, and renewed with the next response although nothing else changed', async () => {
    const store = new MemoryStore()
    const cookie = await signedIn(host({ store, secret: oldSecret }))
    const app = host({ store, secret: [secret, oldSecret] })
    const exchange = await app.begin(cookie)
    const renewed = kept(await exchange.finish())
    expect(renewed).not.toBe(cookie)
    const newest = await host({ store, secret }).begin(renewed)
    expect(newest.work.userId).toBe('ada')
    expect(newest.finish()).toBeUndefined()
    expect((await host({ store, secret }).begin(cookie)).work.userId).toBeUndefined()
  })

  test('is not renewed if its session has ended meanwhile', async () => {
    const store = new MemoryStore()
    const cookie = await signedIn(host({ store, secret: oldSecret }))
    const app = host({ store, secret: [secret, oldSecret] })
    const exchange = await app.begin(cookie)
    bag(exchange.work).late = 1
    await app.sessions.user('ada').revokeAll()
    expect(await exchange.finish()).toBeUndefined()
  })

  test.each<[string, (work: UnitOfWork) => Promise<void>]>([
    ['rotated', (work) => bag(work).rotate()],
    ['signed in', (work) => bag(work).signIn('ada')],
    ['signed out', (work) => bag(work).signOut()],
  ])('is not renewed by a request that read nothing if one beside it %s meanwhile', async (_what, act) => {
    const store = new MemoryStore()
    const cookie = await signedIn(host({ store, secret: oldSecret }))
    const app = host({ store, secret: [secret, oldSecret] })
    const slow = await app.begin(cookie)
    const other = await app.begin(cookie)
    await act(other.work)
    expect(await other.finish()).toBeDefined()
    // The browser has got the other's cookie by now, and this would take its place.
    expect(await slow.finish()).toBeUndefined()
  })

  test('is not renewed while the store does not say whether it is still good', async () => {
    const store = new WatchedStore()
    const cookie = await signedIn(host({ store, secret: oldSecret }))
    const app = host({ store, secret: [secret, oldSecret] })
    app.sessions.on('storeError', () => undefined)
    const exchange = await app.begin(cookie)
    store.down = new Error('down')
    expect(await exchange.finish()).toBeUndefined()
    store.down = undefined
    expect(kept(await (await app.begin(cookie)).finish())).not.toBe(cookie)
  })

  test('brings back nothing of a session that ended, whoever signs in after its touch has found that out', async () => {
    const store = new MemoryStore()
    const cookie = await signedIn(host({ store, secret: oldSecret }))
    const app = host({ store, secret: [secret, oldSecret] })
    const slow = await app.begin(cookie)
    bag(slow.work).old = 'of the ended session'
    await slow.work.commit()
    const other = await app.begin(cookie)
    await bag(other.work).signOut()
    bag(slow.work).touch()
    await bag(slow.work).save()
    await bag(slow.work).signIn('ada')
    const fresh = kept(await slow.finish())
    expect({ ...bag((await app.begin(fresh)).work) }).toEqual({})
  })

  test('that leads nowhere is not renewed', async () => {
    const app = host({ secret: [secret, oldSecret] })
    const stale = new Signer(oldSecret).sign('leads nowhere')
    const exchange = await app.begin(`__Host-sid=${encodeURIComponent(stale)}`)
    expect(exchange.finish()).toBeUndefined()
  })
})

describe('a store that is down', () => {
  test('is an error, or an empty session if the app chose that', async () => {
    const store = new WatchedStore()
    const app = host({ store })
    app.sessions.on('storeError', () => undefined)
    const cookie = await signedIn(app)
    store.down = new Error('down')
    await expect(app.begin(cookie)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
    })
    const anonymous = await app.begin(cookie, { anonymousWhenUnavailable: true })
    expect({ ...bag(anonymous.work) }).toEqual({})
    expect(anonymous.finish()).toBeUndefined()
    bag(anonymous.work).a = 1
    await expect(anonymous.finish()).rejects.toBeInstanceOf(SessionError)
    store.down = undefined
    expect((await app.begin(cookie)).work.userId).toBe('ada')
  })
})

describe('after the headers went', () => {
  test('a change of a session that the browser knows is stored', async () => {
    const app = host()
    const cookie = await signedIn(app)
    const exchange = await app.begin(cookie)
    bag(exchange.work).early = 1
    await exchange.finish()
    expect(exchange.finishLate()).toBeUndefined()
    bag(exchange.work).late = 1
    await exchange.finishLate()
    expect({ ...bag((await app.begin(cookie)).work) }).toEqual({ early: 1, late: 1 })
  })

  test('a change of a session that began before them is stored', async () => {
    const app = host()
    const exchange = await app.begin()
    bag(exchange.work).early = 1
    const cookie = kept(await exchange.finish())
    bag(exchange.work).late = 1
    await exchange.finishLate()
    expect({ ...bag((await app.begin(cookie)).work) }).toEqual({ early: 1, late: 1 })
  })

  test('a session that begins is an error: the browser cannot be told', async () => {
    const exchange = await host().begin()
    await exchange.finish()
    bag(exchange.work).late = 1
    await expect(exchange.finishLate()).rejects.toMatchObject({ code: 'ERR_SESSION_HEADERS_SENT' })
  })
})

describe('what fails as a response begins or ends', () => {
  const unmakeable: CookiePolicy = {
    name: () => 'sid',
    settable: () => true,
    set: () => {
      throw new TypeError('option domain is invalid')
    },
    clear: () => {
      throw new TypeError('option domain is invalid')
    },
  }
  const begin = () => host({}, unmakeable).begin()

  test('is told by the promise, and not thrown at whoever ends the response: a cookie that cannot be made', async () => {
    for (const act of ['save', 'signIn'] as const) {
      const exchange = await begin()
      bag(exchange.work).a = 1
      await bag(exchange.work)[act]('ada')
      await expect(exchange.finish()).rejects.toThrow('option domain is invalid')
    }
  })

  test('is no head of a handshake: that goes without a cookie, and the commit fails', async () => {
    const exchange = await begin()
    bag(exchange.work).a = 1
    const finished = exchange.finish()
    expect(exchange.expectedChanges).toBeUndefined()
    await expect(finished).rejects.toThrow('option domain is invalid')
  })

  test.each(['finish', 'finishLate'] as const)(
    'is told by the promise of %s: a commit that throws',
    async (name) => {
      const exchange = await host().begin()
      vi.spyOn(exchange.work, 'commit').mockImplementation(() => {
        throw new TypeError('no cookie')
      })
      await expect(exchange[name]()).rejects.toThrow('no cookie')
    },
  )
})

test('a cookie that must be Secure is not set over HTTP, which the process is warned of', async () => {
  const { begin } = host({ cookie: { secure: true } })
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  try {
    for (let round = 0; round < 2; round++) {
      const exchange = await begin(undefined, { secure: false })
      bag(exchange.work).a = 1
      expect(await exchange.finish()).toBeUndefined()
    }
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('{ proxy: true }'), {
      code: 'COATCHECK_INSECURE_REQUEST',
    })
  } finally {
    warn.mockRestore()
  }
})

test('two hosts that share a store and a secret share the session', async () => {
  const store = new MemoryStore()
  const [accounts, shop] = [host({ store }), host({ store })]
  const cookie = await signedIn(accounts)
  expect((await shop.begin(cookie)).work.userId).toBe('ada')
  const leaving = await shop.begin(cookie)
  await bag(leaving.work).signOut()
  expect((await accounts.begin(cookie)).work.userId).toBeUndefined()
})
