import type { CookieOptions, SessionError, SessionsOptions } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { derivedSameSite, SameSiteRules } from '../../dist/http/same-site.js'
import { bag, memorySessions } from '../core/works.ts'

describe("sameSite 'auto' is", () => {
  test.each<[expected: 'lax' | 'none', host: string | undefined, origins: readonly string[], why: string]>([
    ['lax', 'api.example.com', [], 'nobody else may call'],
    [
      'lax',
      'api.example.com',
      ['https://shop.example.com', 'https://example.com:8443'],
      'all are of one site',
    ],
    ['none', 'api.example.com', ['https://example.org'], 'another site'],
    [
      'none',
      'api.example.com',
      ['https://shop.example.com', 'https://example.org'],
      'one of two is another site',
    ],
    ['lax', 'api.example.com', ['https://*.example.com'], 'a wildcard of the own site'],
    ['none', 'api.example.com', ['https://*.example.org'], 'a wildcard of another site'],
    ['none', 'api.example.com', ['https://*.eu.example.org:8443'], 'a wildcard with a port'],
    ['lax', 'api.example.co.uk', ['https://shop.example.co.uk'], 'a suffix of two labels'],
    ['none', 'api.example.co.uk', ['https://other.co.uk'], 'two domains under one suffix'],
    ['none', 'ada.github.io', ['https://bob.github.io'], "two customers' hosts at a hoster"],
    ['lax', 'app.ada.github.io', ['https://ada.github.io'], "one customer's hosts at a hoster"],
    ['none', 'ada.github.io', ['https://*.github.io'], 'a wildcard over a public suffix'],
    [
      'lax',
      'api.example.com',
      ['http://localhost:5173', 'http://app.my.localhost'],
      'http is another scheme',
    ],
    ['none', 'api.example.com', ['https://localhost:5173'], 'a page of this machine, by HTTPS'],
    ['none', 'api.example.com', ['https://192.168.0.7'], 'a page of an IP address'],
    [
      'lax',
      'api.example.com',
      ['capacitor://localhost', 'chrome-extension://abc'],
      'schemes other than https',
    ],
    ['lax', 'shop.my.localhost', ['https://app.my.localhost:3000'], 'development, on one site'],
    ['lax', 'localhost', ['https://example.org'], 'a host without a registrable domain'],
    ['lax', 'backend', ['https://example.org'], 'a name inside of a network'],
    ['lax', '10.0.0.7', ['https://example.org'], 'an IPv4 address'],
    ['lax', '[::1]', ['https://example.org'], 'an IPv6 address'],
    ['lax', '', ['https://example.org'], 'an empty host'],
    ['lax', 'co.uk', ['https://example.org'], 'a public suffix'],
    ['lax', undefined, ['https://example.org'], 'no host'],
    ['lax', 'bad host\u0000', ['https://example.org'], 'no host name'],
    ['lax', `${'a.'.repeat(200)}example.com`, ['https://example.org'], 'a host that is too long'],
    ['none', `${'a.'.repeat(100)}example.com`, ['https://example.org'], 'a long host'],
    ['lax', 'evil-example.com', ['https://evil-example.com'], 'its own site alone'],
    ['none', 'evil-example.com', ['https://example.com'], 'a name that ends alike'],
  ])('%s on %j with %j: %s', (expected, host, origins) => {
    expect(derivedSameSite({ origins, check: 'refuses' }, host, true)).toBe(expected)
    const rules = new SameSiteRules({ origins, check: 'refuses', byHeader: false })
    // Twice: what is remembered is the same.
    expect([rules.derive(host, true), rules.derive(host, true)]).toEqual([expected, expected])
    // Never without HTTPS, nor without the check.
    expect(rules.derive(host, false)).toBe('lax')
    for (const check of ['accepts', 'reports', 'off'] as const) {
      expect(derivedSameSite({ origins, check }, host, true)).toBe('lax')
      expect(new SameSiteRules({ origins, check, byHeader: false }).derive(host, true)).toBe('lax')
    }
  })
})

const partner = ['https://partner.test']

describe('the cookie of an exchange', () => {
  const attributeOf = async (
    options: Partial<SessionsOptions>,
    { host = 'api.example.com', secure = true }: { host?: string; secure?: boolean } = {},
  ) => {
    const sessions = memorySessions({ sites: partner, ...options })
    const asked = { cookieHeader: undefined, secure, host, request: { headers: {} } }
    const exchange = await sessions.exchange(asked)
    bag(exchange.work).seen = true
    const set = (await exchange.finish())!.value
    const leaving = await sessions.exchange({ ...asked, cookieHeader: set.split(';', 1)[0]! })
    await bag(leaving.work).signOut()
    const cleared = (await leaving.finish())!.value
    const [one, other] = [set, cleared].map((text) => /; SameSite=(\w+)$/.exec(text)?.[1])
    expect(other, 'it is cleared as it was set').toBe(one)
    expect(one !== 'None' || set.includes('; Secure;')).toBe(true)
    return one
  }

  test('is derived by default, and by name', async () => {
    expect(await attributeOf({})).toBe('None')
    expect(await attributeOf({ cookie: { sameSite: 'auto' } })).toBe('None')
    expect(await attributeOf({ cookie: { secure: true } })).toBe('None')
    expect(await attributeOf({}, { host: 'www.partner.test' })).toBe('Lax')
  })

  test.each<[string, Partial<SessionsOptions>]>([
    ['by HTTP', {}],
    ['with csrf: false', { csrf: false }],
    ['with csrf that only reports', { csrf: { report: true } }],
    ['that is never Secure', { cookie: { secure: false } }],
    ['with sites of its own alone', { sites: ['https://shop.example.com'] }],
    ['whose option says so', { cookie: { sameSite: 'lax' } }],
  ])('is Lax %s', async (what, options) => {
    expect(await attributeOf(options, { secure: what !== 'by HTTP' })).toBe('Lax')
  })

  test('goes by the domain, where that is set', async () => {
    const sites = ['https://shop.example.com']
    const cookie = { domain: 'example.com' }
    expect(await attributeOf({ sites, cookie }, { host: 'backend' })).toBe('Lax')
    expect(await attributeOf({ sites, cookie }, { host: 'other.test' })).toBe('Lax')
    expect(await attributeOf({ cookie }, { host: 'www.partner.test' })).toBe('None')
  })

  test('of a function goes by what that returns', async () => {
    expect(await attributeOf({ cookie: () => ({}) })).toBe('None')
    expect(await attributeOf({ cookie: () => ({ domain: 'partner.test' }) })).toBe('Lax')
    expect(await attributeOf({ cookie: () => ({ sameSite: 'lax' }) })).toBe('Lax')
  })
})

describe('at start-up,', () => {
  const none: CookieOptions = { sameSite: 'none', secure: true }
  const strict: CookieOptions = { sameSite: 'strict' }

  test.each<[string, Partial<SessionsOptions>, RegExp]>([
    [
      "'none' without the check is refused",
      { cookie: none, csrf: false },
      /csrf: false.*leave csrf out.*report: true/,
    ],
    [
      "'strict' with sites of two sites is refused",
      { cookie: strict, sites: [...partner, 'https://shop.example.com'] },
      /'strict'.*"example\.com" and "partner\.test", which are two sites.*Leave cookie\.sameSite out/,
    ],
    [
      "'strict' with a site that is not the domain's is refused",
      { cookie: { ...strict, domain: 'example.com' }, sites: partner },
      /"partner\.test", which is another site than cookie\.domain/,
    ],
  ])('%s', (_what, options, message) => {
    expect(() => memorySessions(options)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }) as SessionError,
    )
  })

  test.each<[string, Partial<SessionsOptions>]>([
    ["'none' beside a check that only reports", { cookie: none, csrf: { report: true } }],
    ["'none' with the check", { cookie: none }],
    ["'strict' without sites", { cookie: strict }],
    [
      "'strict' with sites that may be the app's own",
      { cookie: strict, sites: ['https://shop.example.com'] },
    ],
    [
      "'strict' with sites of the domain",
      {
        cookie: { ...strict, domain: 'example.com' },
        sites: ['https://*.example.com', 'http://localhost:5173'],
      },
    ],
    [
      "'strict' where other sites may use the header",
      { cookie: strict, header: true, sites: [...partner, 'https://example.org'] },
    ],
    [
      "'lax' with other sites, on purpose",
      { cookie: { sameSite: 'lax', domain: 'example.com' }, sites: partner },
    ],
  ])('%s is accepted', (_what, options) => {
    expect(() => memorySessions(options)).not.toThrow()
  })

  test('the same contradictions in what a function returns reject the exchange', async () => {
    const sessions = memorySessions({ csrf: false, cookie: () => none })
    const begun = sessions.exchange({ cookieHeader: undefined, secure: true, request: { headers: {} } })
    await expect(begun).rejects.toThrow(/csrf: false/)
  })
})

test.each<[string, SessionsOptions['csrf'], 'None' | 'Lax']>([
  ['accepts nothing from strangers', { accept: { '/login': ['https://partner.test'] } }, 'None'],
  ['accepts a post of a stranger', { accept: { '/login': ['https://stranger.test'] } }, 'Lax'],
  ['accepts posts of anybody', { accept: { '/3ds': '*' } }, 'Lax'],
])('of an app whose check %s', async (_what, csrf, sameSite) => {
  const sessions = memorySessions({ sites: ['https://partner.test'], csrf })
  const exchange = await sessions.exchange({ cookieHeader: undefined, secure: true, host: 'app.example.com' })
  Object.assign(exchange.work.session!, { visits: 1 })
  expect((await exchange.finish())?.value).toContain(`SameSite=${sameSite}`)
})
