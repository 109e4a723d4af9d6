import { expect, test } from 'vitest'
import type { ExplainedRequest, SessionsOptions } from 'coatcheck'
import { memorySessions } from '../core/works.ts'

const sites = ['https://shop.example.com', 'https://*.example.com', 'https://partner.test', { origin: 'https://feed.test', paths: ['/feed'] }] // prettier-ignore
const host = 'api.example.com'

const explained = (request: ExplainedRequest, options: Partial<SessionsOptions> = {}) =>
  memorySessions({ sites, ...options }).explain(request)

/** What is to happen, and the words that have to be there. */
const cases: [what: string, given: ExplainedRequest, expected: object, words: RegExp[]][] = [
  [
    'a forged form from elsewhere',
    { origin: 'https://evil.test', method: 'POST', path: '/password', host },
    { allowed: false, rule: 'otherSite', readable: false, secFetchSite: 'cross-site' },
    [
      /'https:\/\/evil\.test' is on another site than 'https:\/\/api\.example\.com'.*Sec-Fetch-Site: cross-site/,
      /preflight gets 403.*sites: \['https:\/\/evil\.test'\]/,
      /SameSite=None, so the browser sends the session cookie, unless it blocks/,
      /refused \(403\), by the rule otherSite/,
    ],
  ],
  [
    'a page of sites',
    { origin: 'https://shop.example.com', method: 'POST', host },
    { allowed: true, rule: 'trustedSite', readable: true, secFetchSite: 'same-site' },
    [/another origin on the same site/, /may read the answer, with cookies/, /sends the session cookie/, /it passes, by the rule trustedSite/], // prettier-ignore
  ],
  [
    'a page that a wildcard matches',
    { origin: 'https://blog.example.com', method: 'POST', host },
    { allowed: false, rule: 'otherSite', readable: true, secFetchSite: 'same-site' },
    [/wildcards let pages read only/],
  ],
  [
    'a page of the app itself',
    { origin: `https://${host}`, method: 'POST', host },
    { allowed: true, rule: 'sameOrigin', readable: true, secFetchSite: 'same-origin' },
    [/is the app itself/, /CORS does not apply/],
  ],
  [
    'a page of another site in sites',
    { origin: 'https://partner.test', host },
    { allowed: true, rule: 'safeMethod', readable: true, secFetchSite: 'cross-site' },
    [/SameSite=None/],
  ],
  [
    'a page of sites on one of its paths',
    { origin: 'https://feed.test', path: '/feed?a', host },
    { allowed: true, readable: true },
    [/trusts it for this path/],
  ],
  [
    'a page of sites on another path',
    { origin: 'https://feed.test', path: '/other', host },
    { readable: false },
    [/does not trust/],
  ],
  [
    'a page without an origin',
    { origin: 'null', method: 'POST', host },
    { allowed: false, readable: false, secFetchSite: 'cross-site' },
    [/does not trust the Origin 'null'.*Never list null/, /allow-same-origin/],
  ],
  [
    'a page of an app without HTTPS',
    { origin: 'http://intranet', method: 'POST', host: 'intranet', secure: false },
    { allowed: true, rule: 'ownOrigin', readable: true, secFetchSite: undefined },
    [/has no Sec-Fetch-Site/],
  ],
  [
    'another machine without HTTPS',
    { origin: 'http://other', method: 'POST', host: 'intranet', secure: false },
    { allowed: false, rule: 'otherOrigin', readable: false },
    [/takes no http: origin of another machine/],
  ],
  [
    'another port of this machine',
    { origin: 'http://localhost:5173', method: 'POST', host: 'localhost:3000', secure: false },
    { allowed: false, rule: 'otherSite', readable: false, secFetchSite: 'same-site' },
    [/sites: \['http:\/\/localhost:5173'\]/],
  ],
  [
    'the handshake of a WebSocket',
    { origin: 'https://evil.test', upgrade: true, host },
    { allowed: false, rule: 'otherOrigin', secFetchSite: undefined },
    [/CORS does not apply to WebSockets/],
  ],
  [
    'a program without an origin',
    { method: 'POST', host },
    { allowed: true, rule: 'withoutHeaders' },
    [/has no Origin/],
  ],
  [
    'an unknown host',
    { origin: 'https://evil.test', method: 'POST' },
    { allowed: false, rule: 'otherOrigin' },
    [/give the host/],
  ],
  [
    'a browser without Sec-Fetch-Site',
    { origin: 'https://evil.test', method: 'POST', host, secFetchSite: 'absent' },
    { rule: 'otherOrigin', secFetchSite: undefined },
    [/has no Sec-Fetch-Site/],
  ],
  [
    'a header that no browser sends',
    { origin: 'https://evil.test', method: 'POST', host, secFetchSite: 'strange' },
    { rule: 'badHeader', secFetchSite: 'strange' },
    [/no browser sends/],
  ],
  [
    'a page that asks for no cookies',
    { origin: 'https://partner.test', host, cookies: false },
    { readable: true },
    [/credentials: 'include'/],
  ],
]

test.each(cases)('%s is explained', async (_what, given, expected, words) => {
  const explanation = await explained(given)
  expect(explanation).toMatchObject(expected)
  for (const word of words) expect(explanation.lines.join('\n')).toMatch(word)
})

test('a check that is off, and one that only reports, are told', async () => {
  const given = { origin: 'https://evil.test', method: 'POST', host }
  const off = await explained(given, { csrf: false })
  expect(off).toMatchObject({ allowed: true, rule: undefined })
  expect(off.lines.join()).toMatch(/no check, because csrf is false/)
  const reporting = await explained(given, { csrf: { report: true } })
  expect(reporting).toMatchObject({ allowed: true, rule: 'otherSite' })
  expect(reporting.lines.join()).toMatch(/passes because of csrf\.report, and would be refused/)
})

test('functions of sites are asked', async () => {
  const decide = async (origin: string) => Promise.resolve(origin === 'https://tenant.test')
  const given = { origin: 'https://tenant.test', method: 'POST', host }
  const reading = await explained(given, { sites: decide })
  expect(reading).toMatchObject({ allowed: false, readable: true })
  expect(await explained(given, { sites: decide, csrf: { allSites: true } })).toMatchObject({ allowed: true, rule: 'trustedSite' }) // prettier-ignore
})

test('an origin that no browser sends, and one that is listed for other paths, are told from each other', async () => {
  const slash = await explained({ origin: 'https://shop.example.com/', host })
  expect(slash.lines.join()).toMatch(
    /ends in a slash, which no browser sends\. Write 'https:\/\/shop\.example\.com'/,
  )
  const path = await explained({ origin: 'https://feed.test', path: '/other?x', host })
  expect(path.lines.join()).toMatch(
    /for other paths only\. If it may call this one, add '\/other' to its paths/,
  )
})

test('a cookie is told only of a known host', async () => {
  const { lines } = await explained({ origin: 'https://evil.test' })
  expect(lines.join()).toMatch(/Cookies: nobody can tell without the host/)
  const insecure = await explained({ host, secure: false }, { cookie: { secure: true } })
  expect(insecure.lines.join()).toMatch(/none is sent or set over HTTP/)
})

test('a property that it does not know is refused', async () => {
  await expect(explained({ url: '/' } as never)).rejects.toThrow('explain has no option "url"')
})

test('what cannot be shown is not', async () => {
  const { lines } = await explained({ origin: 'https://a\nb', host: 'c\u0000d', method: 'POST', referer: 'https://e/?token' }) // prettier-ignore
  // oxlint-disable-next-line no-control-regex -- what must not be there
  expect(lines.join('')).not.toMatch(/[\0-\x1f]|token/)
})

test.each<[ExplainedRequest, Partial<SessionsOptions>, RegExp]>([
  [{ method: 'POST' }, {}, /SameSite=Lax, so the browser sends no session cookie/],
  [{ method: 'GET' }, {}, /SameSite=Lax, .* top-level navigation only/],
  [
    { method: 'GET' },
    { cookie: { sameSite: 'strict' } },
    /SameSite=Strict, so the browser sends no session cookie/,
  ],
  [{ method: 'GET' }, { cookie: () => ({}) }, /because the option cookie is a function/],
  [{ method: 'GET' }, { header: { cookie: false } }, /none is used, because header\.cookie is false/],
])('the cookie of %j with %j', async (given, options, words) => {
  const sameSite = { sites: ['https://shop.example.com'], ...options }
  const { lines } = await explained({ origin: 'https://evil.test', host, ...given }, sameSite)
  expect(lines.join('\n')).toMatch(words)
})
