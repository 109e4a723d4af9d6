import assert from 'node:assert/strict'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Sessions } from 'coatcheck'
import { Signer } from '../../dist/core/signer.js'
import { createToken } from '../../dist/core/token.js'
import { cookieValues } from '../../dist/http/cookie.js'
import { Exchange, type ExchangeContext } from '../../dist/http/exchange.js'
import { memorySessions, secret, storedSession } from '../core/works.ts'
import { fuzz } from './fuzz.ts'
import { assertNoPollution } from './rows.ts'

const name = '__Host-sid'
const sessions = memorySessions()
const signer = new Signer(secret)
const context = internalsOf(sessions)

/** What only the adapters see. */
function internalsOf(made: Sessions): ExchangeContext {
  const engine = made as unknown as ExchangeContext['engine'] & {
    readonly transports: { of: ExchangeContext['transportOf'] }
  }
  return { engine, transportOf: (request) => engine.transports.of(request) }
}

/** The tokens of those who are signed in, and of nobody. */
const owners = new Map<string, string>()
for (const owner of ['ada', 'bob']) owners.set(await storedSession(sessions, { owner }, owner), owner)
const [ada, bob] = [...owners.keys()] as [string, string]
const nobody = createToken()

/** What our secret signed: nothing else is ever a token. */
const signed = new Map([ada, bob, nobody].map((token) => [signer.sign(token), token]))

/** A cookie's pairs as RFC 6265bis reads them, section 5.6, steps 3 to 6: written out, and not as the library does it. */
function pairsOf(header: string): { name: string; value: string }[] {
  return header.split(';').map((text) => {
    const [, before, after] = /^([^=]*)=(.*)$/s.exec(text) ?? [undefined, '', text]
    return { name: withoutBlanks(before!), value: withoutBlanks(after!) }
  })
}

/** Without the SP and HTAB at its ends, and without anything else that scripts take for white space. */
function withoutBlanks(text: string): string {
  return /^[ \t]*((?:.*[^ \t])?)[ \t]*$/s.exec(text)![1]!
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text without percent-encoding; `undefined` if that is malformed. */
function decoded(text: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) return undefined
  try {
    return text.replace(/(?:%..)+/g, (bytes) => utf8.decode(Buffer.from(bytes.replaceAll('%', ''), 'hex')))
  } catch {
    return undefined
  }
}

function expectedValues(header: string, wanted: string): string[] {
  return pairsOf(header)
    .filter((pair) => pair.name === wanted)
    .flatMap(({ value }) => decoded(value) ?? [])
}

/** Whose session the header leads to: that of all the tokens that we signed, if they are one user's. */
function expectedOwner(values: readonly string[]): string | undefined {
  const known = values.flatMap((value) => signed.get(value) ?? [])
  const all = new Set(known.flatMap((token) => owners.get(token) ?? []))
  return all.size === 1 ? [...all][0] : undefined
}

const hostileText = fc.oneof(
  fc.constantFrom(
    '', '%', '%%', '%2', '%zz', '%25', '%2525', '%ff', '%C0%80', '%ED%A0%80', '%EF%BB%BF', '%00', '%3B', '%3D', '%0D%0A',
    '"', '\\', '=', '==', ',', '\0', '\r', '\n', '\r\n', '\x7f', '\x80', '\xff', '\u00a0', '\u2000', '\ufeff', '\u{1f36a}', '\ud800',
    ' ', '\t', '\v', '\f', '__proto__', 'constructor', '$Version=1', 'j:{"a":1}', 's:', '{}', '<script>', "' OR 1=1",
  ), // prettier-ignore
  fc.string({ unit: 'binary', maxLength: 8 }),
)

const names = fc.oneof(
  { weight: 5, arbitrary: fc.constant(name) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '__hOsT-sid', '__HOST-SID', '__Secure-sid', 'sid', 'connect.sid', '', '$Version', '$Path', '__proto__', 'constructor',
      'toString', 'hasOwnProperty', '\u00a0__Host-sid', '__Host-sid\u00a0', '\u2000__Host-sid', '\ufeff__Host-sid', '\v__Host-sid',
      '__Host-sid\0', '\0__Host-sid', '"__Host-sid"', '%5F%5FHost-sid', ' __Host-sid', '\t__Host-sid \t', '\n__Host-sid', '__Host-sid2',
      '__Host-si', 'x__Host-sid', '__Host-sid;', '__Host-sid,', '__Host- sid', '__Host-s\u0131d',
    ), // prettier-ignore
  },
  { weight: 1, arbitrary: hostileText },
)

/** A signed value as a client may spell it: the first three as browsers send back what they were given. */
const spellings: readonly ((value: string, text: string) => string)[] = [
  encodeURIComponent,
  encodeURIComponent,
  (value) => value,
  (value) => value.replaceAll(/./gs, (letter) => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`),
  (value) => encodeURIComponent(encodeURIComponent(value)),
  (value) => `"${value}"`,
  (value) => ` \t${value}\t `,
  (value) => `\u00a0${value}`,
  (value) => `${value}\u2000`,
  (value) => value.slice(0, -1),
  (value) => value.slice(2),
  (value, text) => value + text,
  (value, text) => text + value,
  (value, text) => value.replace('.', text),
]

const values = fc.oneof(
  fc
    .tuple(fc.constantFrom(...signed.keys()), fc.constantFrom(...spellings), hostileText)
    .map(([value, spelled, text]) => spelled(value, text)),
  fc.constantFrom(ada, new Signer('the secret of somebody else').sign(ada), `s:${ada}.`),
  hostileText,
)

const separators = fc.constantFrom('; ', '; ', '; ', ';', ';;', ' ; ', ';\t', ',', '&', ';\u00a0', '\r\n', '')
const pieces = fc
  .tuple(names, fc.constantFrom('=', '=', '=', '=', ' = ', '==', '', '\u00a0='), values, separators)
  .map((parts) => parts.join(''))

/** Filled up to right below, at, and right above what a cookie may have by RFC 6265bis, section 5.6. */
function padded(header: string, length: number): string {
  return length > header.length ? `${header}; pad=`.padEnd(length, 'x') : header
}

const headers = fc.oneof(
  { weight: 60, arbitrary: fc.array(pieces, { maxLength: 6 }) },
  { weight: 1, arbitrary: fc.array(pieces, { minLength: 1, maxLength: 500, size: 'max' }) },
)
const inputs = fc
  .tuple(headers, fc.constantFrom(0, 0, 0, 4_095, 4_096, 4_097))
  .map(([all, length]) => padded(all.join(''), length))

test(
  'a Cookie header gives the values that RFC 6265bis reads of it, and leads to the session of whom we gave one of them',
  fuzz({ ci: 100_000, nightly: 10_000_000 }, inputs, async (header) => {
    for (const wanted of [name, 'sid', '__proto__', 'constructor']) {
      assert.deepEqual(cookieValues(header, wanted), expectedValues(header, wanted))
    }
    const asked = { cookieHeader: header, secure: true, anonymousWhenUnavailable: false }
    const exchange = await Exchange.begin(context, asked)
    const owner = expectedOwner(expectedValues(header.slice(0, 16_384), name))
    const { work } = exchange
    assert.deepEqual([work.userId, { ...work.session }], [owner, owner === undefined ? {} : { owner }])
    assert.equal(exchange.finish(), undefined)
    assertNoPollution()
  }),
)

test('of two cookies of our name, in both orders, one that somebody planted hides nothing', async () => {
  const planted = [
    '',
    '%',
    'x',
    encodeURIComponent(new Signer('the secret of somebody else').sign(bob)),
    nobody,
  ]
  for (const value of planted) {
    const pairs = [`${name}=${value}`, `${name}=${encodeURIComponent(signer.sign(ada))}`]
    for (const header of [pairs.join('; '), pairs.toReversed().join('; ')]) {
      const asked = { cookieHeader: header, secure: true, anonymousWhenUnavailable: false }
      expect((await Exchange.begin(context, asked)).work.userId, header).toBe('ada')
    }
  }
})

test('a header of megabytes is read in time that grows no faster than it', () => {
  // Counted, not timed: what is quadratic in these would not come back within the test's time limit.
  const fillings = [
    ';',
    '=',
    ' ',
    '\t',
    '%',
    '"',
    '; ',
    ' =',
    `${name}`,
    `${name};`,
    `${name}=;`,
    `${name}=%;`,
    `x=1;`,
    '\u00a0',
  ]
  for (const filling of fillings) {
    const text = filling.repeat(2_000_000 / filling.length)
    expect(cookieValues(`${text};${name}=mine`, name).at(-1), filling).toBe('mine')
    expect(cookieValues(`${name}=mine;${text}`, name)[0], filling).toBe('mine')
    expect(() => cookieValues(`${name}=${text}`, name)).not.toThrow()
  }
})
