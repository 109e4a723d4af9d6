import { describe, expect, test } from 'vitest'
import { resolveSites } from '../../dist/http/sites.js'

const sites = resolveSites([
  'https://app.example.com',
  'http://shop.demo.localhost:4002',
  'http://[::1]:8080',
  'https://xn--mnchen-3ya.de',
  'capacitor://localhost',
  'https://**.example.org',
  'https://**.example.net:8443',
  'https://*.example.edu',
  'https://*.b.example.edu:8443',
  'http://**.localhost:3000',
  'http://localhost',
  'http://127.0.0.1:3000',
])

describe('a site policy trusts', () => {
  test.each([
    'https://app.example.com',
    'http://shop.demo.localhost:4002',
    'http://[::1]:8080',
    'https://xn--mnchen-3ya.de',
    'capacitor://localhost',
    'https://a.example.org',
    'https://a.b.c.example.org',
    'https://xn--mnchen-3ya.example.org',
    'https://with_underscore.example.org',
    'https://a.example.edu',
    'https://a.b.example.edu:8443',
    `https://${'a'.repeat(63)}.example.edu`,
    `https://${'a'.repeat(63)}.example.org`,
    'https://a.example.net:8443',
    `https://${'a.'.repeat(121)}example.org`, // 253 characters
    `https://${'a.'.repeat(121)}example.net:8443`,
    'http://shop.localhost:3000',
    'http://localhost',
    'http://127.0.0.1:3000',
  ])('%s', (origin) => {
    expect(sites.trusts(origin)).toBe(true)
  })
})

const hostile: [what: string, origin: string | undefined][] = [
  ['no origin', undefined],
  ['an empty one', ''],
  ['null', 'null'],
  ['*', '*'],
  ['the entry of a wildcard itself', 'https://*.example.edu'],
  ['the entry of a deep wildcard itself', 'https://**.example.org'],
  ['two labels below a wildcard', 'https://a.b.example.edu'],
  ['a dot before the label of a wildcard', 'https://.a.example.edu'],
  ['a dot behind the label of a wildcard', 'https://a..example.edu'],
  ['the apex of a wildcard with one label', 'https://example.edu'],
  ['user information under a wildcard with one label', 'https://evil@a.example.edu'],
  ['a label of 64 characters under a wildcard with one label', `https://${'a'.repeat(64)}.example.edu`],
  ['another scheme', 'http://app.example.com'],
  ['another scheme under a wildcard', 'http://a.example.org'],
  ['another port', 'https://app.example.com:8443'],
  ['the default port written out', 'https://app.example.com:443'],
  ['another port under a wildcard', 'https://a.example.org:8443'],
  ['no port under a wildcard with one', 'https://a.example.net'],
  ['the apex of a wildcard', 'https://example.org'],
  ['an empty label before the apex', 'https://.example.org'],
  ['an empty label within', 'https://a..example.org'],
  ['a name that only ends alike', 'https://evilexample.org'],
  ['a trusted name as prefix', 'https://app.example.com.evil.test'],
  ['a wildcard domain as prefix', 'https://a.example.org.evil.test'],
  ['a trusted name in the path', 'https://evil.test/.example.org'],
  ['a trusted name in the query', 'https://evil.test?.example.org'],
  ['a trusted name in the fragment', 'https://evil.test#.example.org'],
  ['a trusted name after a backslash', 'https://evil.test\\.example.org'],
  ['a trusted name after a port', 'https://evil.test:80.example.org'],
  ['a trusted name as user', 'https://app.example.com@evil.test'],
  ['user information under a wildcard', 'https://evil.test@a.example.org'],
  ['user and password', 'https://user:word@app.example.com'],
  ['a trailing slash', 'https://app.example.com/'],
  ['a trailing slash under a wildcard', 'https://a.example.org/'],
  ['a trailing dot', 'https://app.example.com.'],
  ['a trailing dot under a wildcard', 'https://a.example.org.'],
  ['upper case', 'https://APP.example.com'],
  ['upper case under a wildcard', 'https://A.example.org'],
  ['upper case in the scheme', 'HTTPS://a.example.org'],
  ['a space before', ' https://app.example.com'],
  ['a space behind', 'https://app.example.com '],
  ['a space within', 'https://evil.test .example.org'],
  ['a line feed', 'https://evil.test\n.example.org'],
  ['a line feed behind', 'https://a.example.org\n'],
  ['a zero byte', 'https://evil.test\0.example.org'],
  ['a delete byte', 'https://a\x7f.example.org'],
  ['a percent sign', 'https://evil.test%2f.example.org'],
  ['letters that are not ASCII', 'https://exämple.example.org'],
  ['a full-width dot', 'https://a\uff0eexample.org'],
  ['two origins with a comma', 'https://app.example.com, https://evil.test'],
  ['two trusted origins with a comma', 'https://a.example.org, https://b.example.org'],
  ['two origins with a space', 'https://evil.test https://a.example.org'],
  ['a label of 64 characters', `https://${'a'.repeat(64)}.example.org`],
  ['a host of 254 characters', `https://a${'a.'.repeat(121)}example.org`],
  ['a host of 254 characters and a port', `https://a${'a.'.repeat(121)}example.net:8443`],
  ['64 KiB before a trusted name', `https://${'a.'.repeat(32_768)}example.org`],
  ['64 KiB of dots', `https://${'.'.repeat(65_536)}.example.org`],
]

describe('a site policy does not trust', () => {
  test.each(hostile)('%s', (_what, origin) => {
    expect(sites.trusts(origin)).toBe(false)
  })

  test('what is no text at all', () => {
    expect(sites.trusts(['https://app.example.com'] as unknown as string)).toBe(false)
  })

  test('anything when it has no entries', () => {
    expect(resolveSites([]).trusts('https://app.example.com')).toBe(false)
  })
})

const refused: [entry: unknown, cure: string][] = [
  ['*', "Write an origin like 'https://app.example.com'"],
  ['null', 'Leave it out'],
  ['', 'Write an origin'],
  ['app.example.com', "Write 'https://app.example.com'"],
  ['localhost:3000', "Write 'http://localhost:3000'"],
  ['app.my.localhost', "Write 'http://app.my.localhost'"],
  ['127.0.0.1:3000', "Write 'http://127.0.0.1:3000'"],
  ['notlocalhost:3000', "Write 'https://notlocalhost:3000'"],
  ['//app.example.com', "Write 'https://app.example.com'"],
  ['https://', 'Write an origin'],
  ['https://app.example.com/', "Write 'https://app.example.com'"],
  ['https://app.example.com/path', "Write 'https://app.example.com'"],
  ['https://app.example.com?query', "Write 'https://app.example.com'"],
  ['https://app.example.com#part', "Write 'https://app.example.com'"],
  ['https://user:word@app.example.com', "Write 'https://app.example.com'"],
  ['https://APP.example.com', "Write 'https://app.example.com'"],
  ['HTTPS://app.example.com', "Write 'https://app.example.com'"],
  ['https://münchen.de', "Write 'https://xn--mnchen-3ya.de'"],
  ['https://*.münchen.de', "Write 'https://*.xn--mnchen-3ya.de'"],
  ['https://app.example.com:443', "Write 'https://app.example.com'"],
  ['http://localhost:80', "Write 'http://localhost'"],
  ['http://app.example.com', "Write 'https://app.example.com'"],
  ['http://app.example.com:80', "Write 'https://app.example.com'"],
  ['http://app.example.com:8080', "Write 'https://app.example.com:8080'"],
  ['http://*.example.com', "Write 'https://*.example.com'"],
  ['HTTP://App.example.com/', "Write 'https://app.example.com'"],
  ['http://192.168.0.7:3000', "Write 'https://192.168.0.7:3000'"],
  ['http://localhost.evil.test', 'not encrypted'],
  ['http://127.0.0.1.evil.test', 'not encrypted'],
  ['http://evillocalhost', 'not encrypted'],
  ['http://[::2]', 'not encrypted'],
  ['https://*.example.com:443', "Write 'https://*.example.com'"],
  ['https://app.example.com:', "Write 'https://app.example.com'"],
  ['https://app.example.com:08443', "Write 'https://app.example.com:8443'"],
  ['https://app.example.com.', "Write 'https://app.example.com'"],
  ['https://app.example.com.:8443', "Write 'https://app.example.com:8443'"],
  ['https://app..example.com', 'Write an origin'],
  ['https://app example.com', 'Write an origin'],
  ['https://app.example.com ', "Write 'https://app.example.com'"],
  ['https://app.example.com\n', "Write 'https://app.example.com'"],
  ['https://a.example.com,https://b.example.com', 'an entry of its own'],
  ['https://app.*.com', "'https://*.example.com'"],
  ['https://app*.example.com', "'https://*.example.com'"],
  ['https://*.*.example.com', "'https://**.example.com' for any depth"],
  ['https://***.example.com', "'https://*.example.com'"],
  ['https://a.**.example.com', "'https://*.example.com'"],
  ['https://*.co.uk', 'public suffix "co.uk"'],
  ['https://**.co.uk', 'public suffix "co.uk"'],
  ['https://*.co.uk:8443', 'public suffix "co.uk"'],
  ['https://*.github.io', 'public suffix "github.io"'],
  ['https://**.vercel.app', 'public suffix "vercel.app"'],
  ['https://*.internal', 'public suffix "internal"'],
  ['https://**.com', 'public suffix "com"'],
  ['http://**.example.com', "Write 'https://**.example.com'"],
  [{ origin: 'https://*.co.uk', paths: ['/'] }, 'public suffix "co.uk"'],
  [{ origin: 'https://a.example.com' }, 'paths must be an array'],
  [{ origin: 'https://a.example.com', paths: [] }, 'paths must be an array'],
  [{ origin: 'https://a.example.com', paths: '/api' }, 'paths must be an array'],
  [{ origin: 'https://a.example.com', paths: ['api'] }, 'is not a path'],
  [{ origin: 'https://a.example.com', paths: ['/api?x'] }, 'is not a path'],
  [{ origin: 'https://a.example.com', paths: ['/a*'] }, 'is not a path'],
  [{ origin: 'https://a.example.com', paths: ['/*/b'] }, 'is not a path'],
  [{ origin: 'https://a.example.com', paths: ['/%61'] }, 'is not a path'],
  [{ origin: 'https://a.example.com', paths: [7] }, 'a path must be a text'],
  [{ origin: 'https://a.example.com/', paths: ['/'] }, "Write 'https://a.example.com'"],
  [{ origin: 'https://a.example.com', path: ['/'] }, 'has no option "path"'],
  [['https://a.example.com'], 'an entry is an array'],
  ['https://*', "'https://*.example.com'"],
  ['https://*example.com', "'https://*.example.com'"],
  ['https://example.com:*', 'Write an origin'],
  ['*.example.com', "Write 'https://*.example.com'"],
  ['*://app.example.com', 'Write an origin'],
  ['capacitor://*.example.com', "'https://*.example.com'"],
  ['https://*.com', "'https://*.example.com'"],
  ['https://*.com:8443', "'https://*.example.com'"],
  ['https://*.com.', "'https://*.example.com'"],
  ['https://*.192.168.0.1', 'Write an origin'],
  ['ws://app.example.com', 'Write an origin'],
  ['file:///srv/page.html', 'Write an origin'],
  ['ftp://app.example.com', 'Write an origin'],
  [undefined, 'Write an origin'],
  [null, 'Write an origin'],
  [7, 'Write an origin'],
  [/^https:\/\/app\.example\.com$/, 'Write an origin'],
  [/^https:\/\/a\.example|https:\/\/b\.example$/, 'Write an origin'],
  [/^.*$/, 'Write an origin'],
  [true, 'Write an origin'],
]

describe('a site policy refuses at start-up', () => {
  test.each(refused)('%j, and says what to write', (entry, cure) => {
    const resolve = () => resolveSites(['https://fine.example.com', entry as string])
    expect(resolve).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    expect(resolve).toThrow(cure)
    expect(resolve).toThrow(typeof entry === 'string' ? JSON.stringify(entry) : 'sites')
  })

  test.each(['https://app.example.com', undefined, null, {}])('%j in place of a list', (list) => {
    expect(() => resolveSites(list as string[])).toThrow('sites must be an array')
  })
})

test('a site policy gives its entries back in order, each once, and cannot be changed', () => {
  const list = ['https://b.example.com', 'https://*.example.com', 'https://b.example.com']
  const policy = resolveSites(list)
  list.push('https://evil.test')
  expect(policy.entries).toEqual(['https://b.example.com', 'https://*.example.com'])
  expect(policy.trusts('https://evil.test')).toBe(false)
  expect(Object.isFrozen(policy) && Object.isFrozen(policy.entries)).toBe(true)
})

describe('an entry with paths counts for these only', () => {
  const policy = resolveSites([
    { origin: 'https://partner.test', paths: ['/api/*', '/status', '/'] },
    { origin: 'https://*.partner.test', paths: ['/feed'] },
  ])

  test.each([
    '/api/a', '/api/a/b', '/api/a/', '/api/a?b=/..', '/api/a#b', '/status', '/status?a', '/', '/?a', '/api/a.b', '/api/..a', '/api/...',
    'https://app.example.com/api/a',
  ])('%s', (url) => {
    expect(policy.trusts('https://partner.test', url)).toBe(true)
    expect(policy.lists('https://partner.test', url)).toBe(true)
  }) // prettier-ignore

  test.each([
    undefined, '', '/api', '/api/', '/apis/a', '/API/a', '/status/', '/status/a', '/status%2f', '/api/../admin', '/api/..', '/api/./a', '/api//a', '/api%2fa', '/api/a%00', '/st%61tus', '/%61pi/a', '/api/%2Dx', '/api/a%7E', '/%41pi/a', '/api/%0a', '/api/.%09./admin', '/api/a\x7f',
    '/api/%2e%2e/admin', '/api/.%2e/admin', '/api/..%2fadmin', '/api/..%5cadmin', '/api/..\\admin', '/api/%', '/api/%ff', '//api/a', '/x/api/a', '/administrator', '*',
  ])('and not %s', (url) => {
    expect(policy.trusts('https://partner.test', url)).toBe(false)
    expect(policy.lists('https://partner.test', url)).toBe(false)
  }) // prettier-ignore

  test('a wildcard too', () => {
    expect(policy.trusts('https://a.partner.test', '/feed')).toBe(true)
    expect(policy.trusts('https://a.partner.test', '/status')).toBe(false)
    expect(policy.lists('https://a.partner.test', '/feed')).toBe(false)
  })
})

describe('a function of sites', () => {
  const request = { method: 'GET', url: '/caf%C3%A9?c', host: 'app.example.com' }

  test('decides about origins that the list does not name, with what the request asks for', async () => {
    const asked: unknown[] = []
    const policy = resolveSites([
      'https://listed.example.com',
      (origin, about) => {
        asked.push([origin, about])
        return false
      },
      async (origin) => Promise.resolve(origin === 'https://tenant.test'),
    ])
    expect(policy.ask('https://listed.example.com', request)).toBe(true)
    expect(asked).toEqual([])
    expect(await policy.ask('https://tenant.test', request)).toBe(true)
    expect(await policy.ask('https://evil.test', request)).toBe(false)
    const about = { method: 'GET', path: '/café', host: 'app.example.com' }
    expect(asked).toEqual([['https://tenant.test', about], ['https://evil.test', about]]) // prettier-ignore
    // The list alone is what these answer by.
    expect(policy.trusts('https://tenant.test')).toBe(false)
    expect(policy.lists('https://tenant.test')).toBe(false)
  })

  test('stands alone in place of a list', async () => {
    expect(await resolveSites(() => true).ask('https://a.test', request)).toBe(true)
  })

  test('is never asked about what no page with HTTPS, of this machine or of an app has as its origin', async () => {
    const policy = resolveSites(() => true)
    // What the URL standard takes for an origin as it stands, a page may have.
    const noOrigins = hostile.filter(([, origin]) => URL.parse(origin ?? '')?.origin !== origin)
    expect(noOrigins.length).toBeGreaterThan(25)
    for (const [, origin] of noOrigins) expect([origin, policy.ask(origin, request)]).toEqual([origin, false])
    for (const origin of [
      'http://intranet',
      'http://app.example.com',
      'http://10.0.0.1',
      'http://evillocalhost',
      'file://',
    ])
      expect([origin, policy.ask(origin, request)]).toEqual([origin, false])
    for (const origin of ['http://localhost:3000', 'chrome-extension://abc', 'https://[::1]'])
      expect(await policy.ask(origin, request)).toBe(true)
  })

  test('is not asked about a path that has no single meaning', () => {
    const policy = resolveSites(() => true)
    for (const url of ['/a%2fb', '/%', '/%ff', '/a%5c'])
      expect(policy.ask('https://a.test', { ...request, url })).toBe(false)
  })

  test('that fails, or returns neither true nor false, trusts nobody', async () => {
    const failing = resolveSites(() => {
      throw new Error('no database')
    })
    await expect(failing.ask('https://a.test', request)).rejects.toThrow('no database')
    for (const reason of [undefined, null, 'route', 0]) {
      const odd = resolveSites(() => Promise.reject(reason as never))
      await expect(odd.ask('https://a.test', request)).rejects.toThrow(/failed with .*, which is no Error/)
    }
    for (const decision of ['https://a.test', 1, undefined, {}, null]) {
      const policy = resolveSites((() => decision) as never)
      await expect(policy.ask('https://a.test', request)).rejects.toThrow('It must return true or false')
    }
  })
})

describe('a return address', () => {
  const policy = resolveSites(['https://app.example.com', 'https://*.example.org', 'http://localhost:3000', 'capacitor://localhost', () => true]) // prettier-ignore

  test.each([
    ['/account', '/account'],
    ['/', '/'],
    ['/a/../b?c=//d#e', '/b?c=//d#e'],
    ['/ü', '/%C3%BC'],
    ['/@evil.test', '/@evil.test'],
    ['/https://evil.test', '/https://evil.test'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['https://app.example.com/cart?x=1', 'https://app.example.com/cart?x=1'],
    ['HTTPS://APP.example.com:443/', 'https://app.example.com/'],
    ['https://a.example.org/', 'https://a.example.org/'],
    ['http://localhost:3000/a', 'http://localhost:3000/a'],
  ])('%s leads to %s', (address, safe) => {
    expect(policy.returnAddress(address)).toBe(safe)
  })

  test.each([
    '', 'account', 'evil.test', '//evil.test', '///evil.test', '////evil.test', '/\\evil.test', '\\/evil.test', '\\\\evil.test', '/\\/evil.test', '/.//evil.test', '/..//evil.test', '/a/..//evil.test',
    '/%2e//evil.test', '/.\\/evil.test', '/\t/evil.test', '/\n/evil.test', '\t//evil.test', ' //evil.test', ' /account', '/a\r\nSet-Cookie: a=b', '/\0', 'javascript:alert(1)', 'JaVaScRiPt:alert(1)',
    'java\nscript:alert(1)', 'data:text/html,a', 'vbscript:a', 'blob:https://app.example.com/x', 'filesystem:https://app.example.com/x', 'https://evil.test', 'https:evil.test', 'https:app.example.com', 'https:/evil.test', 'https:///evil.test',
    'https://app.example.com.evil.test', 'https://app.example.com@evil.test', 'https://evil.test@app.example.com', 'https://a:b@app.example.com', 'https://app.example.com.', 'https://app.example.com:8443',
    'http://app.example.com', 'https://evil.test/https://app.example.com', 'https://evil.test#https://app.example.com', 'https://evil.test\\@app.example.com', 'https://a.b.example.org', 'https://example.org', 'https://app\uff0eevil.test',
    'capacitor://localhost/x', 'ftp://app.example.com', 'wss://app.example.com', '?next=//evil.test', '#a', '.', '..', `/${'a'.repeat(4_096)}`, undefined, null, 7, {}, ['/account'],
  ])('%j leads to the fallback', (address) => {
    expect(policy.returnAddress(address)).toBe('/')
    expect(policy.returnAddress(address, '/home')).toBe('/home')
  }) // prettier-ignore
})
