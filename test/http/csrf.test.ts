import { describe, expect, test } from 'vitest'
import { CsrfPolicy, type CsrfOptions } from '../../dist/http/csrf.js'
import type { CsrfRequest, CsrfVerdict } from '../../dist/http/csrf-request.js'
import { resolveSites } from '../../dist/http/sites.js'

/** Of this app: https://app.example.com. */
const site = 'https://shop.example.com'
const wildcard = 'https://*.example.net'
const own = 'https://app.example.com'
const foreign = 'https://evil.example'
const apple = 'https://appleid.apple.com'

const unsafe = ['POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'PROPFIND', 'get', 'TRACE', 'QUERY']
const options: CsrfOptions = { accept: { '/login/apple': [apple], '/3ds': '*' } }

function policy(more: CsrfOptions = {}): CsrfPolicy {
  return new CsrfPolicy(
    (more as unknown) === true ? more : { ...options, ...more },
    resolveSites([site, wildcard, 'capacitor://localhost']),
  )
}

function request(given: Partial<CsrfRequest>): CsrfRequest {
  return {
    method: 'POST',
    isUpgrade: false,
    url: '/transfer',
    secure: true,
    host: 'app.example.com',
    secFetchSite: undefined,
    origin: undefined,
    referer: undefined,
    ...given,
  }
}

const verdictOf = (given: Partial<CsrfRequest>, more?: CsrfOptions) => {
  const { allowed, rule } = policy(more).judge(request(given)) as CsrfVerdict
  return `${allowed ? 'pass' : '403'} ${rule}`
}

/** What no rule takes for an origin that it trusts. */
const strangers = [
  foreign, 'null', '', 'https://shop.example.com.evil.example', 'https://shop.example.com/', 'https://shop.example.com:443',
  'HTTPS://shop.example.com', `${site}, ${foreign}`, `${foreign}, ${site}`, `${site} ${site}`, 'http://shop.example.com',
  'https://a.example.net', 'https://*.example.net', 'http://app.example.com', 'https://app.example.com:8443', 'capacitor://other',
] // prettier-ignore

describe('the truth table', () => {
  test.each(['GET', 'HEAD', 'OPTIONS'])('%s passes, whatever else it has', (method) => {
    for (const secFetchSite of [undefined, 'cross-site', 'x', 'same-site, same-origin'])
      for (const origin of [undefined, ...strangers])
        expect(verdictOf({ method, secFetchSite, origin })).toBe('pass safeMethod')
  })

  test.each(['GET', 'HEAD', 'OPTIONS'])('%s for an upgrade is unsafe', (method) => {
    expect(verdictOf({ method, isUpgrade: true, origin: foreign })).toBe('403 otherOrigin')
    expect(verdictOf({ method, isUpgrade: true, origin: own })).toBe('pass ownOrigin')
  })

  test.each(unsafe)('%s is unsafe', (method) => {
    expect(verdictOf({ method, secFetchSite: 'cross-site', origin: foreign })).toBe('403 otherSite')
  })

  test.each(['none', 'same-site', 'cross-site', 'x', undefined])(
    'an origin that is listed for the very path passes, Sec-Fetch-Site: %s',
    (secFetchSite) => {
      for (const url of ['/login/apple', '/login/apple?a=b', `${own}/login/apple`, '/login/apple#x'])
        expect(verdictOf({ url, secFetchSite, origin: apple })).toBe('pass acceptedPath')
      for (const origin of [foreign, 'null', undefined])
        expect(verdictOf({ url: '/3ds', secFetchSite, origin })).toBe('pass acceptedPath')
    },
  )

  test.each([
    '/login/apple/', '/login/apple/x', '/login', '/Login/apple', '/login/apple%2520', '/login/appl%65', '/login//apple', '//login/apple', '/login/apple/../../transfer',
    '/x/../login/apple', '/login/apple;x', '/login/apple%', '/login/appl%E0', '/login/apple%00', '/login%252Fapple', '/login%2Fapple', '/login%5capple', 'login/apple', '*', '', '?/login/apple',
  ])('no other path does: %s', (url) => {
    expect(verdictOf({ url, secFetchSite: 'cross-site', origin: apple })).toBe('403 otherSite')
  }) // prettier-ignore

  test.each(['', 'x', 'Same-Origin', 'same-origin, same-origin', 'none, cross-site', ' same-origin'])(
    'a Sec-Fetch-Site that no browser sends is 403: %s',
    (secFetchSite) => {
      for (const origin of [undefined, own, site, foreign])
        expect(verdictOf({ secFetchSite, origin })).toBe('403 badHeader')
    },
  )

  test('same-origin passes, whatever the Origin', () => {
    for (const origin of [undefined, own, ...strangers])
      expect(verdictOf({ secFetchSite: 'same-origin', origin })).toBe('pass sameOrigin')
  })

  test('none passes without an Origin, with the own one, or one that is listed; else 403', () => {
    for (const origin of [undefined, own, site, 'capacitor://localhost'])
      expect(verdictOf({ secFetchSite: 'none', origin })).toBe('pass noPage')
    for (const origin of strangers)
      expect(verdictOf({ secFetchSite: 'none', origin }), origin).toBe('403 noPageButOrigin')
  })

  test.each(['same-site', 'cross-site'])(
    '%s passes only from an origin that is listed as it is',
    (secFetchSite) => {
      for (const origin of [site, 'capacitor://localhost'])
        expect(verdictOf({ secFetchSite, origin })).toBe('pass trustedSite')
      // The own origin too: a browser that says so does not come from there.
      for (const origin of [undefined, own, ...strangers])
        expect(verdictOf({ secFetchSite, origin }), origin).toBe('403 otherSite')
    },
  )

  test('without Sec-Fetch-Site the Origin decides', () => {
    expect(verdictOf({ origin: own })).toBe('pass ownOrigin')
    for (const origin of [site, 'capacitor://localhost'])
      expect(verdictOf({ origin })).toBe('pass trustedOrigin')
    for (const origin of strangers) expect(verdictOf({ origin }), origin).toBe('403 otherOrigin')
    // The Referer does not count then.
    expect(verdictOf({ origin: 'null', referer: `${own}/form` })).toBe('403 otherOrigin')
  })

  test('with neither, a Referer of another origin is 403', () => {
    for (const referer of [
      `${foreign}/`,
      `${site}/form`,
      'https://app.example.com.evil.example/',
      'x',
      '',
      'about:blank',
    ])
      expect(verdictOf({ referer }), referer).toBe('403 otherReferer')
    for (const referer of [
      undefined,
      `${own}/form`,
      own,
      'https://app.example.com:443/form',
      `https://user@app.example.com/`,
    ])
      expect(verdictOf({ referer }), referer).toBe('pass withoutHeaders')
    expect(verdictOf({ referer: `${own}/form` }, { withoutHeaders: 'deny' })).toBe('403 withoutHeaders')
    expect(verdictOf({}, { withoutHeaders: 'deny' })).toBe('403 withoutHeaders')
  })
})

test('a Referer with a host that is longer than any is read no further', () => {
  for (const host of [
    '%E4'.repeat(20_000),
    'ä'.repeat(20_000),
    'a.'.repeat(30_000),
    `${'a'.repeat(400)}@app.example.com`,
  ])
    expect(verdictOf({ referer: `https://${host}/` })).toBe('403 otherReferer')
})

describe('the own origin', () => {
  test.each([
    ['https://app.example.com', true, 'app.example.com'],
    ['https://app.example.com', true, 'APP.example.com:443'],
    ['https://app.example.com:8443', true, 'app.example.com:8443'],
    ['https://[::1]:8443', true, '[::1]:8443'],
    ['http://intranet', false, 'intranet'],
    ['http://intranet', false, 'intranet:80'],
    ['http://localhost:3000', false, 'localhost:3000'],
    // A proxy ends HTTPS, and the app sees HTTP.
    ['https://app.example.com', false, 'app.example.com'],
  ])('is %s for a request (HTTPS: %s) to %s', (origin, secure, host) => {
    expect(verdictOf({ origin, secure, host })).toBe('pass ownOrigin')
  })

  test.each([
    ['http://app.example.com', true, 'app.example.com'],
    ['https://app.example.com', true, 'app.example.com:8443'],
    ['https://app.example.com:8443', true, 'app.example.com'],
    ['https://app.example.com', true, 'app.example.com.evil.example'],
    ['https://app.example.com', true, 'app.example.co'],
    ['https://app.example.com', true, 'localhost:3000'],
    ['https://', true, ':443'],
    ['https://', true, ''],
    ['https://app.example.com', true, undefined],
    ['ws://app.example.com', false, 'app.example.com'],
    ['app.example.com', false, 'app.example.com'],
    ['null', false, 'null'],
  ])('is not %s for a request (HTTPS: %s) to %s', (origin, secure, host) => {
    expect(verdictOf({ origin, secure, host })).toBe('403 otherOrigin')
  })

  test('may be listed, for an app behind a proxy that replaces the Host header', () => {
    const behind = { origin: own, host: 'localhost:3000', secure: false }
    expect(verdictOf(behind)).toBe('403 otherOrigin')
    expect(verdictOf(behind, { own: [own] })).toBe('pass ownOrigin')
    expect(verdictOf({ ...behind, origin: undefined, referer: `${own}/form` }, { own: [own] })).toBe(
      'pass withoutHeaders',
    )
    // As its own it is no origin of another site's page.
    expect(verdictOf({ ...behind, secFetchSite: 'cross-site' }, { own: [own] })).toBe('403 otherSite')
  })
})

test('wildcards of sites count only if said so', () => {
  const from = { origin: 'https://a.example.net', secFetchSite: 'cross-site' }
  expect(verdictOf(from)).toBe('403 otherSite')
  expect(verdictOf(from, { allSites: true })).toBe('pass trustedSite')
  expect(verdictOf({ ...from, origin: 'https://example.net' }, { allSites: true })).toBe('403 otherSite')
})

test.each<[CsrfOptions, RegExp]>([
  [{ accept: { login: [apple] } }, /"login" is not a path/],
  [{ accept: { '/login?x': [apple] } }, /is not a path/],
  [{ accept: { '/login/*': [apple] } }, /no wildcard\. List each path/],
  [{ accept: { '/%6cogin': [apple] } }, /is not a path/],
  [{ accept: { '/login': ['https://*.apple.com'] } }, /is a pattern/],
  [{ accept: { '/login': ['null'] } }, /csrf\.accept\["\/login"\]/],
  [{ accept: { '/login': ['https://appleid.apple.com/'] } }, /ends in a slash/],
  [{ accept: { '/login': apple as never } }, /must be an array of origins/],
  [{ accept: [apple] as never }, /must be an object of paths/],
  [{ own: ['app.example.com'] }, /csrf\.own: .* has no scheme/],
  [{ report: 'true' as never }, /csrf\.report must be true or false, not "true"/],
  [{ accept: new Map() as never }, /must be an object of paths/],
  [{ withoutHeaders: 'block' as never }, /must be 'allow' or 'deny', not "block"/],
  [{ allSites: 1 as never }, /csrf\.allSites must be true or false, not 1/],
  [{ deny: 'no' as never }, /csrf\.deny must be a function/],
  [true as never, /the check is on unless you write csrf: false/],
  [{ alow: true } as never, /csrf has no option "alow"/],
])('options that cannot work are refused at start-up: %j', (given, message) => {
  expect(() => policy(given)).toThrow(
    expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringMatching(message) as string,
    }),
  )
})
