import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Cookie, type CookieAttributes } from 'coatcheck/express'
import { incumbent } from './incumbent.ts'

const now = Date.UTC(2030, 0, 1)
const minute = 60_000

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now })
})

afterEach(() => {
  vi.useRealTimers()
})

/** What can be seen of a cookie, or that it cannot be made. */
function seen(Constructor: new (options?: CookieAttributes) => Cookie, options: unknown) {
  let cookie: Cookie
  try {
    cookie = new Constructor(options as CookieAttributes)
  } catch (error) {
    return (error as Error).constructor.name
  }
  return {
    json: JSON.stringify(cookie),
    keys: Object.keys(cookie),
    data: cookie.data,
    maxAge: cookie.maxAge,
    header: header(cookie),
  }
}

function header(cookie: Cookie): string {
  try {
    return cookie.serialize('connect.sid', 's:id.sig/+=')
  } catch (error) {
    return (error as Error).constructor.name
  }
}

const options: [string, unknown][] = [
  ['nothing', undefined],
  ['null', null],
  ['an empty object', {}],
  ['a maxAge', { maxAge: minute }],
  ['a maxAge of 0', { maxAge: 0 }],
  ['a maxAge of null', { maxAge: null }],
  ['a maxAge of undefined', { maxAge: undefined }],
  ['a maxAge that is a Date', { maxAge: new Date(now + minute) }],
  ['a maxAge that is a text', { maxAge: '60000' }],
  ['a maxAge that is an object', { maxAge: {} }],
  ['expires', { expires: new Date(now + minute) }],
  ['expires in the past', { expires: new Date(now - minute) }],
  ['expires of null', { expires: null }],
  ['expires of false', { expires: false }],
  ['expires that is a text', { expires: new Date(now).toISOString() }],
  ['maxAge before expires', { maxAge: minute, expires: new Date(now + 5 * minute) }],
  ['expires before maxAge', { expires: new Date(now + 5 * minute), maxAge: minute }],
  ['data, which is ignored', { data: { domain: 'evil.test' } }],
  ['httpOnly false', { httpOnly: false }],
  ['secure', { secure: true }],
  ['secure auto', { secure: 'auto' }],
  ['a domain', { domain: 'example.com' }],
  ['a malformed domain', { domain: 'a;b' }],
  ['a path', { path: '/admin' }],
  ['a malformed path', { path: '/;' }],
  ['sameSite true', { sameSite: true }],
  ['sameSite false', { sameSite: false }],
  ['sameSite lax', { sameSite: 'lax' }],
  ['sameSite Strict', { sameSite: 'Strict' }],
  ['sameSite none and partitioned', { sameSite: 'none', secure: true, partitioned: true }],
  ['an unknown sameSite', { sameSite: 'bogus' }],
  ['a priority', { priority: 'high' }],
  ['an unknown priority', { priority: 'bogus' }],
  ['an attribute of its own', { signed: true }],
  ['a row as it is stored', { originalMaxAge: minute, expires: null, httpOnly: true, path: '/' }],
  ['inherited options', Object.create({ domain: 'example.com', maxAge: minute })],
  ['a text', 'maxAge'],
  ['a number', 1],
]

test.each(options)("a cookie made from %s is express-session's", (_name, given) => {
  expect(seen(Cookie, given)).toEqual(seen(incumbent.Cookie, given))
})

test('a cookie is not broken by a stored row that takes the names of its methods', () => {
  const row = JSON.parse(
    '{"serialize":1,"toJSON":1,"constructor":1,"__proto__":{"domain":"evil.test"}}',
  ) as object
  const cookie = new Cookie(row)
  expect(cookie).toBeInstanceOf(Cookie)
  expect(cookie.serialize('a', 'b')).toBe('a=b; Path=/; HttpOnly')
  expect(JSON.stringify(cookie)).toBe(JSON.stringify(new Cookie()))
})

describe.each([
  ['express-session', incumbent.Cookie],
  ['coatcheck', Cookie],
])('a cookie of %s', (_name, Constructor) => {
  test('counts down to its expiry', () => {
    const cookie = new Constructor({ maxAge: minute })
    vi.setSystemTime(now + 20_000)
    expect(cookie.maxAge).toBe(40_000)
    expect(cookie.originalMaxAge).toBe(minute)
    expect(cookie.expires).toEqual(new Date(now + minute))
  })

  test('begins its original length of life again', () => {
    const cookie = new Constructor({ maxAge: minute })
    vi.setSystemTime(now + 20_000)
    cookie.maxAge = cookie.originalMaxAge
    expect(cookie.expires).toEqual(new Date(now + 20_000 + minute))
    expect(cookie.originalMaxAge).toBe(minute)
  })

  test('takes an assigned maxAge as its new original one', () => {
    const cookie = new Constructor({ maxAge: minute })
    cookie.maxAge = 5 * minute
    expect([cookie.originalMaxAge, cookie.expires]).toEqual([5 * minute, new Date(now + 5 * minute)])
    cookie.maxAge = null
    expect([cookie.originalMaxAge, cookie.expires]).toEqual([null, null])
  })

  test('takes the time left to an assigned expiry as its new original maxAge', () => {
    const cookie = new Constructor()
    cookie.expires = new Date(now + minute)
    expect([cookie.originalMaxAge, cookie.maxAge]).toEqual([minute, minute])
    cookie.expires = false
    expect([cookie.originalMaxAge, cookie.maxAge]).toEqual([false, false])
  })

  test('refuses a maxAge that is neither a number nor a Date', () => {
    const cookie = new Constructor()
    expect(() => (cookie.maxAge = '1' as unknown as number)).toThrow(
      new TypeError('maxAge must be a number or Date'),
    )
  })
})
