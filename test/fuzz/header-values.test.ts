import assert from 'node:assert/strict'
import { createHmac, hkdfSync } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'vitest'
import { headerForm, Signer } from '../../dist/core/signer.js'
import { createToken } from '../../dist/core/token.js'
import { memorySessions, secret, storedSession } from '../core/works.ts'
import { fuzz } from './fuzz.ts'
import { assertNoPollution } from './rows.ts'

const sessions = memorySessions({ header: true })
const signer = new Signer(secret, headerForm)
const cookies = new Signer(secret)

const [ada, bob] = [
  await storedSession(sessions, { owner: 'ada' }, 'ada'),
  await storedSession(sessions, { owner: 'bob' }, 'bob'),
]
/** What leads to somebody: these very texts, and no other. */
const owners = new Map([
  [signer.sign(ada), 'ada'],
  [signer.sign(bob), 'bob'],
])

const hostileText = fc.oneof(
  fc.constantFrom(
    '', ' ', '\t', ',', ', ', ';', '=', '==', '"', '.', '..', '~', '~~', '+', '/', '-', '_', '%', '%2E', '\0', '\r', '\n',
    '\x7f', '\x80', '\xff', '\u00a0', '\u2000', '\ufeff', '\u{1f36a}', '\ud800', 'Bearer', 'Bearer ', 'Basic ', 's:', 'coat_',
    'token=', '__proto__', 'constructor', 'null', 'new', 'A'.repeat(64 * 1024),
  ), // prettier-ignore
  fc.string({ unit: 'binary', maxLength: 8 }),
)

const signedValues = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...owners.keys()) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ada,
      cookies.sign(ada),
      cookies.sign(ada).slice(2),
      encodeURIComponent(cookies.sign(bob)),
      new Signer('the secret of somebody else', headerForm).sign(ada),
      signer.sign(createToken()),
      signer.sign('of another generator'),
    ),
  },
)

type Spelling = (value: string, text: string, place: number) => string

const spellings: readonly Spelling[] = [
  (value) => value,
  (value) => value,
  (value, text) => value + text,
  (value, text) => text + value,
  (value, text, place) => value.slice(0, place % value.length) + text + value.slice(place % value.length),
  (value, text, place) =>
    value.slice(0, place % value.length) + text + value.slice((place % value.length) + 1),
  (value, _text, place) => value.slice(0, place % value.length),
  (value, _text, place) => value.slice(place % value.length),
  (value, _text, place) => flipped(value, place),
  (value) => value.toUpperCase(),
  (value) => value.toLowerCase(),
  (value) => `~${Buffer.from(value).toString('base64url')}`,
  (value) => `~${Buffer.from(value.split('.')[0]!).toString('base64url')}.${value.split('.')[1]}`,
  (value, text) => value.replace('.', text),
  (value) => [value, value].join(', '),
  (_value, text) => text,
]

function flipped(value: string, place: number): string {
  const bytes = Buffer.from(value)
  bytes[place % bytes.length]! ^= 1 << (place & 7)
  return bytes.toString('latin1')
}

const schemes = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('Bearer ', 'bearer ', 'BEARER\t', 'bEaReR \t ') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Bearer', '', 'Basic ', 'Bearer\u00a0', 'Bearer\n', 'Bearer:', 'Token '),
  },
  { weight: 1, arbitrary: hostileText },
)

const headers = fc
  .tuple(schemes, signedValues, fc.constantFrom(...spellings), hostileText, fc.nat(5_000))
  .map(([scheme, value, spelled, text, place]) => scheme + spelled(value, text, place))

test(
  'an Authorization header leads to the one whose very token it has behind Bearer, and else to nobody',
  fuzz({ ci: 100_000, nightly: 10_000_000 }, headers, async (header) => {
    const rest = /^bearer[ \t]+(.*)$/is.exec(header)?.[1]
    const owner = rest === undefined ? undefined : owners.get(rest)
    const exchange = await sessions.exchange({ cookieHeader: undefined, header: () => header, secure: true })
    const { work } = exchange
    assert.deepEqual([work.userId, { ...work.session }], [owner, owner === undefined ? {} : { owner }])
    assert.equal(exchange.finish(), undefined)
    assertNoPollution()
  }),
)

/** The signature by Node's own HKDF and HMAC. */
function signatureOf(token: string): string {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'coatcheck header transport', 32))
  return createHmac('sha256', key).update(token).digest('base64url')
}

test(
  'any token that is text travels, as a b64token, and comes back the same',
  fuzz(
    { ci: 100_000, nightly: 10_000_000 },
    fc.oneof(
      fc.string({ minLength: 1, maxLength: 60 }),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
    ),
    (token) => {
      if (!token.isWellFormed()) return assert.throws(() => signer.sign(token), TypeError)
      const value = signer.sign(token)
      assert.match(value, /^[A-Za-z0-9._~+/-]+=*$/)
      assert.ok(value.endsWith(`.${signatureOf(token)}`))
      assert.deepEqual(signer.verify(value), { token, renew: false })
      assert.equal(cookies.verify(value), undefined)
      assert.equal(cookies.verify(`s:${token}.${signatureOf(token)}`), undefined)
    },
  ),
)
