import { inspect } from 'node:util'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { MemoryStoreObject, SessionModule, SessionObject, StoreObject } from './express-session-types.ts'
import { packages } from './sides.ts'

// Store, MemoryStore, Cookie and Session by themselves, without a request: what each gives for the same calls, over all
// values that apps and stores hand them, and those that they should not.

const now = 1_700_000_000_000
const [theirs, ours] = packages()

/** What is seen of a value: alike for both packages if an app could not tell one from the other. */
function seen(value: unknown, { Session, Cookie }: SessionModule): unknown {
  if (value instanceof Error) return `${value.constructor.name}: ${value.message}`
  if (value instanceof Date) return Number.isNaN(value.valueOf()) ? 'an invalid Date' : value.toISOString()
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return inspect(value)
  const kind =
    value instanceof Session
      ? 'Session'
      : value instanceof Cookie
        ? 'Cookie'
        : kindOf(Object.getPrototypeOf(value))
  return [
    kind,
    Object.keys(value).map((name) => [
      name,
      seen((value as never)[name], { Session, Cookie } as SessionModule),
    ]),
  ]
}

function kindOf(prototype: object | null): string {
  return prototype === null ? 'no prototype' : prototype.constructor.name
}

/** What `act` gives or throws. The packages have other versions of `cookie`, whose errors have other words. */
function outcome(act: () => unknown, side: SessionModule): unknown {
  try {
    return seen(act(), side)
  } catch (error) {
    return `throws ${(error as Error).constructor.name}`
  }
}

interface Case {
  readonly name: string
  readonly act: (side: SessionModule) => unknown
}

/** Runs each case on both packages, and compares all that is seen. */
function compare(statement: string, cases: readonly Case[]): void {
  test(`${statement} [${cases.length} cases]`, async () => {
    vi.useFakeTimers({ toFake: ['Date'], now })
    onTestFinished(() => void vi.useRealTimers())
    for (const { name, act } of cases) {
      expect({ name, ours: await act(ours) }).toEqual({ name, ours: await act(theirs) })
    }
  })
}

const moments = [new Date(now + 5_000), new Date(now), new Date(now - 5_000), new Date(NaN)]
const attributes: Record<string, readonly unknown[]> = {
  maxAge: [
    undefined,
    null,
    0,
    1,
    60_000,
    -1,
    -0,
    1.5,
    NaN,
    Infinity,
    8.64e15,
    false,
    true,
    '',
    '1000',
    {},
    ...moments,
  ],
  expires: [undefined, null, false, true, 0, 1, '', 'x', '2030-01-01T00:00:00.000Z', {}, ...moments],
  originalMaxAge: [undefined, null, 0, 60_000, -5, 'x', NaN, false, {}],
  path: [undefined, null, '', '/', '/a', 'a', 1, '/ü', '/a;b'],
  domain: [undefined, null, '', 'example.com', '.example.com', 'EXAMPLE.com', 'localhost', 'a b', 1],
  secure: [undefined, null, true, false, 'auto', 'false', 1, 0],
  httpOnly: [undefined, null, true, false, 'false', 1, 0],
  sameSite: [undefined, null, true, false, 'lax', 'Lax', 'STRICT', 'none', 'None', '', 'x', 'auto', 1],
  priority: [undefined, null, '', 'low', 'High', 'x', 1],
  partitioned: [undefined, null, true, false, 'x', 1],
  data: [1, {}],
  _expires: [null, 'x', ...moments],
  samesite: ['lax'],
  Secure: [true],
  signed: [true],
}
const times = ['maxAge', 'expires', 'originalMaxAge'] as const

describe('`session.Cookie`', () => {
  const looked = (make: (side: SessionModule) => object) => (side: SessionModule) =>
    outcome(() => {
      const cookie = make(side) as InstanceType<SessionModule['Cookie']>
      return [
        cookie,
        cookie.expires,
        cookie.maxAge,
        cookie.originalMaxAge,
        cookie.data,
        JSON.stringify(cookie),
        outcome(() => cookie.serialize('name', 'a b;=ü'), side),
      ]
    }, side)

  {
    const single = Object.entries(attributes).flatMap(([name, values]) =>
      values.flatMap((value): Case[] => [
        {
          name: `new Cookie({ ${name}: ${inspect(value)} })`,
          act: looked(({ Cookie }) => new Cookie({ [name]: value })),
        },
        {
          name: `new Cookie({ maxAge: 60000 }).${name} = ${inspect(value)}`,
          act: looked(({ Cookie }) => Object.assign(new Cookie({ maxAge: 60_000 }), { [name]: value })),
        },
        {
          name: `new Cookie().${name} = ${inspect(value)}`,
          act: looked(({ Cookie }) => Object.assign(new Cookie(), { [name]: value })),
        },
      ]),
    )
    const pairs = times.flatMap((first) =>
      times
        .filter((second) => second !== first)
        .flatMap((second) =>
          attributes[first]!.flatMap((one) =>
            attributes[second]!.map((other): Case => ({
              name: `new Cookie({ ${first}: ${inspect(one)}, ${second}: ${inspect(other)} })`,
              act: looked(({ Cookie }) => new Cookie({ [first]: one, [second]: other })),
            })),
          ),
        ),
    )
    const whole = [
      undefined,
      null,
      0,
      '',
      false,
      true,
      'x',
      1,
      [],
      new Date(0),
      Object.create({ path: '/p', maxAge: 5 }),
    ]
    compare('is made of the same attributes in the same way', [
      ...single,
      ...pairs,
      ...whole.map((options): Case => ({
        name: `new Cookie(${inspect(options)})`,
        act: looked(({ Cookie }) => new Cookie(options)),
      })),
    ])
  }

  {
    const copies: Record<string, (cookie: object) => object> = {
      'its own names': (cookie) => ({ ...cookie }),
      'all names': (cookie) => {
        const copy: Record<string, unknown> = {}
        for (const name in cookie) copy[name] = cookie[name as never]
        return copy
      },
    }
    compare(
      'is copied alike, by its own names and by `for … in`',
      Object.entries(copies).map(([name, copy]) => ({
        name,
        act: (side) => outcome(() => copy(new side.Cookie({ maxAge: 60_000, domain: 'example.com' })), side),
      })),
    )
  }
})

/** What a store may be handed, or have lying there. Each has its `originalMaxAge`, as all that the middleware stores. */
const sessions: readonly unknown[] = [
  { cookie: { expires: null, originalMaxAge: null, path: '/' }, a: 1 },
  ...[...moments.slice(0, 3), ...moments.slice(0, 3).map((moment) => moment.toISOString()), '2030-01-01'].map(
    (expires) => ({ cookie: { expires, originalMaxAge: 9_000 }, b: [1, { c: 2 }] }),
  ),
  {
    cookie: { expires: new Date(now + 5_000), originalMaxAge: 5_000, domain: 'example.com', sameSite: 'lax' },
  },
]
/** What lies in a store if somebody else wrote it: read and counted alike, though no session can be made of it. */
const oddities: readonly unknown[] = [
  ...[now + 5, now - 5, 'x', '', false, true, 0, 1, {}].map((expires) => ({ cookie: { expires } })),
  { cookie: null }, { cookie: 1 }, { cookie: 'x' }, {}, { a: 1 }, [], [1], 'text', '', 1, 0, true, false, undefined,
  { toJSON: () => ({ t: 1 }) }, { toJSON: () => undefined }, () => 1, new Map([[1, 2]]), new Date(now),
] // prettier-ignore
const ids = ['id', '', 'toString', '__proto__', 'constructor', 'a b', 1, null, undefined]

/** Lets everything that was put off come. */
const later = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Calls a method of a store, with or without a callback: what it returns or throws, when and with what it calls back, and what is stored then. */
async function called(
  side: SessionModule,
  store: StoreObject,
  method: string,
  parameters: readonly unknown[],
  withCallback: boolean,
): Promise<unknown[]> {
  const log: unknown[] = []
  let when = 'at once'
  const callback = function (this: unknown, ...answer: unknown[]): void {
    log.push(`called back ${when} with ${answer.length}`, seen(answer, side), this === store)
  }
  const act = (store as unknown as Record<string, (...parameters: unknown[]) => unknown>)[method]!
  log.push(outcome(() => act.apply(store, [...parameters, ...(withCallback ? [callback] : [])]), side))
  when = 'later'
  await later()
  log.push(seen((store as { sessions?: object }).sessions, side))
  return log
}

describe('`session.MemoryStore`', () => {
  const first = sessions[0] as never

  /** A case on a store in which `stored` lies under `id`. */
  function on(
    id: unknown,
    stored: unknown,
    method: string,
    parameters: unknown[],
    withCallback: boolean,
  ): Case {
    return {
      name: `${method}(${parameters.map((each) => inspect(each)).join(', ')}) of ${inspect(stored)}, callback: ${withCallback}`,
      act: async (side) => {
        const store: MemoryStoreObject = new side.MemoryStore()
        store.generate = (request) => Object.assign(request, { generated: true })
        store.set(id as string, stored as never)
        store.set('other', first)
        await later()
        return called(side, store, method, parameters, withCallback)
      },
    }
  }

  {
    const cases = [true, false].flatMap((callback) =>
      [...sessions, ...oddities].flatMap((stored) => [
        ...['destroy', 'touch'].map((method) =>
          on('id', stored, method, ['id', ...(method === 'touch' ? [first] : [])], callback),
        ),
        ...[...sessions, { cookie: undefined }].map((next) =>
          on('id', stored, 'touch', ['id', next], callback),
        ),
        ...['all', 'clear'].map((method) => on('id', stored, method, [], callback)),
        on('other', first, 'set', ['id', stored], callback),
        ...(callback ? [on('id', stored, 'get', ['id'], true), on('id', stored, 'length', [], true)] : []),
      ]),
    )
    const byId = ids.flatMap((id) =>
      ids.flatMap((asked) => [
        ...['get', 'destroy', 'load'].map((method) => on(id, first, method, [asked], true)),
        ...['set', 'touch'].map((method) => on(id, first, method, [asked, sessions[1]], true)),
      ]),
    )
    compare('takes, gives, counts and removes alike, and calls back alike', [...cases, ...byId])
  }

  {
    compare('loads and regenerates alike', [
      ...sessions.map((stored) => on('id', stored, 'load', ['id'], true)),
      ...['id', undefined, 1].map((sessionID) => on('id', first, 'regenerate', [{ sessionID }], true)),
    ])
  }

  {
    const counted = (answer: unknown[]): Case => ({
      name: `all calls back with ${inspect(answer)}`,
      act: (side) => {
        const store = new side.MemoryStore()
        store.all = (done) => (done as (...answer: unknown[]) => void)(...answer)
        return called(side, store, 'length', [], true)
      },
    })
    compare('`length` counts what an `all` of the app’s own gives', [
      counted([null, { one: 1, two: 2 }]),
      counted([new Error('the line is down')]),
    ])
  }

  test('differs: what is no session at all, and a callback that is missing, break no request', async () => {
    const act = (side: SessionModule, method: 'get' | 'length', text: string) => {
      const store = new side.MemoryStore() as MemoryStoreObject & { sessions: Record<string, string> }
      store.sessions['id'] = text
      return outcome(() => store[method]('id' as never, undefined as never), side)
    }
    const row = '{"cookie":{"expires":null}}'
    expect([act(theirs, 'get', 'null'), act(theirs, 'get', row)]).toEqual([
      'throws TypeError',
      'throws TypeError',
    ])
    expect([act(ours, 'get', 'null'), act(ours, 'get', row)]).toEqual(['undefined', 'undefined'])
  })
})

describe('`session.Store`', () => {
  const answers: unknown[][] = [
    [], [null], [undefined], [null, undefined], [null, null], [null, 0], [null, ''], [null, false],
    [new Error('the line is down')], ['text'], [0], [false], [new Error('the line is down'), sessions[0]],
    [null, { cookie: { originalMaxAge: 5, expires: null } }], [null, { cookie: { originalMaxAge: null } }, 'a third'],
  ] // prettier-ignore

  {
    const cases = answers.flatMap((answer) =>
      ['load', 'regenerate'].map((method): Case => ({
        name: `${method}, answered ${inspect(answer)}`,
        act: async (side) => {
          const store = new side.Store()
          const done = (_id: string, callback?: (...answer: unknown[]) => void): void =>
            callback?.(...structuredClone(answer))
          Object.assign(store, {
            get: done,
            destroy: done,
            generate: (request: object) => Object.assign(request, { made: true }),
          })
          const request = { sessionID: 'id' }
          return [await called(side, store, method, [method === 'load' ? 'id' : request], true), request]
        },
      })),
    )
    compare('`load` and `regenerate` pass on what the store answers', cases)
  }

  {
    const cases = sessions.map((stored): Case => ({
      name: inspect(stored),
      act: (side) => {
        const [data, request] = [structuredClone(stored) as { cookie: object }, { sessionID: 'id' }]
        return outcome(() => {
          const made = new side.Store().createSession(request as never, data as never)
          return [made, made.id, made.cookie === data.cookie, request, data, JSON.stringify(made)]
        }, side)
      },
    }))
    compare('`createSession` makes the same session, and puts its Cookie into the data too', cases)
  }

  test('differs: a stored cookie that is missing or unusable is replaced, and one without `originalMaxAge` keeps its length', () => {
    vi.useFakeTimers({ toFake: ['Date'], now })
    onTestFinished(() => void vi.useRealTimers())
    const made = (side: SessionModule, cookie: unknown) =>
      outcome(
        () => new side.Store().createSession({ sessionID: 'id' } as never, { cookie } as never).cookie.data,
        side,
      )
    const fresh = seen(new ours.Cookie().data, ours)
    for (const cookie of [undefined, null, 'x', 1]) {
      expect([made(theirs, cookie), made(ours, cookie)], inspect(cookie)).toEqual(['throws TypeError', fresh])
    }
    for (const expires of ['x', 1, true, {}]) {
      const unusable = { expires, originalMaxAge: null }
      // There, no response to its holder could set its cookie.
      expect(() => {
        const { cookie } = new theirs.Store().createSession({} as never, { cookie: { ...unusable } })
        cookie.serialize('name', 'value')
      }).toThrow(/expires is invalid/)
      expect(made(ours, unusable), inspect(expires)).toEqual(fresh)
    }
    const short = (side: SessionModule) =>
      new side.Store().createSession({} as never, { cookie: { expires: new Date(now + 5_000) } }).cookie
        .originalMaxAge
    expect([short(theirs), short(ours)]).toEqual([undefined, 5_000])
  })
})

describe('`session.Session`', () => {
  const request = ({ MemoryStore }: SessionModule) => ({ sessionID: 'id', sessionStore: new MemoryStore() })
  const contents: readonly unknown[] = [
    undefined, null, 0, 'text', [], [1, 2], { a: 1 }, { cookie: { path: '/x' } }, { id: 1, req: 2, save: 3, touch: 4, a: 1 },
    { reload: 1, destroy: 2, regenerate: 3, resetMaxAge: 4 }, { toString: 1, hasOwnProperty: 2, constructor: 3 },
    new Map([[1, 2]]), JSON.parse('{ "__proto__": { "x": 1 } }'), { userId: 1, rotate: 2, update: 3, signIn: 4 },
  ] // prettier-ignore

  {
    const cases = contents.map((data): Case => ({
      name: `new Session(request, ${inspect(data)})`,
      act: (side) =>
        outcome(() => {
          const made = new side.Session(request(side), data)
          return [made, made.id, typeof made.save, typeof made.toString, made['x'], JSON.stringify(made)]
        }, side),
    }))
    compare('is filled alike, and hides none of its own members', cases)
  }

  for (const method of ['save', 'destroy', 'reload', 'regenerate'] as const) {
    {
      const cases = [
        [],
        [null],
        [new Error('the line is down')],
        ['text'],
        [null, { cookie: { originalMaxAge: 5 }, z: 1 }],
      ].map((answer): Case => ({
        name: `answered ${inspect(answer)}`,
        act: async (side) => {
          const log: unknown[] = []
          const store = new side.Store()
          for (const name of ['get', 'set', 'destroy'] as const) {
            Object.assign(store, {
              [name]: (...parameters: unknown[]) => {
                const callback = parameters.pop() as (...answer: unknown[]) => void
                log.push(name, seen(parameters, side), typeof callback)
                callback(...structuredClone(answer))
              },
            })
          }
          store.generate = (made) => Object.assign(made, { session: 'another' })
          const own = { sessionID: 'id', sessionStore: store } as { session?: unknown }
          const made = store.createSession(own as never, { cookie: { originalMaxAge: 5_000 }, a: 1 })
          const failure = await new Promise((resolve) => {
            log.push(made[method](resolve) === made)
          })
          await later()
          // The error alone: where there is none, it is `null` or left out, as the store has it.
          return [log, seen(failure ?? undefined, side), own.session === made, seen(own.session, side)]
        },
      }))
      compare(`\`${method}\` asks the store for the same, and gives the session`, cases)
    }
  }

  test('differs: its callbacks come in a later turn, with an error or with nothing', async () => {
    const told = async (side: SessionModule) => {
      const store = new side.Store()
      store.set = (_id, _session, done) => (done as (...answer: unknown[]) => void)(null, 'ok')
      const made = store.createSession({ sessionID: 'id', sessionStore: store } as never, { cookie: {} })
      let when = 'at once'
      const answer = new Promise((resolve) => {
        made.save((...parameters) => resolve([when, parameters]))
      })
      when = 'later'
      return answer
    }
    expect([await told(theirs), await told(ours)]).toEqual([
      ['at once', [null, 'ok']],
      ['later', []],
    ])
  })

  test('differs: what is no function does not take the place of a method', () => {
    const assigned = (side: SessionModule) => {
      const made: SessionObject = new side.Session(request(side))
      return outcome(() => Object.assign(made, { save: 'text' }).save, side)
    }
    expect([assigned(theirs), assigned(ours)]).toEqual(["'text'", 'throws SessionError'])
  })

  test('differs: Cookie and Session are classes, so `new` makes them', () => {
    const called = ({ Cookie, Session }: SessionModule) =>
      [
        () => Reflect.apply(Cookie, {}, [{}]) as unknown,
        () => Reflect.apply(Session, {}, [{}]) as unknown,
      ].map((act) => outcome(act, ours))
    expect([called(theirs), called(ours)]).toEqual([
      ['undefined', 'undefined'],
      ['throws TypeError', 'throws TypeError'],
    ])
  })

  test('differs: data that an object inherits is not taken, nor a Cookie’s own methods out of options', () => {
    const inherited = (side: SessionModule) =>
      Object.keys(new side.Session(request(side), Object.create({ a: 1 })))
    expect([inherited(theirs), inherited(ours)]).toEqual([['a'], []])
    const methods = ({ Cookie }: SessionModule) => typeof new Cookie({ serialize: 'text' }).serialize
    expect([methods(theirs), methods(ours)]).toEqual(['string', 'function'])
  })
})
