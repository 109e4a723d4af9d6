import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { sign } from 'cookie-signature'
import session from 'coatcheck/express'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { faultsOf } from '../../dist/express-session/model/option-faults.js'
import type { Handler, SessionModule, SessionOptions, SideRequest } from './express-session-types.ts'
import { packages, secret } from './sides.ts'

// Configurations as apps have them, right and wrong: coatcheck/express takes what express-session takes, sends the same
// cookies for it, and warns once of what is wrong with it.

const day = 86_400_000
const week = 7 * day
const [theirs, ours] = packages()
const usual = { secret, resave: false, saveUninitialized: false }

let url: string
let middleware: Handler
const server = createServer((request, response) => {
  middleware(request as SideRequest, response, (error) => answer(request as SideRequest, response, error))
})

function answer(request: SideRequest, response: ServerResponse, error: unknown): void {
  if (response.headersSent) return
  if (error) {
    response.writeHead(500).end((error as Error).message)
    return
  }
  // No session where the cookie's path says so.
  const bag = request.session as SideRequest['session'] | undefined
  if (bag) bag['visits'] = Number(bag['visits'] ?? 0) + 1
  response.end(String(bag?.['visits']))
}

beforeAll(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/app/page`
})
afterAll(() => {
  server.close()
  server.closeAllConnections()
})

/** What two requests of one visitor get: status, visits and cookies, with times in steps of 20 seconds from now, none of which is near a step's edge. */
async function visits(
  side: SessionModule,
  options: SessionOptions,
  headers: Record<string, string>,
): Promise<unknown> {
  middleware = side({ ...usual, ...options })
  const seen: unknown[] = []
  let cookie = ''
  for (let visit = 0; visit < 2; visit++) {
    const response = await fetch(url, { headers: { ...headers, cookie } })
    const cookies = response.headers.getSetCookie()
    cookie = cookies[0]?.split(';', 1)[0] ?? cookie
    seen.push(response.status, await response.text(), cookies.map(readable))
  }
  return seen
}

function readable(cookie: string): string {
  return cookie.replace(/=s%3A[^;]*/, '=id').replace(/Expires=([^;]*)/, (_all, date: string) => {
    const left = new Date(date).getTime() - Date.now()
    if (left < -week) return 'long expired'
    // Longer than that no browser keeps it.
    return `Expires in ${Math.round(Math.min(left, 400 * day) / 20_000)}`
  })
}

const moment = (from: number): Date => new Date(Date.now() + from)
const configurations: SessionOptions[] = [
  {},
  ...[undefined, '', 'sid', '__Host-sid', 123, true, null].map((name) => ({ name })),
  ...['a', ''].flatMap((name) => ['b', '', undefined].map((key) => ({ name, key }))),
  ...[undefined, true, false, 'true', 'false', 0, 1, ''].flatMap((value) => [
    { rolling: value }, { resave: value }, { saveUninitialized: value }, { proxy: value },
    { cookie: { secure: value } }, { cookie: { httpOnly: value } }, { cookie: { partitioned: value } },
    { cookie: { secure: value }, proxy: true }, { cookie: { secure: 'auto' }, proxy: value }, { cookie: { sameSite: 'auto' }, proxy: value },
  ]),
  ...['lax', 'Lax', 'strict', 'none', 'None', true, false, '', null, 'auto'].flatMap((sameSite) => [
    { cookie: { sameSite } }, { cookie: { sameSite, secure: 'auto' } }, { cookie: { sameSite, secure: true } },
  ]),
  ...[undefined, null, 60_000, 3_600, week, 1_000.5, 0, -1].flatMap((maxAge) =>
    [{ cookie: { maxAge } }, { cookie: { maxAge }, rolling: true }, { cookie: { expires: moment(week), maxAge } }],
  ),
  ...[null, 0, moment(week), Date.now() + week, week, new Date(0), new Date(253_402_300_000_000)].flatMap((expires) => [
    { cookie: { expires } }, { cookie: { expires, maxAge: 600_000 } },
  ]),
  ...[moment(week), Date.now() + week].map((expires) => ({ cookie: { maxAge: 600_000, expires } })),
  ...[null, week].map((originalMaxAge) => ({ cookie: { originalMaxAge } })),
  ...['', null, undefined, '/', '/app', '/app/', '/app/page', '/other', 'app', 'http://example.com/'].map((path) => ({ cookie: { path } })),
  ...['', null, undefined, 'example.com', '.example.com', 'localhost'].map((domain) => ({ cookie: { domain } })),
  ...['low', 'medium', 'HIGH', '', null].map((priority) => ({ cookie: { priority } })),
  ...[null, undefined, false, '', {}, [], { data: { domain: 'evil.test' } }, { color: 'red' }].map((cookie) => ({ cookie })),
  { cookie: { domain: 'example.com', httpOnly: false, maxAge: 60_000, partitioned: true, priority: 'high', sameSite: 'lax' } },
  { cookie: { maxAge: moment(week) } },
  ...['samesite', 'Secure', 'httponly', 'maxage', 'proxy', 'signed', 'overwrite', 'trustProxy'].map((name) => ({ cookie: { [name]: true } })),
  ...['maxAge', 'httpOnly', 'secure', 'ttl', 'saveUnintialized', 'keys'].map((name) => ({ [name]: true })),
  ...[null, undefined, false, 0, ''].flatMap((value) => [{ store: value }, { genid: value }, { unset: value }, { key: value }]),
  ...[() => 'an id', () => 5, () => undefined, async () => 'an id'].map((genid) => ({ genid })),
  { cookie: Object.create({ path: '/app', maxAge: week }) as object },
  { cookie: () => ({ path: '/app', maxAge: week }) },
  { cookie: () => ({ samesite: 'none' }) },
  { secret: [secret, ''] },
  { secret: Buffer.from(secret) },
  { unset: '' },
  { cookie: { maxAge: 960_000, _expires: 500_000 } },
  { cookie: { expires: 60 * 60 * 24 } },
] // prettier-ignore
const requests: Record<string, string>[] = [
  {},
  { 'x-forwarded-proto': 'https' },
  { 'x-forwarded-proto': 'http, https' },
]

test(`takes what express-session takes, and sends the same cookies [${configurations.length * requests.length} cases]`, async () => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  onTestFinished(() => void vi.restoreAllMocks())
  for (const options of configurations) {
    for (const headers of requests) {
      const name = inspect({ ...options, headers }, { breakLength: Infinity })
      expect({ name, seen: await visits(ours, options, headers) }).toEqual({
        name,
        seen: await visits(theirs, options, headers),
      })
    }
  }
})

const unusable: SessionOptions[] = [
  ...['my session', 'a;b', 'a=b', 'sitzüng', {}].map((name) => ({ name })),
  ...[{ sameSite: 'x' }, { priority: 'x' }, { domain: 'https://example.com' }, { domain: 'example.com:3000' }, { path: '/a;b' }].map((cookie) => ({ cookie })),
  ...[NaN, Infinity].map((maxAge) => ({ cookie: { maxAge } })),
  ...[12_345, {}].map((value) => ({ secret: value })),
] // prettier-ignore

test(`differs: what never gave a browser a cookie there throws at start-up [${unusable.length} cases]`, async () => {
  for (const options of unusable) {
    const seen = (await visits(theirs, options, {})) as unknown[]
    expect(seen.filter(Array.isArray), inspect(options)).toEqual([[], []])
    expect(() => ours({ ...usual, ...options }), inspect(options)).toThrow(Error)
  }
})

describe('a cookie lives for 400 days at most, as browsers have it', () => {
  const now = Date.UTC(2026, 10, 29, 12)
  const lives = async (side: SessionModule, cookie: object) => {
    middleware = side({ ...usual, cookie })
    vi.useFakeTimers({ toFake: ['Date'], now })
    onTestFinished(() => void vi.useRealTimers())
    const [given] = (await fetch(url)).headers.getSetCookie()
    return new Date(/Expires=([^;]*)/.exec(given!)![1]!).getTime() - now
  }

  test.each([400 * day - 1_000, 400 * day])('%d ms stay', async (maxAge) => {
    expect([await lives(theirs, { maxAge }), await lives(ours, { maxAge })]).toEqual([maxAge, maxAge])
  })

  test.each([
    { maxAge: 400 * day + 1_000 },
    { maxAge: 4_000 * day },
    { expires: new Date(253_402_300_000_000) },
  ])('differs: %o is shortened', async (cookie) => {
    expect(await lives(theirs, cookie)).toBeGreaterThan(400 * day)
    expect(await lives(ours, cookie)).toBe(400 * day)
  })
})

test('a maxAge that is no number of milliseconds is named', () => {
  expect(() => ours({ ...usual, cookie: { maxAge: NaN } })).toThrow('cookie.maxAge is NaN')
})

test('differs: a list whose first secret is missing signs with the next; there, no browser got a cookie', async () => {
  const options = { secret: [undefined, secret] }
  const cookies = async (side: SessionModule) =>
    ((await visits(side, options, {})) as unknown[]).filter(Array.isArray)
  expect([await cookies(theirs), await cookies(ours)]).toEqual([
    [[], []],
    [['connect.sid=id; Path=/; HttpOnly'], []],
  ])
})

/** Configurations from public code, and all that is said of each. */
const faults: readonly [SessionOptions, ...RegExp[]][] = [
  // Wrong names.
  [{ cookie: { samesite: 'none', secure: true } }, /cookie .*no attribute "samesite": without effect\. Write sameSite\.$/],
  [{ cookie: { sameSite: 'none', Secure: true } }, /"Secure": .*Write secure\.$/],
  [{ cookie: { httponly: true } }, /"httponly": .*Write httpOnly\.$/],
  [{ cookie: { maxage: week } }, /"maxage": .*Write maxAge\.$/],
  [{ cookie: { 'max-age': week, domains: 'example.com' } }, /Write maxAge\.$/, /Write domain\.$/],
  [{ saveUnintialized: true }, /"saveUnintialized": .*Write saveUninitialized\.$/],
  [{ saveUninitialised: false, reSave: false }, /Write saveUninitialized\.$/, /Write resave\.$/],
  [{ trustProxy: true }, /"trustProxy": .*Write proxy\.$/],
  // Wrong places.
  [{ cookie: { proxy: true, secure: true } }, /"proxy": .*Write session\(\{ proxy, cookie \}\)\.$/],
  [{ cookie: { secureProxy: true } }, /"secureProxy": .*session\(\{ proxy, cookie \}\)\.$/],
  [{ cookie: { resave: false, saveUninitialized: true } }, /"resave", "saveUninitialized": .*Write session\(\{ resave, saveUninitialized, cookie \}\)/],
  [{ maxAge: week }, /no option "maxAge": without effect\. Write cookie: \{ maxAge \}\.$/],
  [{ httpOnly: true, secure: false, sameSite: 'lax' }, /"httpOnly", "secure", "sameSite": .*Write cookie: \{ httpOnly, secure, sameSite \}\.$/],
  [{ secure: true, cookie: { sameSite: 'none' } }, /"secure": .*Write cookie: \{ secure \}/],
  [{ maxAge: '1d', domain: 'example.com' }, /"maxAge", "domain": .*Write cookie: \{ maxAge, domain \}/],
  [{ expires: moment(week) }, /"expires": .*Write cookie: \{ maxAge \}/],
  [{ path: '*', httpOnly: false }, /"path", "httpOnly": .*Write cookie: \{ path, httpOnly \}\.$/],
  [{ cooke: { maxAge: 3_600_000, httpOnly: true } }, /no option "cooke": .*Write cookie\.$/],
  [{ cookie: { maxAge: 960_000, _expires: 500_000 } }, /no attribute "_expires": .*Write maxAge\.$/],
  [{ key: 'sid', proxy: 'true', resave: 'true', saveUninitialized: 'true', cookie: { httpOnly: 'true' } }, /^proxy is "true"/],
  // Names of other packages.
  [{ ttl: 3_600 }, /no option "ttl": without effect\. Its options are secret, store,/],
  [{ cookie: { signed: true, overwrite: true } }, /"signed", "overwrite": without effect\. Its attributes are path, domain,/],
  [{ duration: 1, activeDuration: 2 }, /"duration", "activeDuration"/],
  // Texts that count as true.
  [{ resave: 'false', saveUninitialized: 'false' }, /^resave is the text "false".*true/, /^saveUninitialized is the text/],
  [{ rolling: 'no' }, /^rolling is the text "no"/],
  [{ cookie: { secure: 'false', httpOnly: '0' } }, /^cookie\.secure is the text/, /^cookie\.httpOnly is the text/],
  [{ proxy: 'true' }, /^proxy is "true", which has no effect/],
  [{ proxy: 1 }, /^proxy is 1/],
  // What browsers drop.
  [{ cookie: { sameSite: 'none' } }, /sameSite 'none' needs cookie\.secure true/],
  [{ cookie: { sameSite: 'None', secure: false } }, /sameSite 'none' needs cookie\.secure true/],
  [{ cookie: { sameSite: 'none', secure: 'auto' } }, /sameSite 'auto' too/],
  [{ cookie: { sameSite: 'none', partitioned: true } }, /'none' and cookie\.partitioned need cookie\.secure true/],
  [{ name: '__Host-sid' }, /name "__Host-sid" needs cookie\.secure true/],
  [{ key: '__Secure-sid' }, /name "__Secure-sid" needs cookie\.secure true/],
  [{ name: '__Host-sid', cookie: { secure: true, domain: 'example.com' } }, /no cookie\.domain/],
  [{ name: '__Host-sid', cookie: { secure: true, path: '/app' } }, /needs cookie\.path '\/'/],
  // Times.
  [{ cookie: { expires: moment(week) } }, /one moment for all visitors.*Write cookie\.maxAge: 604800000\.$/],
  [{ cookie: { maxAge: moment(week) } }, /^cookie\.maxAge is one moment/],
  [{ cookie: { maxAge: week, expires: moment(week) } }, /^cookie\.expires is one moment/],
  [{ cookie: { expires: new Date(0) } }, /from 1970.*Write cookie\.maxAge\.$/],
  [{ cookie: { expires: Date.now() + week } }, /is a number.*live \d\d years\. Write cookie\.maxAge: 604800000\.$/],
  [{ cookie: { maxAge: week, expires: Date.now() + week } }, /is a number/],
  [{ cookie: { expires: Date.now() + week, maxAge: week } }, /^cookie\.expires has no effect beside cookie\.maxAge/],
  [{ cookie: { maxAge: week, expires: null } }, /^cookie\.maxAge has no effect/],
  [{ cookie: { maxAge: 3_600 } }, /3600 of them are 3\.6 seconds\. Write cookie\.maxAge: 3600000/],
  [{ cookie: { maxAge: 86_400 } }, /Write cookie\.maxAge: 86400000/],
  [{ key: 'userId', cookie: { expires: 60 * 60 * 24 } }, /expires is in milliseconds.*86\.4 seconds\. Write cookie\.maxAge: 86400000/],
  [{ cookie: { maxAge: 0 } }, /^cookie\.maxAge 0 ends each session/],
  // Others.
  [{ cookie: { httpOnly: false } }, /httpOnly is false, so scripts can read/],
  [{ cookie: { httpOnly: undefined } }, /httpOnly is undefined/],
  [{ cookie: { path: 'app' } }, /path "app" matches no request/],
  [{ name: 'sid', key: 'other' }, /^key has no effect beside name/],
  [{ cookie: { path: `/${'p'.repeat(1_024)}` } }, /^cookie\.path is longer than 1024 bytes, so browsers ignore it/],
  // Right ones.
  [{ cookie: { path: `/${'p'.repeat(1_023)}` } }],
  [{}],
  [{ cookie: null }],
  [{ name: 'sid', key: 'sid', proxy: undefined, unset: 'destroy', genid: () => 'id', rolling: true, store: undefined }],
  [{ cookie: { path: '/', httpOnly: true, secure: true, sameSite: 'none', partitioned: true, priority: 'high', maxAge: week } }],
  [{ cookie: { secure: 'auto', sameSite: 'auto', maxAge: null, domain: 'example.com' } }],
  [{ cookie: { secure: 'true', maxAge: undefined, expires: undefined, sameSite: undefined } }],
  [{ cookie: { expires: new Date(253_402_300_000_000) } }],
  [{ cookie: { expires: false, originalMaxAge: null } }],
  [{ cookie: { maxAge: 60_000 } }],
  [{ cookie: { expires: 600_000 } }],
  [{ cookie: { maxAge: 900_000 }, resave: true, saveUninitialized: true, rolling: true }],
  [{ cookie: { maxAge: 36_000_000, httpOnly: 'true' } }],
  [{ name: '__Host-sid', cookie: { secure: true, path: '/' } }],
  [{ maxAge: undefined, cookie: { samesite: undefined } }],
  [{ lifetime: { idle: '1d' }, touchAfter: '1h', userOf: 'user', skip: () => false, whenUnavailable: 'anonymous' }],
  [{ cookie: Object.create({ path: '/app' }) as object }],
] // prettier-ignore

describe(`one fault gives one warning, and it is right [${faults.length} cases]`, () => {
  test.each(
    faults.map(([options, ...said]) => ({
      options: inspect(options, { breakLength: Infinity }),
      given: options,
      said,
    })),
  )('$options', ({ given, said }) => {
    expect(faultsOf({ ...usual, ...given }).map(({ message }) => message)).toEqual(
      said.map((pattern) => expect.stringMatching(pattern) as string),
    )
    expect(() => session({ ...usual, ...given } as object)).not.toThrow()
  })
})

describe('the process is warned, once, with a code', () => {
  function watched() {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    warn.mockClear()
    return () =>
      warn.mock.calls.map(([message, options]) => [(options as { code: string }).code, String(message)])
  }
  const once = (options: SessionOptions) => {
    const warnings = watched()
    for (let time = 0; time < 2; time++) ours({ ...usual, ...options })
    return warnings()
  }

  test('of a wrong name, an option without effect, and one that does harm', () => {
    expect(once({ roling: true, proxy: 'yes', cookie: { httpOnly: null } }).map(([code]) => code)).toEqual([
      'COATCHECK_UNKNOWN_OPTION',
      'COATCHECK_OPTION',
      'COATCHECK_COOKIE',
    ])
  })

  test('of what a function gives as the cookie, when it first does', async () => {
    const warnings = watched()
    const wrong = ['sameSit', 'htpOnly', 'maxAg']
    const options = { cookie: () => ({ [wrong.shift() ?? 'domains']: 'lax', path: '/app' }) }
    await visits(ours, options, {})
    expect(warnings()).toEqual([
      ['COATCHECK_UNKNOWN_OPTION', expect.stringMatching(/"sameSit".*Write sameSite/)],
    ])
  })

  test.each([
    [4_095, []],
    [4_096, []],
    [4_097, ['COATCHECK_COOKIE']],
  ])('of a cookie that browsers drop for its size: of %d bytes %o', async (bytes, codes) => {
    const warnings = watched()
    // Some characters of a signature take three bytes, so how long the id has to be is tried out.
    const lengthOf = (id: string) => 'connect.sid'.length + encodeURIComponent(`s:${sign(id, secret)}`).length
    const ids = Array.from({ length: 500 }, (_, n) => 'i'.repeat(3_700 + n))
    middleware = ours({ ...usual, genid: () => ids.find((id) => lengthOf(id) === bytes) })
    const [given] = (await fetch(url)).headers.getSetCookie()
    expect(given!.split(';', 1)[0]).toHaveLength(bytes + 1) // and the "="
    expect(warnings().map(([code]) => code)).toEqual(codes)
  })

  test('of a genid that gives no text', async () => {
    const warnings = watched()
    await visits(ours, { genid: () => ['an id'] }, {})
    expect(warnings()).toEqual([['COATCHECK_OPTION', expect.stringMatching(/^genid gave an array/)]])
  })

  test('of a MemoryStore in production, as express-session does', () => {
    expect(once({ store: new session.MemoryStore() })).toEqual([])
    vi.stubEnv('NODE_ENV', 'production')
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(once({})).toEqual([
      ['COATCHECK_MEMORY_STORE', expect.stringMatching(/^Sessions are kept in the memory/)],
    ])
    for (const store of [undefined, false]) {
      expect(once({ store })).toEqual([
        ['COATCHECK_MEMORY_STORE', expect.stringMatching(new RegExp(`^store is ${store}`))],
      ])
    }
  })

  test('of a domain that no browser shares, and not again of the requests that it drops', async () => {
    const warnings = watched()
    await visits(ours, { cookie: { domain: 'a-single-label' } }, {})
    expect(warnings()).toEqual([
      ['COATCHECK_COOKIE', expect.stringMatching(/"a-single-label" is a single label/)],
    ])
  })
})
