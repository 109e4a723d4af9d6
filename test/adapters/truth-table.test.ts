import { once } from 'node:events'
import { type IncomingMessage, request as ask } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { CsrfOptions, CsrfRule } from 'coatcheck'
import { frameworks } from './frameworks.ts'
import { serve } from './serve.ts'

// The table of docs/csrf.md, "The rules", whole: each row by requests as they are sent, and what the app gets of them.

const host = 'app.example.com'
const own = `https://${host}`
const site = 'https://shop.example.com'
const custom = 'capacitor://localhost'
const wildcard = 'https://a.example.net'
const foreign = 'https://evil.example'
const provider = 'https://appleid.apple.com'

type Headers = Readonly<Record<string, string | string[]>>

interface Row {
  readonly what: string
  readonly rule: CsrfRule
  readonly allowed: boolean
  readonly methods?: readonly string[]
  readonly path?: string
  readonly options?: CsrfOptions
  /** Each is a request. */
  readonly headers: readonly Headers[]
}

const unsafe = ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'QUERY', 'TRACE', 'LOCK'] as const
const sites = ['none', 'same-site', 'cross-site', 'odd'] as const
/** What no rule takes for an origin that it trusts. */
const strangers = [
  foreign,
  'null',
  '',
  wildcard,
  `${site}/`,
  `${site}:443`,
  'http://shop.example.com',
  `${site}.evil.example`,
]
const from = (origins: readonly string[], more: Headers = {}): Headers[] =>
  origins.map((origin) => ({ ...more, origin }))

const rows: readonly Row[] = [
  {
    what: 'a safe method passes',
    rule: 'safeMethod',
    allowed: true,
    methods: ['GET', 'HEAD', 'OPTIONS'],
    headers: [{}, ...sites.flatMap((value) => from([own, ...strangers], { 'sec-fetch-site': value }))],
  },
  {
    what: 'an origin that is listed for this very path passes',
    rule: 'acceptedPath',
    allowed: true,
    path: '/login/apple',
    headers: [...from([provider]), ...sites.map((value) => ({ origin: provider, 'sec-fetch-site': value }))],
  },
  {
    what: "any origin passes at a path that accepts '*', and so does none",
    rule: 'acceptedPath',
    allowed: true,
    path: '/3ds?id=1',
    headers: [
      ...from([foreign, 'null'], { 'sec-fetch-site': 'cross-site' }),
      { 'sec-fetch-site': 'cross-site' },
    ],
  },
  ...[
    '/login/apple/',
    '/login/apple/x',
    '/Login/apple',
    '/login/appl%65',
    '/login%2Fapple',
    '//login/apple',
  ].map((path) => ({
    what: `an origin that is listed for another path is refused at ${path}`,
    rule: 'otherSite' as const,
    allowed: false,
    path,
    headers: from([provider], { 'sec-fetch-site': 'cross-site' }),
  })),
  {
    what: 'with allSites, an origin that a wildcard matches passes',
    rule: 'trustedSite',
    allowed: true,
    options: { allSites: true },
    headers: from([wildcard, site], { 'sec-fetch-site': 'cross-site' }),
  },
  {
    what: 'an origin of csrf.own is the own one',
    rule: 'ownOrigin',
    allowed: true,
    options: { own: [foreign] },
    headers: from([foreign]),
  },
  {
    what: 'a Sec-Fetch-Site that is repeated, or none of the four, is refused',
    rule: 'badHeader',
    allowed: false,
    headers: ['odd', '', 'Same-Origin', ['same-origin', 'same-origin'], ['none', 'cross-site']].flatMap(
      (value) => from([own, site, foreign], { 'sec-fetch-site': value }),
    ),
  },
  {
    what: 'same-origin passes, with any Origin',
    rule: 'sameOrigin',
    allowed: true,
    headers: [
      { 'sec-fetch-site': 'same-origin' },
      ...from([own, ...strangers], { 'sec-fetch-site': 'same-origin' }),
    ],
  },
  {
    what: 'none passes without an Origin, with the own one, and with one in sites',
    rule: 'noPage',
    allowed: true,
    headers: [{ 'sec-fetch-site': 'none' }, ...from([own, site, custom], { 'sec-fetch-site': 'none' })],
  },
  {
    what: 'none with another Origin is refused',
    rule: 'noPageButOrigin',
    allowed: false,
    headers: from(strangers, { 'sec-fetch-site': 'none' }),
  },
  {
    what: 'same-site and cross-site pass from exactly an origin in sites',
    rule: 'trustedSite',
    allowed: true,
    headers: ['same-site', 'cross-site'].flatMap((value) =>
      from([site, custom], { 'sec-fetch-site': value }),
    ),
  },
  {
    what: 'same-site and cross-site are refused from any other, without an Origin, and with two',
    rule: 'otherSite',
    allowed: false,
    headers: ['same-site', 'cross-site'].flatMap((value): Headers[] => [
      { 'sec-fetch-site': value },
      { 'sec-fetch-site': value, origin: [site, site] },
      ...from([own, ...strangers], { 'sec-fetch-site': value }),
    ]),
  },
  {
    what: 'without Sec-Fetch-Site, the own Origin passes',
    rule: 'ownOrigin',
    allowed: true,
    headers: from([own]),
  },
  {
    what: 'without Sec-Fetch-Site, an Origin in sites passes',
    rule: 'trustedOrigin',
    allowed: true,
    headers: from([site, custom]),
  },
  {
    what: 'without Sec-Fetch-Site, any other Origin is refused, and so are two',
    rule: 'otherOrigin',
    allowed: false,
    headers: [
      ...from([...strangers, `http://${host}`]),
      { origin: [site, foreign] },
      { origin: 'null', referer: `${own}/` },
    ],
  },
  {
    what: 'with neither, a Referer of another origin is refused',
    rule: 'otherReferer',
    allowed: false,
    headers: [`${foreign}/`, `${site}/`, 'about:blank', ''].map((referer) => ({ referer })),
  },
  {
    what: 'with neither, no Referer and an own one pass',
    rule: 'withoutHeaders',
    allowed: true,
    headers: [{}, { referer: `${own}/form` }],
  },
  {
    what: "with neither, all is refused with withoutHeaders: 'deny'",
    rule: 'withoutHeaders',
    allowed: false,
    options: { withoutHeaders: 'deny' },
    headers: [{}, { referer: `${own}/form` }],
  },
]

async function statusOf(url: string, method: string, headers: Headers): Promise<number> {
  const secure = { host, 'x-forwarded-proto': 'https' }
  const request = ask(url, {
    method,
    headers: { ...secure, ...headers } as Record<string, string>,
    agent: false,
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode!
}

describe.each(frameworks)('in $name,', (framework) => {
  test.each(rows)(
    '$what',
    async ({ rule, allowed, methods = unsafe, path = '/transfer', options, headers }) => {
      const reached: string[] = []
      const { url, sessions, errors } = await serve({
        framework,
        handler: ({ method = '' }, response) => {
          reached.push(method)
          response.end()
        },
        sessions: {
          sites: [site, custom, 'https://*.example.net'],
          csrf: { accept: { '/login/apple': [provider], '/3ds': '*' }, ...options },
        },
        session: { proxy: true },
      })
      const told: string[] = []
      sessions.on('forged', (event) => told.push(event.rule))
      const judged = methods.flatMap((method) => headers.map((sent) => ({ method, sent })))
      for (const { method, sent } of judged) {
        const status = await statusOf(`${url}${path}`, method, sent)
        expect({ method, sent, status }).toEqual({ method, sent, status: allowed ? 200 : 403 })
      }
      const count = allowed ? judged.length : 0
      expect([reached.length, errors.length]).toEqual([count, judged.length - count])
      expect(new Set(told)).toEqual(new Set(allowed ? [] : [rule]))
      // What passes fires no event: ask the check itself by which rule it did.
      const [{ method, sent } = { method: '', sent: {} }] = judged
      const text = (name: string) => [sent[name] ?? []].flat().join(', ') || undefined
      const facts = { method, isUpgrade: false, url: path, secure: true, host, secFetchSite: text('sec-fetch-site'), origin: text('origin'), referer: text('referer') } // prettier-ignore
      expect(await sessions.csrf!.judge(facts)).toEqual({ rule, allowed })
    },
  )
})
