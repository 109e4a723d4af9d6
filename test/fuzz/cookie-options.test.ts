/**
 * Names, domains and paths. The library sends nobody to another address, and takes no redirect target, so there is
 * nothing of that kind to try.
 */
import assert from 'node:assert/strict'
import { validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import { test } from 'vitest'
import { SessionError } from 'coatcheck'
import { Cookie } from '../../dist/express-session/model/cookie.js'
import { pathMatches, SessionCookie } from '../../dist/http/cookie.js'
import { fuzz } from './fuzz.ts'

const hostile = fc.oneof(
  fc.constantFrom(
    '', ' ', '\t', '\r', '\n', '\r\nSet-Cookie: a=b', '\0', ';', '; Domain=evil.test', '; HttpOnly', ',', '=', '"', '\\', '\x7f',
    '\x80', '\u00e9', '\u2000', '\ufeff', '\u{1f36a}', '\ud800', '%0d%0a', '/', '//evil', '/\\evil', '/..', 'javascript:', '.',
    '..', ':443', '@', '*', '-', '__Host-', '__hOsT-', '__Secure-', '__proto__', 'constructor',
  ), // prettier-ignore
  fc.string({ unit: 'binary', maxLength: 6 }),
)
/** Something right, with something hostile in it, or nothing. */
const spoiled = (right: string) =>
  fc
    .tuple(hostile, fc.nat(right.length), fc.boolean())
    .map(([text, at, isSpoiled]) => (isSpoiled ? right.slice(0, at) + text + right.slice(at) : right))

interface Given {
  readonly name?: string
  readonly domain?: string
  readonly path?: string
  readonly secure?: boolean
  readonly sameSite?: 'lax' | 'strict'
}

const given: fc.Arbitrary<Given> = fc.record(
  {
    name: fc.oneof(spoiled('sid'), spoiled('__Host-sid'), hostile),
    domain: fc.oneof(spoiled('example.com'), hostile),
    path: fc.oneof(spoiled('/app'), hostile),
    secure: fc.constantFrom(true, false),
    sameSite: fc.constantFrom('lax' as const, 'strict' as const),
  },
  { requiredKeys: [] },
)
const values = fc.oneof(spoiled('s:token.signature'), hostile)

/** What a browser keeps of a Set-Cookie header (RFC 6265bis, section 5.6). */
function parsed(header: string) {
  const [pair, ...attributes] = header.split(';')
  const [, name, value] = /^([^=]*)=(.*)$/s.exec(pair!)!
  const pairs = attributes.map((text) => {
    const [, key, rest] = /^ ([^=]*)(?:=(.*))?$/s.exec(text)!
    return [key!.toLowerCase(), rest ?? true] as const
  })
  return { name, value, attributes: Object.fromEntries(pairs) }
}

function assertExact(header: string, options: Given, value: string): void {
  validateHeaderValue('Set-Cookie', header)
  const { path = '/', domain, secure, sameSite = 'lax' } = options
  const cookie = parsed(header)
  assert.equal(decodeURIComponent(cookie.value!), value)
  const attributes = { ...cookie.attributes, samesite: String(cookie.attributes['samesite']).toLowerCase() }
  assert.deepEqual(attributes, {
    httponly: true,
    samesite: sameSite,
    // In express-session's form, empty texts are as if they were left out.
    ...(path !== '' && { path }),
    ...(domain && { domain }),
    ...(secure && { secure }),
  })
}

test(
  'a cookie is made of just what its options say, or they are refused at start-up',
  fuzz({ ci: 10_000, nightly: 500_000 }, fc.tuple(given, values), ([options, value]) => {
    let cookie: SessionCookie
    try {
      cookie = new SessionCookie(options, undefined)
    } catch (error) {
      assert.ok(error instanceof SessionError)
      assert.equal(error.code, 'ERR_SESSION_OPTION')
      return
    }
    if (!value.isWellFormed()) return // no token of ours
    const header = cookie.set(value, options.secure === true)
    assertExact(header, options, value)
    assert.equal(parsed(header).name, cookie.name(options.secure === true))
    if (/^__host-/i.test(cookie.name(true))) assert.doesNotMatch(header, /Domain=/)
  }),
)

test(
  "so is one in express-session's form, or it is refused when it is made",
  fuzz(
    { ci: 10_000, nightly: 500_000 },
    fc.tuple(given, values),
    ([{ name = 'connect.sid', ...options }, value]) => {
      let header: string
      try {
        header = new Cookie({ sameSite: 'lax', ...options }).serialize(name, value)
      } catch (error) {
        // A half surrogate pair cannot be percent-encoded.
        assert.ok(error instanceof (value.isWellFormed() ? TypeError : Error))
        return
      }
      assertExact(header, options, value)
      assert.equal(parsed(header).name, name)
    },
  ),
)

const steps = [
  '/',
  '//',
  'admin',
  'istrator',
  'a',
  '.',
  '..',
  '\\',
  '%2f',
  '?',
  'javascript:',
  'evil.test',
] as const
const paths = fc.array(fc.constantFrom(...steps), { maxLength: 5 }).map((parts) => `/${parts.join('')}`)

test(
  'a cookie of one path goes along to it and to what is below it, not to what merely begins alike',
  fuzz({ ci: 20_000, nightly: 1_000_000 }, fc.tuple(paths, paths), ([cookiePath, requestPath]) => {
    // RFC 6265bis, section 5.1.4, its three conditions in turn.
    const isPrefix = requestPath.indexOf(cookiePath) === 0
    const expected =
      cookiePath === requestPath ||
      (isPrefix && cookiePath.at(-1) === '/') ||
      (isPrefix && requestPath[cookiePath.length] === '/')
    assert.equal(pathMatches(cookiePath, requestPath), expected)
  }),
)
