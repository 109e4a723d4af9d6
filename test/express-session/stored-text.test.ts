import { describe, expect, test } from 'vitest'
import { sameButForCookie } from '../../dist/express-session/model/stored-text.js'

const expires = '2030-01-01T00:00:00.000Z'

function text(cookie: object, data: object): Buffer {
  return Buffer.from(JSON.stringify({ cookie, ...data }))
}

describe('two texts of sessions are the same but for their cookies', () => {
  const plain = text({ originalMaxAge: 1000, expires, path: '/' }, { name: 'Ada' })

  test.each([
    ['when they are the same', plain],
    ['when one expires later', text({ originalMaxAge: 1000, expires: 'later', path: '/' }, { name: 'Ada' })],
    [
      'when one has more attributes',
      text({ originalMaxAge: 1000, secure: true, sameSite: 'lax' }, { name: 'Ada' }),
    ],
    [
      'whatever stands in an attribute',
      text({ originalMaxAge: 1000, path: '/"}{\\', domain: '\\"' }, { name: 'Ada' }),
    ],
  ])('%s', (_, other) => {
    expect(sameButForCookie(plain, other)).toBe(true)
    expect(sameButForCookie(new Uint8Array(other), new Uint8Array(plain))).toBe(true)
  })

  test('when nothing but the cookie is there', () => {
    expect(
      sameButForCookie(
        text({ originalMaxAge: null, expires }, {}),
        text({ originalMaxAge: null, path: '/' }, {}),
      ),
    ).toBe(true)
  })
})

describe('two texts of sessions are not taken for the same', () => {
  const one = text({ originalMaxAge: 1000, path: '/' }, { name: 'Ada' })

  test.each([
    ['with other data', text({ originalMaxAge: 1000, path: '/' }, { name: 'Eva' })],
    ['with more data', text({ originalMaxAge: 1000, path: '/' }, { name: 'Ada', more: 1 })],
    ['with data in another order', Buffer.from('{"name":"Ada","cookie":{"originalMaxAge":1000,"path":"/"}}')],
    ['with another maxAge', text({ originalMaxAge: 2000, path: '/' }, { name: 'Ada' })],
    ['with a maxAge that begins the same', text({ originalMaxAge: 10001, path: '/' }, { name: 'Ada' })],
    ['without a maxAge', text({ path: '/' }, { name: 'Ada' })],
    ['with an object in the cookie', text({ originalMaxAge: 1000, more: { path: '/' } }, { name: 'Ada' })],
    [
      'with what ends the data standing in the cookie',
      text({ originalMaxAge: 1000, path: '},"name":"Ada"}' }, {}),
    ],
    ['cut off in the cookie', one.subarray(0, 40)],
    ['cut off in the head', one.subarray(0, 12)],
    ['empty', Buffer.alloc(0)],
  ])('%s', (_, other) => {
    expect(sameButForCookie(one, other)).toBe(false)
    expect(sameButForCookie(other, one)).toBe(false)
  })
})
