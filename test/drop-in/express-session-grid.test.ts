import { describe, expect, test } from 'vitest'
import type { Handler, SessionOptions, SideRequest, StoredSession } from './express-session-types.ts'
import { readableCookie } from './row-store.ts'
import { assertTold, type Reason, Side, sideNames } from './sides.ts'
import { type Answer, routes, type Served } from './visited.ts'

// What handlers do with a session, under every setting of the options that decide what is stored and sent: done to express-session and to
// coatcheck/express, and what each showed compared. A request signs in where the session is to exist, one acts, and one looks at what is left.

const month = 30 * 86_400_000
type Act = (request: SideRequest, response: Parameters<Handler>[1]) => unknown
type Bag = Record<string, unknown>

/** What the callback of a method of the session gets, as text. */
function told(call: (done: (error?: unknown) => void) => unknown): Promise<string> {
  return new Promise((resolve) => void call((error) => resolve(error ? 'Error ' : '')))
}
const save = (request: SideRequest) => told((done) => request.session.save(done))
const reload = (request: SideRequest) => told((done) => request.session.reload(done))
const regenerate = (request: SideRequest) => told((done) => request.session.regenerate(done))
const destroy = (request: SideRequest) => told((done) => request.session.destroy(done))
const change = ({ session }: SideRequest, views: number | undefined = 7) => (session['views'] = views)
const assign = (request: SideRequest, value: unknown) => ((request as object as Bag)['session'] = value)
const assignId = (request: SideRequest, value: unknown) => ((request as object as Bag)['sessionID'] = value)
/** Whether there is a session, and its data. */
const seen = ({ session }: SideRequest) =>
  session ? JSON.stringify({ ...session, cookie: undefined }) : String(session)
const other = (): StoredSession => ({ cookie: { originalMaxAge: null, expires: null }, user: 'bob' })
const switchTo = (request: SideRequest, session = other()) => {
  request.sessionID = 'another id'
  request.session = request.sessionStore.createSession(request, session)
}

/** Acts after which both sides show the same. */
const same: Record<string, Act> = {
  'leaves it alone': () => '',
  'reads it': seen,
  'changes it': (request) => change(request),
  'assigns what was there': (request) => change(request, request.session['views'] as number),
  'assigns undefined': (request) => change(request, undefined),
  'assigns a function': ({ session }) => void (session['call'] = () => 1),
  'assigns NaN and undefined': ({ session }) => void Object.assign(session, { a: NaN, b: undefined }),
  'assigns lists with holes and Dates': ({ session }) =>
    void (session['list'] = [1, { a: undefined, at: new Date(0) }]),
  'assigns what has a toJSON': ({ session }) => void (session['text'] = { toJSON: () => 'text' }),
  'assigns a nested cookie': ({ session }) => void (session['user'] = { cookie: 'biscuit' }),
  'adds and takes away': ({ session }) => {
    session['extra'] = 1
    delete session['extra']
  },
  'takes all away': ({ session }) => void delete session['views'],

  'sets maxAge': ({ session }) => (session.cookie.maxAge = month),
  'sets maxAge and changes it': (request) => {
    request.session.cookie.maxAge = month
    change(request)
  },
  'sets maxAge null': ({ session }) => (session.cookie.maxAge = null),
  'sets maxAge null and changes it': (request) => {
    request.session.cookie.maxAge = null
    change(request)
  },
  'sets maxAge 0 and changes it': (request) => {
    request.session.cookie.maxAge = 0
    change(request)
  },
  'sets a fraction for maxAge and changes it': (request) => {
    request.session.cookie.maxAge = 60_000.7
    change(request)
  },
  'sets expires': ({ session }) => void (session.cookie.expires = new Date(Date.now() + month)),
  'sets expires and changes it': (request) => {
    request.session.cookie.expires = new Date(Date.now() + month)
    change(request)
  },
  'sets expires null and changes it': (request) => {
    request.session.cookie.expires = null
    change(request)
  },
  'sets expires undefined and changes it': (request) => {
    request.session.cookie.expires = undefined
    change(request)
  },
  'sets expires false': ({ session }) => (session.cookie.expires = false),
  'sets expires false and changes it': (request) => {
    request.session.cookie.expires = false
    change(request)
  },
  'makes it longer, takes that back and changes it': (request) => {
    request.session.cookie.maxAge = month
    request.session.cookie.expires = false
    change(request)
  },
  'sets originalMaxAge': ({ session }) => (session.cookie.originalMaxAge = month),
  'sets originalMaxAge and changes it': (request) => {
    request.session.cookie.originalMaxAge = month
    change(request)
  },
  'touches it': ({ session }) => void session.touch(),
  'resets its maxAge': ({ session }) => void session.resetMaxAge(),

  'changes and saves it': (request) => {
    change(request)
    return save(request)
  },
  'changes and saves it twice': async (request) => {
    change(request)
    return (await save(request)) + (await save(request))
  },
  'changes it, saves it, and changes it again': async (request) => {
    change(request)
    await save(request)
    return change(request, 8)
  },
  'reloads it': async (request) => (await reload(request)) + seen(request),
  'changes and reloads it': async (request) => {
    change(request)
    return (await reload(request)) + seen(request)
  },
  'changes, saves and reloads it': async (request) => {
    change(request)
    return (await save(request)) + (await reload(request)) + seen(request)
  },
  'regenerates it': async (request) => (await regenerate(request)) + seen(request),
  'regenerates it twice': async (request) => (await regenerate(request)) + (await regenerate(request)),
  'regenerates and changes it': async (request) => (await regenerate(request)) + String(change(request)),
  'regenerates, changes and saves it': async (request) => {
    await regenerate(request)
    change(request)
    return save(request)
  },
  'regenerates it with another maxAge': async (request) => {
    await regenerate(request)
    request.session.cookie.maxAge = month
    change(request)
  },
  'regenerates it by the store': async (request) => {
    await told((done) => request.sessionStore.regenerate(request, done))
    change(request)
  },
  'generates another by the store': (request) => request.sessionStore.generate(request),
  'generates and changes another by the store': (request) => {
    request.sessionStore.generate(request)
    change(request)
  },
  'deletes it and generates another': (request) => {
    delete (request as object as Bag)['session']
    request.sessionStore.generate(request)
    change(request)
    return seen(request)
  },
  'unsets it and generates another': (request) => {
    assign(request, null)
    request.sessionStore.generate(request)
    change(request)
    return seen(request)
  },
  'destroys it and generates another': async (request) => {
    await destroy(request)
    request.sessionStore.generate(request)
    change(request)
  },
  'destroys it and regenerates it': async (request) => {
    const { session } = request
    const answers = (await destroy(request)) + (await told((done) => session.regenerate(done)))
    change(request)
    return answers + seen(request)
  },

  'assigns false to it': (request) => {
    assign(request, false)
    return seen(request)
  },
  'unsets it and puts it back': (request) => {
    const { session } = request
    assign(request, null)
    assign(request, session)
    change(request)
  },
  'makes its id a number': (request) => {
    assignId(request, 42)
    return `${request.sessionID}: ${seen(request)}`
  },
  'makes its id a number and changes it': (request) => {
    assignId(request, 42)
    change(request)
    return `${request.sessionID}: ${seen(request)}`
  },
  'makes its id undefined and changes it': (request) => {
    assignId(request, undefined)
    change(request)
    return `${request.sessionID}: ${seen(request)}`
  },
  'makes its id a number and generates another': (request) => {
    assignId(request, 42)
    request.sessionStore.generate(request)
    return typeof request.sessionID + String(change(request))
  },
  'makes its id a number and text again': (request) => {
    const id = request.sessionID
    assignId(request, 42)
    assignId(request, id)
    change(request)
  },

  'switches to another': (request) => {
    switchTo(request)
    return [request.sessionID, request.session.id, seen(request)].join()
  },
  'switches to another and changes that': (request) => {
    switchTo(request)
    change(request, 9)
  },
  'switches to another that has a maxAge': (request) => {
    const session = {
      ...other(),
      cookie: { originalMaxAge: month, expires: new Date(Date.now() + month).toJSON() },
    }
    switchTo(request, session)
  },
  'switches by createSession alone': (request) => {
    request.sessionID = 'another id'
    const session = request.sessionStore.createSession(request, other())
    session['views'] = 9
    return `${session === request.session} ${seen(request)}`
  },
  'switches to another and saves that': (request) => {
    switchTo(request)
    return save(request)
  },
  'switches to another, saves and reloads that': async (request) => {
    switchTo(request)
    return (await save(request)) + (await reload(request)) + seen(request)
  },
  'switches to another and regenerates that': async (request) => {
    switchTo(request)
    return (await regenerate(request)) + String(change(request))
  },
  'switches to another and destroys that': (request) => {
    switchTo(request)
    return destroy(request)
  },
  'switches to another and back': (request) => {
    const { sessionID } = request
    switchTo(request)
    request.sessionID = sessionID
    request.session = request.sessionStore.createSession(request, { ...other(), user: 'cy' })
  },
  'creates one of the same id': (request) => {
    request.session = request.sessionStore.createSession(request, other())
  },

  'sets a cookie of its own': (request, response) => {
    change(request)
    response.setHeader('Set-Cookie', 'own=1')
  },
  'sets a cookie of its own with writeHead': (request, response) => {
    change(request)
    response.writeHead(201, { 'Set-Cookie': 'own=1', 'X-Other': 'yes' })
  },
}

/** What express-session shows of one case, as coatcheck is to show it. */
type Difference = (theirs: Shown, begun: Case) => Shown
/** Acts after which they differ, and why. */
const differing: Record<string, { act: Act; reason: Reason; ours: Difference }> = {
  ...endings({
    'destroys it': destroy,
    'destroys it without a callback': ({ session }) => void session.destroy(),
    'destroys and touches it': async (request) => {
      const { session } = request
      const answer = await destroy(request)
      session.touch()
      return answer
    },
    'destroys it twice': async (request) => {
      const { session } = request
      const answers = (await destroy(request)) + (await told((done) => session.destroy(done)))
      return answers + typeof request.session
    },
    'destroys it twice at once': async ({ session }) =>
      (await Promise.all([1, 2].map(() => told((done) => session.destroy(done))))).join(''),
    'regenerates it and destroys the one before': async (request) => {
      const { session } = request
      const answers = (await regenerate(request)) + (await told((done) => session.destroy(done)))
      return answers + typeof request.session
    },
  }),
  ...endings(
    {
      'deletes it': (request) => void delete (request as object as Bag)['session'],
      'unsets it': (request) => {
        assign(request, null)
        return seen(request)
      },
      'assigns undefined to it': (request) => {
        assign(request, undefined)
        return seen(request)
      },
      'changes and unsets it': (request) => {
        change(request)
        assign(request, null)
      },
    },
    ({ options }) => options['unset'] === 'destroy',
  ),
  'saves it without data': {
    act: save,
    reason: 'safer defaults',
    ours: (theirs, { options, exists }) =>
      exists || options['saveUninitialized'] ? theirs : { ...theirs, rows: {} },
  },
}

interface Case {
  readonly options: SessionOptions
  readonly exists: boolean
}
interface Shown {
  readonly answers: readonly {
    status: number
    body: string
    cookies: readonly string[]
    headers: Readonly<Record<string, string>>
  }[]
  readonly rows: Readonly<Record<string, unknown>>
  readonly errors: readonly string[]
}

function endings(acts: Record<string, Act>, ends: (begun: Case) => boolean = () => true): typeof differing {
  const ours: Difference = (theirs, begun) =>
    begun.exists && ends(begun) ? withCookie(theirs, cleared) : theirs
  const entries = Object.entries(acts).map(([name, act]) => [
    name,
    { act, reason: 'destroy clears the cookie', ours } as const,
  ])
  return Object.fromEntries(entries) as typeof differing
}
const cleared = 'connect.sid=; Path=/; Expires=1970; HttpOnly'

/** With one cookie more on the answer of the act. */
function withCookie(theirs: Shown, cookie: string): Shown {
  const at = theirs.answers.length - 2
  const answers = theirs.answers.map((answer, index) =>
    index === at ? { ...answer, cookies: [...answer.cookies, cookie] } : answer,
  )
  return { ...theirs, answers }
}

function grid(values: Record<string, readonly unknown[]>): SessionOptions[] {
  let all: SessionOptions[] = [{}]
  for (const [name, options] of Object.entries(values)) {
    all = all.flatMap((each) => options.map((option) => ({ ...each, [name]: option })))
  }
  return all
}
const flags = [false, true]
const settings = grid({
  resave: flags,
  rolling: flags,
  saveUninitialized: flags,
  unset: ['keep', 'destroy'],
  cookie: [undefined, { maxAge: 60_000 }, { expires: false }],
})
for (const { reason } of Object.values(differing)) assertTold(reason)
const acts = {
  ...same,
  ...Object.fromEntries(Object.entries(differing).map(([name, { act }]) => [name, act])),
}
/** The option `unset` is for these alone. */
const unsetting = [
  'deletes it',
  'unsets it',
  'assigns undefined to it',
  'changes and unsets it',
  'assigns false to it',
]
const actsUnder = ({ unset }: SessionOptions) => (unset === 'destroy' ? unsetting : Object.keys(acts))
const comparedCases = 2 * settings.reduce((count, options) => count + actsUnder(options).length, 0)

/** One side under one setting of the options. */
class App {
  readonly #side: Side
  readonly #served: Promise<Served>
  readonly #store: ReturnType<Side['store']>

  constructor(name: (typeof sideNames)[number], options: SessionOptions) {
    this.#side = new Side(name)
    this.#store = this.#side.store()
    this.#served = this.#side.serve({ ...options, store: this.#store }, handler)
  }

  async show(act: string, exists: boolean): Promise<Shown> {
    this.#store.rows.clear()
    const served = await this.#served
    served.errors.length = 0
    const answers: Answer[] = []
    for (const path of [...(exists ? ['/sign-in'] : []), '/act', '/look']) {
      answers.push(
        await served.get(path, { cookie: jarOf(answers), headers: { act: encodeURIComponent(act) } }),
      )
    }
    const shown = {
      answers: answers.map(({ status, body, cookies, headers }) => ({ status, body, cookies, headers })),
      rows: this.#store.readable(),
      errors: [...served.errors],
    }
    return inOrder(shown)
  }
}

const handler = routes({
  '/sign-in': (request, response) => {
    change(request, 1)
    response.end()
  },
  '/act': async (request, response) => {
    const answer = await acts[decodeURIComponent(String(request.headers['act']))]!(request, response)
    response.end(String(answer))
  },
  '/look': (request, response) => {
    const { cookie, ...data } = request.session
    const { expires, originalMaxAge } = readableCookie(cookie.data)
    response.end(JSON.stringify({ data, expires: expires ?? null, originalMaxAge: originalMaxAge ?? null }))
  },
})

/** What a browser would send. */
function jarOf(answers: readonly Answer[]): string {
  const jar = new Map<string, string>()
  for (const cookie of answers.flatMap(({ raw }) => raw.headers['set-cookie'] ?? [])) {
    const pair = cookie.split(';', 1)[0]!
    const name = pair.slice(0, pair.indexOf('='))
    if (cookie.includes('Expires=Thu, 01 Jan 1970')) jar.delete(name)
    else jar.set(name, pair)
  }
  return [...jar.values()].join('; ')
}

/** With the ids named in the order in which they show, and without the undefined and null that JSON tells apart. */
function inOrder(shown: Shown): Shown {
  const names = new Map<string, string>()
  const text = JSON.stringify(shown, (name, value: unknown) =>
    name === 'expires' || name === 'originalMaxAge' ? (value ?? undefined) : value,
  )
  const named = text.replaceAll(/#\d+/g, (id) => {
    if (!names.has(id)) names.set(id, `#${names.size + 1}`)
    return names.get(id)!
  })
  return JSON.parse(named) as Shown
}

describe(`coatcheck/express beside express-session, in ${comparedCases} cases`, () => {
  test.each(settings.map((options) => [JSON.stringify(options), options] as const))(
    'under %s',
    async (_, options) => {
      const [theirs, ours] = sideNames.map((name) => new App(name, options)) as [App, App]
      for (const act of actsUnder(options)) {
        for (const exists of flags) {
          const shown = await theirs.show(act, exists)
          const expected = differing[act]?.ours(shown, { options, exists }) ?? shown
          const of = `${exists ? 'to a session that exists' : 'to a new session'}: ${act}`
          expect.soft(await ours.show(act, exists), of).toEqual(expected)
        }
      }
    },
  )
})
