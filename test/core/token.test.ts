import crypto, { createHmac } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import fc from 'fast-check'
import { SessionError } from 'coatcheck'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createToken, keyOf, Signer } from '../../dist/core/token.js'

const first = 'the first secret, long enough'
const second = 'the second secret, long enough'

/** The algorithm of the cookie-signature package, written out. */
function cookieSignature(value: string, secret: string): string {
  return `${value}.${createHmac('sha256', secret).update(value).digest('base64').replace(/=+$/, '')}`
}

function optionErrorOf(act: () => unknown): SessionError {
  try {
    act()
  } catch (error) {
    if (error instanceof SessionError && error.code === 'ERR_SESSION_OPTION') return error
    throw error
  }
  throw new Error('nothing was thrown')
}

afterEach(() => {
  vi.useRealTimers()
})

describe('a token', () => {
  test('is 36 characters of base64url: 3 bytes of time and 24 random ones', () => {
    const token = createToken()
    expect(token).toMatch(/^[A-Za-z0-9_-]{36}$/)
    expect(Buffer.from(token, 'base64url')).toHaveLength(27)
  })

  test('shares no random byte position with all other tokens', () => {
    const tokens = Array.from({ length: 500 }, () => Buffer.from(createToken(), 'base64url'))
    for (let position = 3; position < 27; position++) {
      // 500 draws of one of 256 values: fewer than 100 distinct ones never happen by chance.
      expect(new Set(tokens.map((token) => token[position])).size).toBeGreaterThan(100)
    }
  })

  test('is not made without random bytes: what the system throws is thrown, and nothing weaker is used', () => {
    const { randomBytes } = crypto
    const failure = new Error('no entropy')
    Object.assign(crypto, {
      randomBytes: () => {
        throw failure
      },
    })
    syncBuiltinESMExports()
    try {
      expect(createToken).toThrow(failure)
    } finally {
      Object.assign(crypto, { randomBytes })
      syncBuiltinESMExports()
    }
    expect(createToken()).toHaveLength(36)
  })

  test('begins with a count of 256 seconds, so that keys made near each other lie near each other', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 256_000 * 0x010203 })
    const token = createToken()
    expect(Buffer.from(token, 'base64url').subarray(0, 3).toString('hex')).toBe('010203')
    expect(keyOf(token).slice(0, 6)).toBe('010203')
    vi.setSystemTime(256_000 * 0x010203 + 255_999)
    expect(keyOf(createToken()).slice(0, 6)).toBe('010203')
    vi.setSystemTime(256_000 * 0x010204)
    expect(keyOf(createToken()).slice(0, 6)).toBe('010204')
  })

  test('made later has the later key', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1) })
    const keys: string[] = []
    for (let step = 0; step < 50; step++) {
      keys.push(keyOf(createToken()))
      vi.setSystemTime(Date.now() + 256_000)
    }
    expect(keys.toSorted()).toEqual(keys)
  })
})

describe('a key', () => {
  test('is 48 lower-case hexadecimal digits, whatever the token is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (token) => {
        expect(keyOf(token)).toMatch(/^[0-9a-f]{48}$/)
      }),
    )
  })

  test('is always the same for one token, and another for another', () => {
    const [one, other] = [createToken(), createToken()]
    expect(keyOf(one)).toBe(keyOf(one))
    expect(keyOf(one)).not.toBe(keyOf(other))
  })

  test('neither equals the token nor shows any of its random bytes', () => {
    for (let round = 0; round < 1_000; round++) {
      const token = createToken()
      const key = keyOf(token)
      const randomBytes = Buffer.from(token, 'base64url').subarray(3)
      expect(key).not.toBe(token)
      expect(key).not.toContain(token)
      expect(key).not.toContain(randomBytes.toString('hex').slice(0, 16))
      expect(Buffer.from(key, 'hex').toString('base64url')).not.toContain(token.slice(4, 16))
    }
  })

  test('does not lead to itself: the key as a token has another key', () => {
    const key = keyOf(createToken())
    expect(keyOf(key)).not.toBe(key)
  })
})

describe('a signed token', () => {
  const signer = new Signer([first, second])
  const token = createToken()

  test('has the wire format of cookie-signature', () => {
    expect(signer.sign(token)).toBe(`s:${cookieSignature(token, first)}`)
  })

  test('of the cookie-signature package is verified, whatever its token looks like', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (value) => {
        expect(signer.verify(`s:${cookieSignature(value, first)}`)).toEqual({ token: value, renew: false })
      }),
    )
  })

  test('is the HMAC that node:crypto makes, of secrets and tokens of any length', () => {
    // Around 64 bytes, the block of SHA-256, and 36 characters, those of a token.
    const secrets = fc.oneof(
      fc.string({ minLength: 16, maxLength: 200 }),
      fc.string({ minLength: 60, maxLength: 70 }),
    )
    const tokens = fc.oneof(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      // As long as a token in characters, but not in bytes.
      fc.nat(36).map((count) => 'é'.repeat(count) + 'a'.repeat(36 - count)),
      fc.string({ minLength: 36, maxLength: 36 }),
    )
    fc.assert(
      fc.property(secrets, fc.array(tokens, { minLength: 1, maxLength: 4 }), (secret, values) => {
        const signer = new Signer(secret)
        for (const value of values) expect(signer.sign(value)).toBe(`s:${cookieSignature(value, secret)}`)
      }),
    )
  })

  test('of a later secret is verified, and said to need a new signature', () => {
    expect(signer.verify(new Signer(second).sign(token))).toEqual({ token, renew: true })
    expect(signer.verify(new Signer(first).sign(token))).toEqual({ token, renew: false })
  })

  test('of a retired secret is refused', () => {
    expect(new Signer(first).verify(new Signer(second).sign(token))).toBeUndefined()
  })

  test('with any single bit flipped is refused', () => {
    const bytes = Buffer.from(signer.sign(token))
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(signer.verify(flipped.toString('latin1')), `bit ${bit}`).toBeUndefined()
      expect(signer.verify(flipped.toString('utf8')), `bit ${bit}`).toBeUndefined()
    }
  })

  test('cut short at either end, or made longer, is refused', () => {
    const signed = signer.sign(token)
    for (let length = 0; length < signed.length; length++) {
      expect(signer.verify(signed.slice(0, length)), `the first ${length}`).toBeUndefined()
      expect(signer.verify(signed.slice(signed.length - length)), `the last ${length}`).toBeUndefined()
    }
    for (const more of ['=', 'A', ' ', '\0', '.']) expect(signer.verify(signed + more)).toBeUndefined()
  })

  test('in another spelling of the same signature is refused', () => {
    const signed = signer.sign(token)
    expect(signer.verify(`${signed}=`)).toBeUndefined()
    expect(signer.verify(signed.replace(/^s:/, 'S:'))).toBeUndefined()
    // The last character of 43 has two bits that no byte uses: four spellings, one of which is right.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    const accepted = [...alphabet].filter((last) => signer.verify(signed.slice(0, -1) + last) !== undefined)
    expect(accepted).toEqual([signed.at(-1)])
  })

  test('never lets any other text pass, and never throws on one', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(signer.verify(text)).toBeUndefined()
        expect(signer.verify(`s:${text}`)).toBeUndefined()
      }),
    )
    for (const text of ['', 's:', 's:.', 's:..', 's:...', '.', `s:.${'A'.repeat(43)}`]) {
      expect(signer.verify(text)).toBeUndefined()
    }
  })

  test('is not made by a key of the store', () => {
    expect(signer.verify(keyOf(token))).toBeUndefined()
    expect(signer.verify(`s:${keyOf(token)}`)).toBeUndefined()
  })
})

describe('secrets', () => {
  test('that are missing or empty in the first place throw, and say what to give', () => {
    for (const missing of [
      undefined,
      '',
      [],
      [''],
      [undefined, first],
      [null, first],
      [Buffer.alloc(0), first],
    ]) {
      const error = optionErrorOf(() => new Signer(missing as string))
      expect(error.message).toContain('SESSION_SECRET')
    }
  })

  test('shorter than 16 bytes throw, in any place of the list', () => {
    for (const short of ['15 characters..', ['15 characters..'], [first, 'short'], Buffer.alloc(15, 1)]) {
      expect(optionErrorOf(() => new Signer(short)).message).toContain('too short')
    }
    expect(() => new Signer('16 characters...')).not.toThrow()
  })

  test('that are neither text nor bytes throw', () => {
    const getSecret = () => first // without parameters its length is 0, as that of what is empty
    const wrongs = [1_234_567_890_123_456, {}, { length: 0 }, true, false, 0, getSecret, new ArrayBuffer(32)]
    for (const wrong of [
      ...wrongs,
      ...wrongs.map((each) => [each]),
      ...wrongs.map((each) => [first, each]),
    ]) {
      expect(optionErrorOf(() => new Signer(wrong as unknown as string)).message).toContain(
        'a text, a Buffer',
      )
    }
  })

  test('left unset after the first are skipped', () => {
    const signer = new Signer([first, undefined, '', second])
    expect(signer.verify(new Signer(second).sign('token'))).toEqual({ token: 'token', renew: true })
    expect(signer.verify(`s:${cookieSignature('token', '')}`)).toBeUndefined()
  })

  test('may be bytes, and are the same as their text', () => {
    expect(new Signer(Buffer.from(first)).sign('token')).toBe(new Signer(first).sign('token'))
    expect(new Signer(new Uint8Array(Buffer.from(first))).sign('token')).toBe(new Signer(first).sign('token'))
  })
})
