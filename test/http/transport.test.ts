import { createHmac } from 'node:crypto'
import { MemoryStore, type SessionError, type Sessions, type SessionsOptions } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { cookieForm, headerForm, Signer } from '../../dist/core/signer.js'
import { createToken } from '../../dist/core/token.js'
import { bag, memorySessions, secret } from '../core/works.ts'

const oldSecret = 'a secret that is to be retired'

/** The signature as RFC 5869 (HKDF) and RFC 2104 (HMAC) have it, written out. */
function signatureOf(token: string, key = secret): string {
  const hmac = (by: string | Buffer, text: string) => createHmac('sha256', by).update(text)
  const extracted = createHmac('sha256', Buffer.alloc(32)).update(key).digest()
  return hmac(hmac(extracted, 'coatcheck header transport\u0001').digest(), token).digest('base64url')
}

/** Of other generators than ours, such as uid-safe's and a database's. */
const foreignTokens = [
  'uid-safe_24-bytes-of-base64url--',
  '550e8400-e29b-41d4-a716-446655440000',
  'x',
  '.',
  '~',
  '~~.',
  's:abc.def',
  'with blanks, and commas; too',
  'ümläut 🍪',
  '\0\r\n',
  'coat_short',
]

describe('a token in a header', () => {
  const signer = new Signer(secret, headerForm)

  test('of ours is the token, a dot and its signature', () => {
    const token = createToken()
    expect(signer.sign(token)).toBe(`${token}.${signatureOf(token)}`)
    expect(signer.verify(signer.sign(token))).toEqual({ token, renew: false })
  })

  test.each(foreignTokens)('of another generator is its base64url behind a tilde: %j', (token) => {
    const value = signer.sign(token)
    expect(value).toBe(`~${Buffer.from(token).toString('base64url')}.${signatureOf(token)}`)
    expect(value).toMatch(/^[A-Za-z0-9._~+/-]+=*$/) // b64token of RFC 6750
    expect(signer.verify(value)).toEqual({ token, renew: false })
  })

  test('that no header can carry is an error', () => {
    expect(() => signer.sign('\ud800')).toThrow(TypeError)
  })

  test('of an old secret is good, and is to be renewed', () => {
    const token = createToken()
    const both = new Signer([secret, oldSecret], headerForm)
    expect(both.verify(new Signer(oldSecret, headerForm).sign(token))).toEqual({ token, renew: true })
    expect(both.verify(signer.sign(token))).toEqual({ token, renew: false })
    expect(signer.verify(new Signer(oldSecret, headerForm).sign(token))).toBeUndefined()
  })

  test.each([createToken(), ...foreignTokens])(
    'is no cookie, and a cookie is none in a header, whatever is put before it or taken off: %j',
    (token) => {
      const cookies = new Signer(secret, cookieForm)
      const [header, cookie] = [signer.sign(token), cookies.sign(token)]
      const text = (value: string) => value.slice(0, value.lastIndexOf('.'))
      const signature = (value: string) => value.slice(value.lastIndexOf('.') + 1)
      const url = (value: string) => value.replaceAll('+', '-').replaceAll('/', '_')
      const base64 = (value: string) => value.replaceAll('-', '+').replaceAll('_', '/')
      const encoded = `~${Buffer.from(token).toString('base64url')}`
      for (const part of [text(cookie), token, encoded, text(header)]) {
        for (const prefix of ['', 's:', '~', 's:~', 'Bearer ']) {
          for (const signed of [signature(cookie), url(signature(cookie)), base64(signature(cookie))])
            expect(signer.verify(`${prefix}${part}.${signed}`)).toBeUndefined()
          for (const signed of [signature(header), url(signature(header)), base64(signature(header))])
            expect(cookies.verify(`${prefix}${part}.${signed}`)).toBeUndefined()
        }
      }
    },
  )

  test('has one spelling', () => {
    const value = signer.sign('ab') // "YWI": its last character has two bits that no byte uses
    expect(value).toMatch(/^~YWI\./)
    for (const other of ['~YWJ', '~YWI=', '~YW I', '~ YWI', '~YWI\n', 'YWI', '~~YWI'])
      expect(signer.verify(value.replace('~YWI', other))).toBeUndefined()
    // Our own form never travels behind a tilde.
    const own = createToken()
    const tilde = `~${Buffer.from(own).toString('base64url')}.${signatureOf(own)}`
    expect(signer.verify(tilde)).toBeUndefined()
    // Nor do bytes that are no UTF-8.
    const bytes = `~${Buffer.from([0xff]).toString('base64url')}.${signatureOf('\ufffd')}`
    expect(signer.verify(bytes)).toBeUndefined()
  })
})

/** Begins with headers as `fetch` has them. */
async function begin(sessions: Sessions, given: Record<string, string> = {}) {
  const headers = new Headers(given)
  return sessions.exchange({
    cookieHeader: headers.get('cookie') ?? undefined,
    header: (name) => headers.get(name) ?? undefined,
    secure: true,
  })
}

async function signedIn(sessions: Sessions, headers: Record<string, string>): Promise<string> {
  const exchange = await begin(sessions, headers)
  await bag(exchange.work).signIn('ada')
  return (await exchange.finish())!.value
}

describe('an exchange', () => {
  test('takes the token of the header, gives the next one there, and empties it after a sign-out', async () => {
    const sessions = memorySessions({ header: true })
    const token = await signedIn(sessions, { authorization: 'Bearer new' })
    const known = await begin(sessions, { authorization: `Bearer ${token}` })
    expect(known.work.userId).toBe('ada')
    expect(known.finish()).toBeUndefined()
    const rotating = await begin(sessions, { authorization: `bEaReR \t ${token}` })
    await bag(rotating.work).rotate()
    const changes = await rotating.finish()
    expect(changes).toMatchObject({
      name: 'Session-Token',
      value: expect.stringMatching(/^coat_[\w-]{48}\.[\w-]{43}$/) as string,
    })
    expect(changes!.value).not.toBe(token)
    expect(changes!.cacheControl('public, max-age=60')).toBe('no-store')
    expect(changes!.drops('CDN-Cache-Control', 'max-age=60')).toBe(true)
    const leaving = await begin(sessions, { authorization: `Bearer ${changes!.value}` })
    await bag(leaving.work).signOut()
    expect(await leaving.finish()).toMatchObject({ name: 'Session-Token', value: '' })
    expect((await begin(sessions, { authorization: `Bearer ${changes!.value}` })).work.isNew).toBe(true)
  })

  test('tells what the response depends on', async () => {
    const varyOf = async (options: Partial<SessionsOptions>, headers?: Record<string, string>) => {
      const { work, ...exchange } = await begin(memorySessions(options), headers).then((begun) => ({
        work: begun.work,
        vary: () => begun.vary,
      }))
      const before = exchange.vary()
      void bag(work).seen
      return [before, exchange.vary()]
    }
    const bearer = { authorization: 'Bearer new' }
    expect(await varyOf({})).toEqual([undefined, 'Cookie'])
    expect(await varyOf({ header: true })).toEqual([undefined, 'Authorization, Cookie'])
    expect(await varyOf({ header: true }, bearer)).toEqual([undefined, 'Authorization, Cookie'])
    expect(await varyOf({ header: { cookie: false } }, bearer)).toEqual([undefined, 'Authorization'])
    expect(await varyOf({ header: { name: 'X-Session', cookie: false } })).toEqual([undefined, 'X-Session'])
  })

  test.each([
    [{ header: true }, { authorization: 'Bearer x' }, true],
    [{ header: true }, { authorization: 'Bearer' }, true],
    [{ header: true }, { authorization: 'BEARER x, Basic y' }, true],
    [{ header: true }, { authorization: 'Basic eDp5' }, false],
    [{ header: true }, { authorization: 'Basic eDp5, Bearer x' }, false],
    [{ header: true }, { authorization: 'Bearertoken' }, false],
    [{ header: true }, { authorization: '' }, false],
    [{ header: true }, { 'x-session': 'x' }, false],
    [{ header: true }, {}, false],
    [{ header: { name: 'X-Session' } }, { 'x-session': 'x' }, true],
    [{ header: { name: 'X-Session' } }, { 'x-session': '' }, true],
    [{ header: { name: 'X-Session' } }, { authorization: 'Bearer x' }, false],
    [{}, { authorization: 'Bearer x' }, false],
  ] as [Partial<SessionsOptions>, Record<string, string>, boolean][])(
    'with the options %j and the headers %j uses the header: %s',
    (options, given, expected) => {
      const headers = new Headers(given)
      const header = (name: string) => headers.get(name) ?? undefined
      expect(memorySessions(options).usesHeader({ header })).toBe(expected)
    },
  )

  test('renews a token of an old secret with the next response, although nothing else changed', async () => {
    const store = new MemoryStore()
    const old = await signedIn(memorySessions({ store, header: true, secret: oldSecret }), {
      authorization: 'Bearer new',
    })
    const both = memorySessions({ store, header: true, secret: [secret, oldSecret] })
    const renewed = await (await begin(both, { authorization: `Bearer ${old}` })).finish()
    expect(renewed).toMatchObject({ name: 'Session-Token' })
    expect(renewed!.value.split('.')[0]).toBe(old.split('.')[0])
    const newest = memorySessions({ store, header: true })
    expect((await begin(newest, { authorization: `Bearer ${renewed!.value}` })).work.userId).toBe('ada')
    expect((await begin(newest, { authorization: `Bearer ${old}` })).work.isNew).toBe(true)
  })

  test('does not need a header function if the option is set: the cookie is used', async () => {
    const sessions = memorySessions({ header: true })
    const exchange = await sessions.exchange({ cookieHeader: undefined, secure: true })
    bag(exchange.work).seen = true
    expect(await exchange.finish()).toMatchObject({ name: 'Set-Cookie' })
  })
})

describe('the option header', () => {
  test.each<[string, unknown, RegExp]>([
    ['a text', 'X-Session', /header was given a text/],
    ['false', false, /header was given a boolean/],
    ['an unknown option', { scheme: 'Token' }, /header has no option "scheme"/],
    ['cookie as a text', { cookie: 'no' }, /header\.cookie must be true or false, not "no"/],
    ['a name with a blank', { name: 'X Session' }, /header\.name must be/],
    ['a name that adds a header', { name: 'X-Session\r\nX: y' }, /header\.name must be/],
    ['an empty name', { name: '' }, /header\.name must be/],
    ['a name that is no text', { name: 7 }, /header\.name must be.*not 7/],
    ['a response name that is no header', { response: 'Session Token' }, /header\.response must be/],
    ['Set-Cookie as the response', { response: 'Set-Cookie' }, /header\.response must be/],
    ['Cache-Control as the response', { response: 'Cache-Control' }, /header\.response must be/],
    ['DBSC as the response', { response: 'Secure-Session-Registration' }, /header\.response must be/],
  ])('refuses %s', (_what, header, message) => {
    expect(() => memorySessions({ header: header as true })).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }) as SessionError,
    )
  })

  // Whatever a page can send without a preflight, or what browsers and proxies send by themselves, would turn the check
  // against forged requests off.
  test.each([
    'Accept', 'Accept-Language', 'Content-Language', 'Content-Type', 'Content-Length', 'Range', 'DPR', 'Downlink', 'ECT',
    'RTT', 'Save-Data', 'Width', 'Viewport-Width', 'Cookie', 'Host', 'Origin', 'Referer', 'User-Agent', 'Connection', 'DNT',
    'Priority', 'If-None-Match', 'Upgrade-Insecure-Requests', 'Sec-Fetch-Site', 'Sec-Session-Id', 'Sec-Session-Token',
    'Proxy-Authorization', 'Access-Control-Request-Method', 'X-Forwarded-For', 'x-forwarded-session', 'X-Real-IP', 'X-',
    'X-Amzn-Trace-Id', 'X-Requested-With', 'X-Scheme', 'X-Request-Token', 'X-Wap-Profile', 'Forwarded', 'Via', 'authorisation',
  ])('refuses %s, which others may send', (name) => {
    expect(() => memorySessions({ header: { name } })).toThrow(/header\.name must be 'Authorization'/)
  }) // prettier-ignore

  test.each(['authorization', 'X-Session', 'x-login-token', 'Session', 'My-Token'])('accepts %s', (name) => {
    expect(memorySessions({ header: { name } }).usesHeader({ header: () => 'Bearer x' })).toBe(true)
  })

  test('without cookies refuses attributes of a cookie, which would never be set', () => {
    expect(() => memorySessions({ header: { cookie: false }, cookie: {} })).toThrow(
      /header\.cookie is false.*leave the option cookie out/,
    )
  })
})
