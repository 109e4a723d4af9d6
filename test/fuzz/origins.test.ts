import assert from 'node:assert/strict'
import { validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import cors, { type CorsMiddleware, type CorsRequest } from 'coatcheck/cors'
import { memorySessions } from '../core/works.ts'
import { fuzz } from './fuzz.ts'

const listed = [
  'https://app.example.com',
  'http://shop.demo.localhost:4002',
  'http://[::1]:8080',
  'https://xn--mnchen-3ya.de',
  'capacitor://localhost',
]
const wildcards = ['https://**.example.org', 'https://**.example.net:8443', 'https://*.example.edu']
const sites = [...listed, ...wildcards]
const pattern = /^https:\/\/pr-\d+\.example\.dev$/

/** What the wildcards stand for, in RFC 1035's terms: labels of 63 characters, names of 253. */
const subdomains =
  /^https:\/\/(?=[^:]{1,253}(?::|$))(?:(?:[a-z0-9_-]{1,63}\.)+(?:example\.org|example\.net:8443)|[a-z0-9_-]{1,63}\.example\.edu)$/

interface Policy {
  readonly middleware: CorsMiddleware
  /** What the answer to this origin names; `undefined` if nothing. */
  allowed(origin: string | undefined): string | undefined
  /** Whether one that is not allowed gets no other header either. */
  readonly strict?: true
}

const isSite = (origin: string) => listed.includes(origin) || subdomains.test(origin)
const reflectedIf = (allows: (origin: string) => boolean) => (origin: string | undefined) =>
  origin !== undefined && allows(origin) ? origin : undefined

const sessions = memorySessions({ sites })
const ofAllSites = memorySessions({ sites, csrf: { allSites: true } })
const byFunction = memorySessions({
  sites: async (origin) => {
    assert.ok(URL.canParse(origin) && origin === origin.toLowerCase(), origin)
    return Promise.resolve(origin === 'https://tenant.test')
  },
})

const policies: readonly Policy[] = [
  { middleware: cors(sessions), allowed: reflectedIf(isSite), strict: true },
  {
    middleware: cors({ origin: listed, credentials: true }),
    allowed: reflectedIf((origin) => listed.includes(origin)),
  },
  // Browsers compare: all are told the one.
  { middleware: cors({ origin: listed[0]!, credentials: true }), allowed: () => listed[0] },
  {
    middleware: cors({ origin: [listed[0]!, pattern], credentials: true }),
    allowed: reflectedIf((origin) => origin === listed[0] || pattern.test(origin)),
  },
  {
    middleware: cors({ origin: (_origin, callback) => callback(null, listed), credentials: true }),
    allowed: reflectedIf((origin) => listed.includes(origin)),
  },
  {
    middleware: cors({ origin: ['null', ...listed], credentials: true }),
    allowed: reflectedIf((origin) => origin === 'null' || listed.includes(origin)),
  },
]

const starts = fc.constantFrom(
  ...listed,
  'https://a.example.org',
  'https://a.b.example.net:8443',
  'https://a.example.edu',
  'https://a.b.example.edu',
  'https://example.org',
  'https://pr-7.example.dev',
  'https://evil.test',
  'https://tenant.test',
  'http://[0:0:0:0:0:0:0:1]:8080',
  'http://[::ffff:127.0.0.1]:8080',
  'http://127.0.0.1:8080',
  'https://m\u00fcnchen.de',
  'https://xn--mnchn-kva.de',
  'https://\u0430pp.example.com', // a Cyrillic a
  'null',
  '*',
  '',
)

const texts = fc.oneof(
  fc.constantFrom(
    '/', '//', '\\', '.', '..', ':', ':443', ':80', ':0443', ':99999', '@', '#', '?', '%2e', '%00', '\0', '\r\n', '\n', '\t', ' ',
    '\x7f', '\u00a0', '\u2000', '\u3002', '\uff0e', '\u00ad', '\u200b', '\ufeff', ',', ', ', ';', '-', '_', '*', 'a', 'A', 'null',
    'https://', '.evil.test', '.example.org', 'evil', 'user:word@', '[', ']', '[::1]', 'xn--', '\u0131', '\u212a', '\ud800',
  ), // prettier-ignore
  fc.string({ unit: 'binary', maxLength: 4 }),
)

type Trick = (origin: string, text: string, place: number) => string

const tricks: readonly Trick[] = [
  (origin, text) => text + origin,
  (origin, text) => origin + text,
  (origin, text) => origin.replace('://', `://${text}`),
  (origin, text) => origin.replace('.', text),
  (origin, text, place) => {
    const at = place % (origin.length + 1)
    return origin.slice(0, at) + text + origin.slice(at)
  },
  (origin, text, place) => {
    const at = place % (origin.length + 1)
    return origin.slice(0, at) + text + origin.slice(at + 1)
  },
  (origin) => `https://evil.test/${origin}`,
  (origin) => `${origin}.evil.test`,
  (origin) => `${origin}@evil.test`,
  (origin) => origin.replace('://', '://evil.test@'),
  (origin) => origin.replace('://', '://evil.'),
  (origin) => origin.replace('://', '://evil'),
  (origin) => origin.replace('https:', 'http:'),
  (origin) => origin.replace(/:\d+$/, ''),
  (origin) => `${origin}:443`,
  (origin) => `${origin}/`,
  (origin) => `${origin}.`,
  (origin) => origin.toUpperCase(),
  (origin) => `${origin}, https://evil.test`,
  (origin) => `https://evil.test ${origin}`,
  (origin, _text, place) => origin.replace('://', `://${'a'.repeat(60 + (place % 8))}.`),
  (origin, _text, place) => origin.replace('://', `://${'a.'.repeat(110 + (place % 20))}`),
  (origin) => origin.replace('://', `://${'a.'.repeat(32_768)}`),
  (origin) => origin.padEnd(65_536, 'a'),
]

const origins = fc
  .tuple(starts, fc.array(fc.tuple(fc.constantFrom(...tricks), texts, fc.nat(80)), { maxLength: 3 }))
  .map(([start, played]) =>
    played.reduce((origin, [trick, text, place]) => trick(origin, text, place), start),
  )

/** The header as Node has it: not there, one, or two that it joined. */
const originHeaders = fc.oneof(
  { weight: 12, arbitrary: origins },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.tuple(origins, origins).map((both) => both.join(', ')) },
)

const askedHeaders = fc.oneof(
  { weight: 20, arbitrary: fc.constant(undefined) },
  { weight: 20, arbitrary: fc.array(fc.oneof(fc.constantFrom('X-One', 'content-type', ' a ', ''), texts), { maxLength: 5 }) },
  { weight: 1, arbitrary: texts.map((text) => [...Array.from({ length: 10_000 }, (_, index) => `x-${index}`), text]) },
) // prettier-ignore

function isHeaderValue(text: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(text)
}

/** What became of a request: the headers that it got, and who answers it. */
function outcomeOf(middleware: CorsMiddleware, request: CorsRequest) {
  const headers = new Map<string, string>()
  const outcome = { headers, nextCalls: [] as unknown[], ended: false, statusCode: 200 }
  const response = {
    set statusCode(status: number) {
      outcome.statusCode = status
    },
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    setHeader: (name: string, value: string) => {
      validateHeaderValue(name, value)
      headers.set(name.toLowerCase(), value)
    },
    end: () => (outcome.ended = true),
  }
  middleware(request, response, (error) => outcome.nextCalls.push(error))
  return outcome
}

test(
  'only the origins of the list may read responses, whatever is sent as Origin and asked for besides',
  fuzz(
    { ci: 50_000, nightly: 5_000_000 },
    fc.record({
      policy: fc.constantFrom(...policies),
      method: fc.constantFrom('GET', 'POST', 'OPTIONS', 'options', undefined),
      origin: originHeaders,
      asked: askedHeaders,
      asksMethod: fc.boolean(),
    }),
    async ({ policy, method, origin, asked, asksMethod }) => {
      const request: CorsRequest = {
        method,
        headers: {
          origin,
          'access-control-request-headers': asked?.join(','),
          ...(asksMethod && { 'access-control-request-method': 'PUT' }),
        },
      }
      const { headers, nextCalls, ended, statusCode } = outcomeOf(policy.middleware, request)
      // The cors package takes every OPTIONS request for one.
      const isPreflight = policy.strict
        ? method === 'OPTIONS' && origin !== undefined && asksMethod
        : method?.toUpperCase() === 'OPTIONS'
      const allowed = policy.allowed(origin)

      // The list is read elsewhere too, where nobody has looked at the header before.
      assert.equal(sessions.sites.trusts(origin), origin !== undefined && isSite(origin))
      const facts = { method: 'POST', isUpgrade: false, url: '/', secure: true, host: 'api.test', referer: undefined, origin } // prettier-ignore
      for (const secFetchSite of ['cross-site', 'none', undefined]) {
        const isListed = origin !== undefined && listed.includes(origin)
        const passes = isListed || (origin === undefined && secFetchSite !== 'cross-site')
        assert.equal((await sessions.csrf!.judge({ ...facts, secFetchSite })).allowed, passes)
        const isTrusted = origin !== undefined && isSite(origin)
        const passesAll = isTrusted || (origin === undefined && secFetchSite !== 'cross-site')
        assert.equal((await ofAllSites.csrf!.judge({ ...facts, secFetchSite })).allowed, passesAll)
      }
      // A function is asked about origins only, and trusts but the one.
      assert.equal(await byFunction.sites.ask(origin, facts), origin === 'https://tenant.test')
      const list = asked?.join(',') ?? ''
      const isRefused = list !== '' && isPreflight && !isHeaderValue(list)
      if (isRefused && (allowed !== undefined || !policy.strict)) {
        // What no response of Node's takes, no request has: were there one, it is an error.
        assert.deepEqual([ended, nextCalls.length, nextCalls[0] instanceof Error], [false, 1, true])
        return
      }
      const allow = (what: string) => headers.get(`access-control-allow-${what}`)
      assert.equal(allow('origin'), allowed)
      if (policy.strict && allowed === undefined) {
        assert.deepEqual(
          [allow('credentials'), allow('methods'), allow('headers')],
          [undefined, undefined, undefined],
        )
      } else {
        assert.equal(allow('credentials'), 'true')
        assert.equal(allow('headers'), isPreflight && list !== '' ? list : undefined)
      }
      const isDenied = policy.strict && allowed === undefined
      assert.equal(
        headers.get('vary'),
        isPreflight && !isDenied ? 'Origin, Access-Control-Request-Headers' : 'Origin',
      )
      // A preflight ends here; all else goes on, also what is denied.
      assert.deepEqual(
        [ended, statusCode, nextCalls],
        isPreflight ? [true, isDenied ? 403 : 204, []] : [false, 200, [undefined]],
      )
      // What is allowed is an address, and not only something that looks like one to us.
      if (allowed !== undefined && allowed !== 'null') assert.ok(URL.canParse(allowed), allowed)
    },
  ),
)

test('headers of megabytes are read in time that grows no faster than they', () => {
  // Counted, not timed: what is quadratic in these would not come back within the test's time limit.
  for (const filling of [
    'a',
    'a.',
    '.',
    '-',
    ':',
    '[',
    'https://',
    ' ',
    '\t',
    'a ',
    ',',
    'a,',
    '\0',
    '\u00a0',
  ]) {
    const text = filling.repeat(2_000_000 / filling.length)
    for (const { middleware, allowed } of policies) {
      for (const origin of [
        text,
        `https://${text}`,
        `https://${text}.example.org`,
        `https://a.example.org${text}`,
      ]) {
        const { headers } = outcomeOf(middleware, { method: 'OPTIONS', headers: { origin } })
        expect(headers.get('access-control-allow-origin')).toBe(allowed(origin))
      }
      const asked = { origin: listed[0], 'access-control-request-headers': `x-one${text}\0` }
      const { headers } = outcomeOf(middleware, { method: 'OPTIONS', headers: asked })
      expect(headers.get('access-control-allow-headers')).toBeUndefined()
    }
  }
})
