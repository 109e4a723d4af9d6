import { describe, expect, test } from 'vitest'
import { resolveSites } from '../../dist/http/sites.js'

const sites = resolveSites([
  'https://app.example.com',
  'http://shop.demo.localhost:4002',
  'http://[::1]:8080',
  'https://xn--mnchen-3ya.de',
  'capacitor://localhost',
  'https://*.example.org',
  'https://*.example.net:8443',
  'http://*.localhost:3000',
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
  ['the entry of a wildcard itself', 'https://*.example.org'],
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
  ['https://*.*.example.com', "'https://*.example.com'"],
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
    expect(resolve).toThrow(typeof entry === 'string' ? JSON.stringify(entry) : 'an entry is')
  })

  test.each(['https://app.example.com', undefined, null, {}])('%j in place of a list', (list) => {
    expect(() => resolveSites(list as string[])).toThrow('sites must be an array')
  })
})

test('a site policy gives its entries back in order, each once, and cannot be changed', () => {
  const list = ['https://b.example.com', 'https://*.example.com', 'https://b.example.com']
  const policy = resolveSites(list)
  list.push('https://evil.test')
  expect(policy.origins).toEqual(['https://b.example.com', 'https://*.example.com'])
  expect(policy.trusts('https://evil.test')).toBe(false)
  expect(Object.isFrozen(policy) && Object.isFrozen(policy.origins)).toBe(true)
})
