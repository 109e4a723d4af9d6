import { readFileSync } from 'node:fs'
import http, { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

// Both packages side by side, loaded as their users load them. Inputs are what JavaScript allows, types or not.
const require = createRequire(import.meta.url)
type Next = (error?: unknown) => void
type Middleware = (request: object, response: object, next: Next) => void
type Cors = (options?: unknown) => Middleware
type Callback = (error: unknown, answer?: unknown) => void
const theirs = require('cors') as Cors
const ours = require('coatcheck/cors') as Cors

// Most of this is warned of: test/http/cors-warnings.test.ts.
vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)

const migrating = readFileSync(new URL('../../docs/migrating.md', import.meta.url), 'utf8')

const mine = 'https://app.example.com'
const other = 'https://evil.test'

interface Asked {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  /** What the response's `Vary` is before. */
  readonly vary?: string | readonly string[]
}

/** All that a middleware did: to the response, and by which arguments it went on. */
interface Outcome {
  readonly status: unknown
  readonly headers: Record<string, string>
  readonly ended: boolean
  /** The arguments of `next`, once a call. What is thrown counts as `next(error)`, as in Express. */
  readonly next: readonly (readonly unknown[])[]
}

/** Plays one request on a real response of Node's that leads to no socket. */
function play(make: () => Middleware, { method, headers, vary }: Asked): Promise<Outcome> {
  const request = Object.assign(new IncomingMessage(new PassThrough() as unknown as Socket), {
    method,
    headers,
  })
  const response = new ServerResponse(request)
  if (vary !== undefined) response.setHeader('Vary', vary)
  const calls: unknown[][] = []
  return new Promise((resolve) => {
    const settled = () => {
      const failed = calls.some(([error]) => error)
      const sent = Object.entries(response.getHeaders()).map(
        ([name, value]) => [name, [value].flat().join(', ')] as const,
      )
      // What a failed one has set so far is the error handler's to clear.
      const shown = failed
        ? { status: 0, headers: {} }
        : { status: Number(response.statusCode), headers: Object.fromEntries(sent) }
      resolve({ ...shown, ended: response.writableEnded, next: calls.map((args) => args.map(comparable)) })
    }
    response.end = new Proxy(response.end.bind(response), {
      apply(target, _this, args) {
        Reflect.apply(target, undefined, args)
        settled()
        return response
      },
    }) as typeof response.end
    try {
      make()(request, response, (...args: unknown[]) => {
        calls.push(args)
        settled()
      })
    } catch (error) {
      calls.push([error])
      settled()
    }
  })
}

/** Errors by what they say: those of Node's have the code, and each package may word its own. */
const comparable = (error: unknown): unknown => (error instanceof Error ? `failed: ${error.message}` : error)

async function compare(options: unknown, asked: Asked): Promise<[ours: Outcome, theirs: Outcome]> {
  return [await play(() => ours(options), asked), await play(() => theirs(options), asked)]
}

const get = (origin?: string): Asked => ({ method: 'GET', headers: origin === undefined ? {} : { origin } })
const preflight = (origin?: string): Asked => ({
  method: 'OPTIONS',
  headers: {
    ...get(origin).headers,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'X-One, X-Two',
  },
})
const requests: readonly Asked[] = [
  ...[mine, other, 'null', undefined].flatMap((origin) => [get(origin), preflight(origin)]),
  { method: 'POST', headers: { origin: mine, 'access-control-request-headers': 'X-One' } },
  { method: 'OPTIONS', headers: { origin: mine } },
  { method: 'options', headers: { origin: other, 'access-control-request-headers': 'not a list; \xe9' } },
  { ...get(mine), vary: 'Accept' },
  { ...preflight(other), vary: ['Accept', 'origin'] },
  { ...preflight(mine), vary: '*' },
  { ...get(other), vary: 'Accept, *' },
  get(''),
  get('https://evil.test https://app.example.com'),
  get(`https://app.example.com/`),
]

/** Forms of `origin` that are read as they are. */
const origins: readonly unknown[] = [
  '*', true, mine, 'null', 'app.example.com', `${mine}/`, 'https://APP.example.com', `${mine}:443`, `${mine}, ${other}`,
  `${mine}/path`, 'https://*.example.com', 'http://localhost:3000', new String(mine), new String('*'),
  undefined, null, false, '', 0, NaN,
  /^https:\/\/app\.example\.com$/, /example\.com/, /./, /^null$/, /undefined/,
  [], [mine], ['*'], [mine, '*'], [true], [false], [mine, 'null'], [undefined, mine], [null, mine], ['', mine], [`${mine}/`, mine],
  ['a, b', mine], ['app.example.com'], ['https://App.example.com', other], [`${mine}:443`, /\.example\.com$/],
  ['https://*.example.com'], [new String(mine)], [[mine], [[other]]], [{}], [7, mine], [() => false],
  7, -1, {}, { [mine]: true }, new Set([mine]), new URL(mine), Symbol.iterator, 10n, Promise.resolve(false),
] // prettier-ignore

/** Answers of an origin function, by callback, at once and later. */
const answers: readonly unknown[] = [
  ...origins,
  (origin: string | undefined) => origin || '*',
  (origin: string | undefined) => origin === mine,
  (origin: string | undefined) => (origin === mine ? true : undefined),
  (origin: string | undefined) => (origin === mine ? mine : false),
]
const answerTo = (answer: unknown, origin: string | undefined): unknown =>
  typeof answer === 'function' ? (answer as (origin?: string) => unknown)(origin) : answer

const originFunctions = [
  (answer: unknown) => (origin: string | undefined, callback: Callback) => callback(null, answerTo(answer, origin)),
  (answer: unknown) => (origin: string | undefined, callback: Callback) =>
    void setImmediate(callback, undefined, answerTo(answer, origin)),
  (answer: unknown) => async (origin: string | undefined, callback: Callback) => {
    await Promise.resolve()
    callback(null, answerTo(answer, origin))
  },
  // What they return means nothing: old drivers return whether more may be written.
  (answer: unknown) => (origin: string | undefined, callback: Callback) => {
    setImmediate(callback, null, answerTo(answer, origin))
    return true
  },
  (answer: unknown) => (...args: [string | undefined, Callback]) => setImmediate(args[1], null, answerTo(answer, args[0])),
  (answer: unknown) =>
    (origin = '', callback: Callback) =>
      void setImmediate(callback, null, answerTo(answer, origin)),
] // prettier-ignore

const credentials: readonly object[] = [
  {},
  ...[true, false, 'true', 1].map((value) => ({ credentials: value })),
]

const lists: readonly unknown[] = [
  '*', ['*'], 'GET', 'GET, PURGE', ['GET', 'PURGE'], [], '', null, 'GET POST', 'GET;POST', ['GET', 7, null],
  0, 7, true, false, {}, { length: 1 }, new Set(['GET']), [['GET', 'PUT'], 'POST'],
] // prettier-ignore

/** Every other option in every form. `methods` and `optionsSuccessStatus` of nothing are below. */
const rest: readonly object[] = [
  ...lists.filter((list) => list !== null).map((methods) => ({ methods })),
  ...[...lists, undefined].flatMap((list) => [{ allowedHeaders: list }, { headers: list }, { exposedHeaders: list }]),
  { allowedHeaders: '', headers: 'X-One' },
  { allowedHeaders: 'X-One', headers: 'X-Two' },
  ...[0, 600, '600', '', '0', -1, 1.5, NaN, Infinity, '10m', null, undefined, true, false, {}, [], [600], 10n].map((maxAge) => ({ maxAge })),
  ...[true, false, 1, 0, 'false', '', null, undefined, {}].map((preflightContinue) => ({ preflightContinue })),
  ...[200, 204, 299, '200', '204', 404, '404', 199, 200.5].map((status) => ({
    optionsSuccessStatus: status,
  })),
  { optionSuccessStatus: 200 },
  { origins: [mine], allowCredentials: true },
] // prettier-ignore

/** What no response of Node's takes. */
const failing: readonly object[] = [
  ...['GET\r\nX-Evil: 1', ['\u20ac']].flatMap((list) => [{ methods: list }, { allowedHeaders: list }, { exposedHeaders: list }]),
  ...[0, 99, 1000, NaN, 'ok', true, {}].map((status) => ({ optionsSuccessStatus: status })),
  { origin: `${mine}\n` },
] // prettier-ignore

/** What is given in place of options. */
const instead: readonly unknown[] = [
  undefined,
  null,
  {},
  [],
  [mine],
  mine,
  '',
  7,
  0,
  true,
  false,
  new Map([['origin', mine]]),
  new Date(0),
]
const inherited = [Object.create({ origin: [mine], credentials: true }), new (class { origin = [mine] })(), new (class { get origin() { return mine } })()] // prettier-ignore

type Case = readonly [options: unknown, asked: Asked]
const product = (forms: readonly unknown[]): Case[] =>
  forms.flatMap((options) => requests.map((asked) => [options, asked] as const))

const grids: readonly [what: string, cases: readonly Case[]][] = [
  ['origins', product(origins.flatMap((origin) => credentials.map((more) => ({ origin, ...more }))))],
  ['all the other options', product([mine, '*', [mine], true].flatMap((origin) => [false, true].flatMap((allow) =>
    rest.map((form) => ({ origin, credentials: allow, ...form }))))) ],
  ['no origin among the options', product([...credentials, ...rest])],
  ['what Node refuses', product(failing)],
  ['anything in place of options', product([...instead, ...inherited])],
] // prettier-ignore

const asked = product(
  originFunctions.flatMap((make) =>
    answers.flatMap((answer) => [{ origin: make(answer) }, { origin: make(answer), credentials: true }]),
  ),
)
const delegated = product([
  ...origins.flatMap((origin) => [{ origin }, { origin, credentials: true }]),
  ...rest.map((form) => ({ origin: [mine], ...form })),
  { origin: originFunctions[0]!((origin?: string) => origin === mine), credentials: true },
  ...instead,
])
type Delegate = (request: unknown, callback: Callback) => void
const delegates: readonly ((options: unknown) => Delegate)[] = [
  (options) => (_request, callback) => callback(null, options),
  (options) => (_request, callback) => void setImmediate(callback, undefined, options),
]
/** How many cases the tests below compare. */
const compared = grids.reduce(
  (sum, [, cases]) => sum + cases.length,
  asked.length + delegated.length * delegates.length,
)

/** The one difference in what functions decide: caches hear of it, also where it is no, or the same for all. */
function varying(outcome: Outcome): Outcome {
  if (outcome.next.some(([error]) => error)) return outcome
  const { vary } = outcome.headers
  const names = vary?.split(/ *, */).map((name) => name.toLowerCase()) ?? []
  if (names.includes('origin') || names.includes('*')) {
    return { ...outcome, headers: { ...outcome.headers, vary: names.includes('*') ? '*' : vary! } }
  }
  // Before those of the allowed headers, as where the origin is reflected.
  const parts = vary?.split(', ') ?? []
  const at = parts.indexOf('Access-Control-Request-Headers')
  parts.splice(at === -1 ? parts.length : at, 0, 'Origin')
  return { ...outcome, headers: { ...outcome.headers, vary: parts.join(', ') } }
}

/** How many of the cases differ, and the first of them, to print. */
async function differing(cases: readonly Case[], expected = (their: Outcome): Outcome => their) {
  const found: unknown[] = []
  for (const [options, request] of cases) {
    const [our, their] = await compare(options, request)
    if (!isDeepStrictEqual(our, expected(their))) found.push({ options, request, our, their })
  }
  return { differ: found.length, of: cases.length, first: found.slice(0, 3) }
}
const none = (cases: readonly Case[]) => ({ differ: 0, of: cases.length, first: [] })

describe(`coatcheck/cors is as cors, in ${compared} cases: status, headers, and how it goes on`, () => {
  test.each(grids)('%s', async (_what, cases) => {
    expect(await differing(cases)).toEqual(none(cases))
  })

  test('an origin function by callback, but that its answer always varies by Origin', async () => {
    expect(await differing(asked, varying)).toEqual(none(asked))
  })

  test.each(delegates)(
    'a function of the request, but that its answer always varies by Origin: %s',
    async (make) => {
      const cases = delegated.map(([options, request]): Case => [make(options), request])
      expect(await differing(cases, varying)).toEqual(none(cases))
    },
  )
})

describe('options are read at each request, as there', () => {
  const late: [what: string, make: () => [options: Record<string, unknown>, change: () => void]][] = [
    ['a list that is filled afterwards', () => { const origin: unknown[] = []; return [{ origin, credentials: true }, () => origin.push(mine)] }],
    ['an origin that is given afterwards', () => { const options: Record<string, unknown> = { origin: false }; return [options, () => (options['origin'] = mine)] }],
    ['every other option', () => { const options: Record<string, unknown> = {}; return [options, () => Object.assign(options, { origin: [mine], methods: 'GET', headers: 'X', maxAge: 5, credentials: true, preflightContinue: true })] }],
    ['a getter', () => { let origin: unknown = other; return [{ get origin() { return origin } }, () => (origin = mine)] }],
    ['frozen options', () => [Object.freeze({ origin: Object.freeze([Object.freeze(/^https:\/\/app\.example\.com$/)]) }), () => {}]],
  ] // prettier-ignore
  test.each(late)('%s', async (_what, make) => {
    const sides = [ours, theirs].map((cors) => {
      const [options, change] = make()
      return { middleware: cors(options), change }
    })
    const outcomes = async () => {
      for (const request of requests) {
        const [our, their] = await Promise.all(sides.map(({ middleware }) => play(() => middleware, request)))
        expect(our).toEqual(their)
      }
    }
    await outcomes()
    for (const { change } of sides) change()
    await outcomes()
    const allowed = await play(() => sides[0]!.middleware, preflight(mine))
    expect(allowed.headers['access-control-allow-origin']).toBe(mine)
  })
})

describe('unlike cors, as docs/migrating.md says', () => {
  test("what a function decides varies by Origin, also where it is no, or '*'", async () => {
    for (const answer of [false, '*']) {
      for (const options of [
        { origin: (_origin: unknown, callback: Callback) => callback(null, answer) },
        (_request: unknown, callback: Callback) => callback(null, { origin: answer }),
      ]) {
        const [our, their] = await compare(options, get(other))
        expect(our.headers['vary']).toBe('Origin')
        expect(their.headers['vary']).toBeUndefined()
      }
    }
  })

  test.each([/^https:\/\/app\.example\.com$/g, /^https:\/\/app\.example\.com$/y])(
    '%s answers the same each time',
    async (pattern) => {
      const turns = async (middleware: Middleware) => {
        const answers: unknown[] = []
        for (let turn = 0; turn < 3; turn++) {
          answers.push((await play(() => middleware, get(mine))).headers['access-control-allow-origin'])
        }
        return answers
      }
      expect(await turns(theirs({ origin: pattern }))).toEqual([mine, undefined, mine])
      pattern.lastIndex = 0
      expect(await turns(ours({ origin: [pattern] }))).toEqual([mine, mine, mine])
    },
  )

  test('an expression of another realm is one, and does not allow all', async () => {
    const origin: unknown = runInNewContext('/^https:..app/')
    const [our, their] = await compare({ origin }, get(other))
    expect(our.headers['access-control-allow-origin']).toBeUndefined()
    expect(their.headers['access-control-allow-origin']).toBe(other)
    expect((await play(() => ours({ origin }), get(mine))).headers['access-control-allow-origin']).toBe(mine)
  })

  test.each([
    { methods: undefined },
    { methods: null },
    { optionsSuccessStatus: undefined },
    { optionsSuccessStatus: null },
  ])('%o is as if it were left out, where every preflight failed', async (options) => {
    const [our, their] = await compare(options, preflight(mine))
    expect(our).toEqual(await play(() => theirs(), preflight(mine)))
    expect(their.next).toEqual([[expect.stringContaining('failed')]])
    for (const [name, value] of Object.entries(options)) {
      expect(migrating).toMatch(
        new RegExp(`\\*\\*.*\`${String(value)}\`.*\`${name}\`.* is the default\\*\\*`),
      )
    }
  })

  const failure = new Error('the list is down')
  test.each(['origin', 'options'])('a function of the %s that rejects is an error for next', async (kind) => {
    let pending: Promise<never> | undefined
    const reject = (_asked: unknown, _callback: Callback) => (pending = Promise.reject(failure))
    const options = kind === 'origin' ? { origin: reject } : reject
    expect((await play(() => ours(options), get(mine))).next).toEqual([['failed: the list is down']])
    const next = vi.fn<Next>()
    theirs(options)({ method: 'GET', headers: {} }, {}, next)
    // Nobody listens but this line.
    await expect(pending).rejects.toBe(failure)
    expect(next).not.toHaveBeenCalled()
  })

  test('what is thrown goes to next, also where no framework catches it', () => {
    const options = { origin: () => { throw failure } } // prettier-ignore
    const next = vi.fn<Next>()
    ours(options)({ headers: {} }, {}, next)
    expect(next.mock.calls).toEqual([[failure]])
    expect(() => theirs(options)({ headers: {} }, {}, next)).toThrow(failure)
  })

  test('the first answer of a function counts', () => {
    const options = { origin: (_origin: unknown, callback: Callback) => { callback(null, false); callback(failure) } } // prettier-ignore
    const calls = (cors: Cors) => {
      const next = vi.fn<Next>()
      cors(options)({ headers: {} }, { setHeader() {} }, next)
      return next.mock.calls
    }
    expect(calls(theirs)).toEqual([[null], [failure]])
    expect(calls(ours)).toEqual([[null]])
  })

  test('a function without a callback answers by returning or by a promise, where the request hung', async () => {
    for (const options of [
      { origin: (origin: string) => origin === mine },
      { origin: async (origin: string) => [origin] },
      { origin: () => /app/ },
      () => ({ origin: mine }),
      async (request: IncomingMessage) => ({ origin: request.headers.origin }),
    ]) {
      const outcome = await play(() => ours(options), get(mine))
      expect(outcome.headers).toEqual({ 'access-control-allow-origin': mine, vary: 'Origin' })
      const next = vi.fn<Next>()
      theirs(options)({ headers: {} }, {}, next)
      expect(next).not.toHaveBeenCalled()
    }
  })

  test('a response that cannot tell its headers gets them', () => {
    const headers: Record<string, unknown> = {}
    const response = { setHeader: (name: string, value: unknown) => (headers[name] = value) }
    const next = vi.fn<Next>()
    ours({ origin: [mine] })({ headers: { origin: mine } }, response, next)
    expect(headers).toEqual({ 'Access-Control-Allow-Origin': mine, Vary: 'Origin' })
    expect(next.mock.calls).toEqual([[]])
    expect(() => theirs({ origin: [mine] })({ headers: { origin: mine } }, response, next)).toThrow(TypeError)
  })
})

describe('over HTTP', () => {
  let respond: http.RequestListener
  const server = http.createServer((request, response) => respond(request, response))
  beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  afterAll(() => new Promise<void>((resolve) => void server.close(() => resolve())))

  /** Status, all headers but Date, in their order and letters, and the body. */
  function send({ method, headers, vary }: Asked, middleware: Middleware): Promise<unknown> {
    respond = (request, response) => {
      if (vary !== undefined) response.setHeader('Vary', vary)
      middleware(request, response, (error) => {
        response.statusCode = error ? 500 : 200
        response.end(error ? 'failed' : 'handled')
      })
    }
    const { port } = server.address() as AddressInfo
    return new Promise((resolve, reject) => {
      const request = http.request({ port, host: '127.0.0.1', method, headers, agent: false }, (response) => {
        const sent = response.rawHeaders.map((text, index) =>
          index % 2 ? '' : `${text}: ${response.rawHeaders[index + 1]}`,
        )
        const shown = sent.filter((line) => line !== '' && !line.startsWith('Date:')).sort()
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text))
        response.on('end', () => resolve([response.statusCode, shown, body]))
      })
      request.on('error', reject).end()
    })
  }

  const configurations: readonly unknown[] = [
    undefined, { origin: mine, credentials: true, optionsSuccessStatus: 200 }, { origin: '*', credentials: true }, { origin: ['*'] },
    { origin: true, credentials: true, maxAge: 600 }, { origin: false }, { origin: [mine, /\.example\.org$/], exposedHeaders: ['X-Total'] },
    { origin: `${mine}/`, optionSuccessStatus: 200 }, { credentials: 'true', optionsSuccessStatus: '200', maxAge: '10m' },
    { methods: '*', allowedHeaders: '*', exposedHeaders: '*', preflightContinue: 1 },
  ] // prettier-ignore
  test.each(configurations)('%o, to the letters of the headers', async (options) => {
    for (const request of requests) {
      if (request.headers['access-control-request-headers']?.includes('\xe9')) continue
      expect(await send(request, ours(options))).toEqual(await send(request, theirs(options)))
    }
  })
})
