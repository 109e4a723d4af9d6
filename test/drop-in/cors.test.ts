import http, { IncomingMessage, ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'

// Both packages side by side, loaded as their users load them. Inputs are what JavaScript allows, types or not.
const require = createRequire(import.meta.url)
type Next = (error?: unknown) => void
type Middleware = (request: object, response: object, next: Next) => void
type Cors = (options?: unknown) => Middleware
type Callback = (error: unknown, answer?: unknown) => void
const theirs = require('cors') as Cors
const ours = require('coatcheck/cors') as Cors

const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
beforeEach(() => void warned.mockClear())

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

describe(`coatcheck/cors is as cors, in ${compared} cases: status, headers, and how it goes on`, () => {
  test.each(grids)('%s', async (_what, cases) => {
    const differing: unknown[] = []
    for (const [options, request] of cases) {
      const [our, their] = await compare(options, request)
      if (!isEqual(our, their)) differing.push({ options, request, our, their })
    }
    report(differing, cases.length)
  })

  test('an origin function by callback, but that its answer always varies by Origin', async () => {
    const differing: unknown[] = []
    for (const [options, request] of asked) {
      const [our, their] = await compare(options, request)
      if (!isEqual(our, varying(their))) differing.push({ options, request, our, their })
    }
    report(differing, asked.length)
  })

  test('a function that gives options by request, but that its answer always varies by Origin', async () => {
    const differing: unknown[] = []
    for (const make of delegates) {
      for (const [options, request] of delegated) {
        const [our, their] = await compare(make(options), request)
        if (!isEqual(our, varying(their))) differing.push({ options, request, our, their })
      }
    }
    report(differing, delegated.length * delegates.length)
  })
})

function isEqual(one: Outcome, another: Outcome): boolean {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(another))
}

const sorted = (outcome: Outcome) => ({
  ...outcome,
  headers: Object.entries(outcome.headers).sort(([one], [another]) => (one < another ? -1 : 1)),
  next: outcome.next.map((args) => args.map((arg) => arg ?? String(arg))),
})

function report(differing: readonly unknown[], of: number): void {
  expect(differing.slice(0, 3), `${differing.length} of ${of} differ`).toEqual([])
}
