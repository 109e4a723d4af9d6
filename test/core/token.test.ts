import crypto, { createHash, createHmac, randomBytes } from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import fc from 'fast-check'
import { SessionError } from 'coatcheck'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Signer } from '../../dist/core/signer.js'
import { createId, createToken, hashOf, idOf, isOwnToken, isSameHash } from '../../dist/core/token.js'

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
  test('is "coat_", an id of 12 bytes and a secret of 24, in base64url', () => {
    const token = createToken()
    expect(token).toMatch(/^coat_[A-Za-z0-9_-]{48}$/)
    expect(Buffer.from(token.slice(5), 'base64url')).toHaveLength(36)
  })

  test('shares no random byte position with all other tokens', () => {
    const tokens = Array.from({ length: 500 }, () => Buffer.from(createToken().slice(5), 'base64url'))
    // Behind the time, the number of the id begins with bytes that change with each millisecond only.
    for (let position = 9; position < 36; position++) {
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
    expect(createToken()).toHaveLength(53)
  })
})

describe('an id', () => {
  const bytesOf = (id: string) => Buffer.from(id, 'base64url')

  test('begins with the milliseconds of the clock, be that set back too', () => {
    const time = () => bytesOf(createId()).subarray(0, 6).toString('hex')
    vi.useFakeTimers({ toFake: ['Date'], now: 0x01_02_03_04_05 })
    expect(time()).toBe('000102030405')
    vi.setSystemTime(0x01_02_03_04_06)
    expect(time()).toBe('000102030406')
    vi.setSystemTime(0x01_02_03_04_04)
    expect(time()).toBe('000102030404')
  })

  test('comes behind the one before, and by a random step, in the same millisecond too', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000 })
    const steps = Array.from({ length: 200 }, () => {
      const [before, next] = [bytesOf(createId()), bytesOf(createId())]
      return {
        isBehind: Buffer.compare(before, next) < 0,
        step: next.readUIntBE(6, 6) - before.readUIntBE(6, 6),
      }
    })
    // Once in some 100,000 there is no room for one more.
    expect(steps.filter(({ isBehind }) => !isBehind).length).toBeLessThanOrEqual(1)
    expect(new Set(steps.map(({ step }) => step)).size).toBeGreaterThan(190)
  })

  test('does not tell by its number how many were made before', () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 2_000 })
    const numbers = Array.from({ length: 100 }, (_, index) => {
      vi.setSystemTime(2_000 + index)
      return bytesOf(createId()).readUIntBE(6, 6)
    })
    expect(numbers.toSorted((one, other) => one - other)).not.toEqual(numbers)
  })

  test('is 16 characters of base64url, and for its token the same again', () => {
    for (let round = 0; round < 100; round++) {
      const id = createId()
      expect(id).toMatch(/^[\w-]{16}$/)
      expect(idOf(createToken(id))).toBe(id)
    }
  })

  test('of a token that is not ours is as long, the same for one token, and another for another', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (one, other) => {
        expect(idOf(one)).toMatch(/^[\w-]{16}$/)
        expect(idOf(one) === idOf(other)).toBe(one === other)
      }),
    )
  })

  test('of a token that is not ours shows nothing of it, nor of its hash', () => {
    for (let round = 0; round < 1_000; round++) {
      const token = randomBytes(24).toString('base64url')
      const hash = Buffer.from(hashOf(token))
      expect(token).not.toContain(idOf(token).slice(0, 8))
      expect(hash.toString('hex')).not.toContain(
        Buffer.from(idOf(token), 'base64url').toString('hex').slice(0, 12),
      )
    }
  })

  test('is never taken from a token that only looks like one of ours', () => {
    const token = createToken()
    for (const other of [
      `${token}x`,
      token.slice(0, -1),
      token.replace('coat_', 'Coat_'),
      `${token.slice(0, -1)}.`,
    ]) {
      expect([isOwnToken(other), idOf(other) === idOf(token)], other).toEqual([false, false])
    }
  })
})

describe('a hash', () => {
  test('is the SHA-256 of the whole token', () => {
    const token = createToken()
    expect(Buffer.from(hashOf(token)).toString('hex')).toBe(createHash('sha256').update(token).digest('hex'))
  })

  test('is another for another secret of the same id', () => {
    const id = createId()
    expect(isSameHash(hashOf(createToken(id)), hashOf(createToken(id)))).toBe(false)
  })

  test.each<[string, Uint8Array | undefined, Uint8Array | undefined]>([
    ['that is not there', undefined, undefined],
    ['that is cut off', hashOf('a'), hashOf('a').subarray(0, 31)],
    ['that is longer', Buffer.concat([hashOf('a'), Buffer.alloc(1)]), hashOf('a')],
    ['that is empty', Buffer.alloc(0), hashOf('a')],
    ['of another', hashOf('b'), hashOf('a')],
  ])('%s is not the same', (_name, one, other) => {
    expect(isSameHash(one, other)).toBe(false)
    expect(isSameHash(hashOf('a'), hashOf('a'))).toBe(true)
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

  test('is not made by what the store has of it', () => {
    for (const stored of [idOf(token), Buffer.from(hashOf(token)).toString('base64url')]) {
      expect(signer.verify(stored)).toBeUndefined()
      expect(signer.verify(`s:${stored}`)).toBeUndefined()
    }
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

  test('of one repeated character or byte throw, in any place of the list', () => {
    const repeated = ['x'.repeat(32), 'é'.repeat(32), '😀'.repeat(8), Buffer.alloc(32), Buffer.alloc(32, 7)]
    for (const same of [...repeated, ...repeated.map((each) => [first, each])]) {
      expect(optionErrorOf(() => new Signer(same)).message).toContain('one repeated')
    }
    expect(() => new Signer('x'.repeat(31) + 'y')).not.toThrow()
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

test('what was verified a moment ago is verified again, however many others came between, and what is forged never is', () => {
  const signer = new Signer('thirty-two characters of a secret')
  const signed = Array.from({ length: 5_000 }, () => signer.sign(createToken()))
  for (let round = 0; round < 2; round++) {
    for (const value of signed) {
      expect(value).toContain(signer.verify(value)!.token)
      expect(signer.verify(`${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`)).toBeUndefined()
    }
  }
})
