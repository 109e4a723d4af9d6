import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'vitest'
import { memorySessions } from '../core/works.ts'
import { fuzz } from './fuzz.ts'

// Where a visitor may be sent, and which path a request is for: as a browser and the URL standard see it, whatever text was sent.

const origin = 'https://shop.example.com'
const { sites } = memorySessions({
  sites: [
    origin,
    'https://*.example.org',
    { origin: 'https://partner.test', paths: ['/api/*', '/admin', '/a/b/*'] },
  ],
})

const parts = fc.constantFrom(
  '/', '//', '\\', '/\\', '.', '..', '/.', '/..', '/./', '/../', '%2e', '%2E%2e', '%2f', '%5c', '%252f', '%', '%zz', '%00', ';', '..;', '?', '#', '@', ':', ':443', '&', '=', ' ', '\t', '\n', '\r\n', '\0', '\x7f',
  '\u00a0', '\u2028', '\u3002', '\uff0f', '\uff3c', '\ud800', 'a', 'b', 'A', 'api', '/api', '/api/', 'admin', '/admin', 'administrator', 'javascript:', 'data:', 'https:', 'http:', 'https://', 'http://', 'evil.test', origin, 'shop.example.com',
  'a.example.org', 'x.a.example.org', 'user:word@', '[::1]', '127.1', '0x7f.1', 'xn--',
) // prettier-ignore
const addresses = fc
  .array(
    fc.oneof(
      { weight: 8, arbitrary: parts },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
    ),
    {
      maxLength: 8,
    },
  )
  .map((list) => list.join(''))

test(
  'a return address leads to the app itself or to a trusted origin, wherever it is used',
  fuzz({ ci: 20_000, nightly: 1_000_000 }, addresses, (address) => {
    const app = 'https://login.example.net'
    const safe = sites.returnAddress(address, '/fallback')
    for (const page of [
      `${app}/`,
      `${app}/a/b?c`,
      `${app}/login?returnTo=${encodeURIComponent(address.toWellFormed())}`,
    ]) {
      const target = new URL(safe, page)
      const isTrusted =
        target.origin === app ||
        target.origin === origin ||
        /^https:\/\/[a-z0-9_-]+\.example\.org$/.test(target.origin)
      assert.ok(isTrusted, `${JSON.stringify(address)} -> ${safe}`)
      assert.equal(target.username + target.password, '')
    }
    // It goes into a header as it is, and is read again as it is.
    assert.match(safe, /^[\x21-\x7e]+$/)
    assert.equal(sites.returnAddress(safe, '/fallback'), safe)
  }),
)

const beginnings = fc.constantFrom('', 'api/', 'a/b/', 'admin', '%61pi/', 'api', 'a/', 'x/../api/')
let trusted = 0

test(
  'an entry with paths counts for no address that a browser or a proxy resolves to another path',
  fuzz({ ci: 20_000, nightly: 1_000_000 }, fc.tuple(beginnings, addresses), ([beginning, address]) => {
    const url = `/${beginning}${address}`
    if (!sites.trusts('https://partner.test', url)) return
    trusted++
    const path = url.split(/[?#]/, 1)[0]!
    // As the URL standard resolves dots and backslashes, before decoding and after.
    for (const text of [path, decodeURIComponent(path)]) {
      const { pathname } = new URL(text.replace(/[%?# ]/g, encodeURIComponent), 'https://app.test')
      const resolved = decodeURIComponent(decodeURIComponent(pathname))
      assert.ok(
        resolved === '/admin' || /^\/(?:api|a\/b)\/./s.test(resolved),
        `${JSON.stringify(url)} -> ${resolved}`,
      )
    }
  }),
)

test('and it counts for many of the addresses that were tried', () => {
  assert.ok(trusted > 1_000, String(trusted))
})
