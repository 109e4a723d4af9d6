import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Signer } from '../../dist/core/signer.js'
import { createToken, hashOf, idOf } from '../../dist/core/token.js'
import { memorySessions, storedSession } from '../core/works.ts'
import { fuzz } from './fuzz.ts'

const secret = 'the secret that signs, long enough'
const olderSecret = 'the secret before it, long enough'
const signer = new Signer([secret, olderSecret])

const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const base64url = base64.replace('+/', '-_')

const tokens = fc.oneof(
  fc.uint8Array({ minLength: 27, maxLength: 27 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  // As an app's own generator may make them.
  fc.string({ minLength: 1, maxLength: 60 }),
)

/** The signature as the cookie-signature package makes it. */
function signatureOf(text: string, key = secret, hash = 'sha256'): string {
  return createHmac(hash, key).update(text).digest('base64').replace(/=+$/, '')
}

/** Each of some 820 values for a token of ours: all that one flipped bit or a cut at either end makes of it. */
function* nearTo(signed: string): Generator<string> {
  const bytes = Buffer.from(signed)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    // The bytes of a header are read as Latin-1; what is percent-encoded in it, as UTF-8.
    yield bytes.toString('latin1')
    if (bytes[bit >> 3]! > 0x7f) yield bytes.toString()
    bytes[bit >> 3]! ^= 1 << (bit & 7)
  }
  for (let length = 0; length < signed.length; length++) {
    yield signed.slice(0, length)
    yield signed.slice(signed.length - length)
  }
}

test(
  'no single bit of a signed token can be flipped, and nothing cut off either end',
  fuzz({ ci: 600, nightly: 60_000 }, tokens, (token) => {
    const signed = signer.sign(token)
    assert.deepEqual(signer.verify(signed), { token, renew: false })
    for (const value of nearTo(signed)) {
      if (signer.verify(value) !== undefined) assert.fail(`accepted: ${JSON.stringify(value)}`)
    }
  }),
)

type Forgery = (token: string, random: Random) => string

/** What a forgery needs of chance. */
interface Random {
  readonly place: number
  readonly text: string
  readonly other: string
}

/** Each makes something that is not the signed token, or the signed token itself where chance has it so. */
const forgeries: readonly Forgery[] = [
  // Edited.
  (token, { place, text }) => edited(signer.sign(token), place, 1, text),
  (token, { place, text }) => edited(signer.sign(token), place, 0, text),
  (token, { place, text }) => edited(signer.sign(token), place, text.length, text),
  (token, { place }) => edited(signer.sign(token), place, 1, ''),
  (token, { place }) => shiftedByte(signer.sign(token), place),
  // Empty parts, and many dots.
  (token) => `s:.${signatureOf(token)}`,
  (token) => `s:${token}.`,
  (token) => `s:${token}`,
  (token) => `${token}.${signatureOf(token)}`,
  (token) => `s:s:${token}.${signatureOf(token)}`,
  (token) => `s:${token}..${signatureOf(token)}`,
  (token, { place }) => `s:${token}${'.'.repeat(place)}${signatureOf(token)}`,
  (token, { place }) => `s:${token}.${signatureOf(token)}${'.'.repeat(place + 1)}`,
  (token) => `s:${token}.${signatureOf(token)}.${signatureOf(token)}`,
  (_token, { place }) => `s:${'.'.repeat(place)}`,
  (_token, { place }) => `s:.${'A'.repeat(place)}`,
  (token) => `j:${JSON.stringify(token)}.${signatureOf(token)}`,
  // The same signature in another spelling.
  (token) => `s:${token}.${signatureOf(token)}=`,
  (token) => `s:${token}.${unlike(signatureOf(token), translated(signatureOf(token), base64, base64url))}`,
  (token, { place }) => `s:${token}.${otherTail(signatureOf(token), place)}`,
  (token) => `s:${token}.${Buffer.from(signatureOf(token), 'base64').toString('hex')}`,
  (token) => `s:${token}.${Buffer.from(signatureOf(token), 'base64').toString('latin1')}`,
  (token) => `s:${token}.${unlike(signatureOf(token), signatureOf(token).toLowerCase())}`,
  (token, { place }) => `s:${token}.${edited(signatureOf(token), place, 0, '\n')}`,
  // A signature of something else, or by somebody else.
  (token, { other }) => `s:${token}.${signatureOf(`${other}!`)}`,
  (token) => `s:${token}.${signatureOf(`s:${token}`)}`,
  (token) => `s:${token}.${signatureOf(`sid=${token}`)}`,
  (token) => `s:${token}.${signatureOf('')}`,
  (token) => `s:${token}.${signatureOf(idOf(token))}`,
  (token, { text }) => `s:${token}.${signatureOf(token, `${secret}.${text}`)}`,
  (token) => `s:${token}.${signatureOf(token, secret.toUpperCase())}`,
  (token) => `s:${token}.${signatureOf(token, '')}`,
  (token) => `s:${token}.${signatureOf(token, secret, 'sha512').slice(0, 43)}`,
  (token) => `s:${token}.${createHash('sha256').update(`${secret}${token}`).digest('base64').slice(0, 43)}`,
  // The token in another spelling, and what lies in the database.
  (token, { text }) => `s:${token}${text || 'A'}.${signatureOf(token)}`,
  (token) => `s:${token}=.${signatureOf(token)}`,
  (token) => `s:${unlike(token, token.toUpperCase())}.${signatureOf(token)}`,
  (token) => idOf(token),
  (token) => `s:${idOf(token)}`,
  (token) => `s:${idOf(token)}.${signatureOf(token)}`,
  (token) => `s:${Buffer.from(hashOf(token)).toString('base64url')}.${signatureOf(token)}`,
  // Anything.
  (_token, { text }) => text,
  (token, { text }) => `s:${token}.${text}`,
  (_token, { text }) => `s:${text}.${signatureOf(`${text}!`)}`,
]

function edited(text: string, place: number, removed: number, inserted: string): string {
  const at = place % (text.length + 1)
  return text.slice(0, at) + inserted + text.slice(at + removed)
}

/** One character as another that has the same lowest byte: whoever compares bytes that were cut takes it for the same. */
function shiftedByte(text: string, place: number): string {
  const at = place % text.length
  return edited(text, at, 1, String.fromCharCode(text.charCodeAt(at) + 0x100 * (1 + (place % 200))))
}

function translated(text: string, from: string, to: string): string {
  return [...text].map((character) => to[from.indexOf(character)]).join('')
}

/** The 43rd character has two bits that no byte uses, so that four of them spell the same bytes. */
function otherTail(signature: string, place: number): string {
  const tail = base64.indexOf(signature.at(-1)!)
  return signature.slice(0, -1) + base64[tail ^ (1 + (place % 3))]
}

/** A spelling that happens to be the right one is no forgery. */
function unlike(original: string, spelling: string): string {
  return spelling === original ? `${spelling}!` : spelling
}

test(
  'of a million forgeries none is accepted',
  fuzz(
    { ci: 500_000, nightly: 50_000_000 },
    fc.tuple(
      fc.constantFrom(...forgeries),
      tokens,
      fc.record({ place: fc.nat(200), text: fc.string({ unit: 'binary', maxLength: 50 }), other: tokens }),
    ),
    ([forgery, token, random]) => {
      const value = forgery(token, random)
      const isTrue = value === `s:${token}.${signatureOf(token)}`
      assert.ok(isTrue || signer.verify(value) === undefined, value)
    },
  ),
)

test('what lies in the database leads nowhere, even if the right secret signs it', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { canary: 1 }, 'ada')
  const { publicId } = (await sessions.load(token)).session!
  const hash = Buffer.from(hashOf(token))
  const columns = [
    idOf(token),
    publicId,
    'ada',
    hash.toString('hex'),
    hash.toString('base64url'),
    `coat_${publicId}`,
  ]
  for (const column of columns) {
    const { token: read } = signer.verify(signer.sign(column))!
    const work = await sessions.load(read)
    expect([work.isNew, work.userId, { ...work.session }], column).toEqual([true, undefined, {}])
  }
})

test('a signed value of a million bytes is refused in time that grows no faster than it', () => {
  const long = 2_000_000
  // Counted, not timed: what is quadratic in these would not come back within the test's time limit.
  for (const filling of ['.', 's:', 'A', '.A', 'é', '\0']) {
    const text = filling.repeat(long / filling.length)
    for (const value of [text, `s:${text}`, `s:${text}.${'A'.repeat(43)}`, `s:${createToken()}.${text}`]) {
      expect(signer.verify(value)).toBeUndefined()
    }
  }
})
