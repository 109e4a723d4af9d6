import type { CookieFunction, CookieOptions } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { CookiesByRequest } from '../../dist/http/cookie-function.js'
import { bag, memorySessions } from '../core/works.ts'

const asked = { cookieHeader: undefined, secure: true, request: { headers: {} } }

/** What the function returns, one result for each request. */
function cookiesOf(...results: CookieOptions[]) {
  const cookies = new CookiesByRequest(() => results.shift()!, undefined)
  return () => cookies.of(asked)
}

describe('what the function returns', () => {
  test('is checked once for all results that are equal', () => {
    const next = cookiesOf(
      { domain: 'example.com', httpOnly: false },
      { httpOnly: false, domain: 'example.com', path: undefined },
      Object.create({ domain: 'example.com', httpOnly: false }) as CookieOptions,
    )
    const first = next()
    expect(next()).toBe(first)
    expect(next()).toBe(first)
  })

  test.each<[CookieOptions, CookieOptions]>([
    [{ domain: 'example.com' }, { domain: 'example.org' }],
    [{ domain: 'example.com' }, { name: 'example.com' }],
    [
      { name: 'a', path: '/b' },
      { name: 'a', path: '/b,"' },
    ],
    [{ httpOnly: true }, { httpOnly: false }],
    [{ secure: true }, { secure: 'auto' }],
    [{ name: 'true' }, { name: 'false' }],
    [{ name: 'undefined' }, {}],
  ])('is not taken for another: %j and %j', (one, other) => {
    const next = cookiesOf(one, other, one)
    const [first, second, third] = [next(), next(), next()]
    expect(second).not.toBe(first)
    expect(third).toBe(first)
  })

  test('may change from one request to the next in one object, as an app may keep it', () => {
    const options = { name: 'one' }
    const cookies = new CookiesByRequest(() => options, undefined)
    expect(cookies.of(asked).name(true)).toBe('one')
    options.name = 'two'
    expect(cookies.of(asked).name(true)).toBe('two')
  })

  test('is refused anew each time, whatever was refused or accepted before', () => {
    const next = cookiesOf({}, { maxAge: 1 } as CookieOptions, {}, { maxAge: 1 } as CookieOptions)
    next()
    expect(next).toThrow(/no option "maxAge"/)
    next()
    expect(next).toThrow(/no option "maxAge"/)
  })
})

describe('sessions.exchange()', () => {
  const byTenant: CookieFunction = ({ hostname }) => ({ domain: `${hostname}.example.com` })

  test('gives the function what the adapter passes as its request', async () => {
    const sessions = memorySessions({ cookie: byTenant })
    const exchange = await sessions.exchange({ ...asked, request: { headers: {}, hostname: 'shop' } })
    bag(exchange.work).seen = true
    const changes = await exchange.finish()
    expect(changes).toMatchObject({ name: 'Set-Cookie' })
    expect(changes!.value).toContain('; Domain=shop.example.com;')
  })

  test('rejects, and never throws at once, if the request is missing or the function fails', async () => {
    const { request: _request, ...without } = asked
    const begun = memorySessions({ cookie: byTenant }).exchange(without)
    await expect(begun).rejects.toThrow(/sessions\.exchange\(\{ request, … \}\)/)
    const failing = memorySessions({
      cookie: () => {
        throw new RangeError('no tenant')
      },
    }).exchange(asked)
    await expect(failing).rejects.toThrow(RangeError)
  })
})
