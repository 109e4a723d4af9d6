import { SessionError } from 'coatcheck'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CookieOptions, cookieValues, SessionCookie } from '../../dist/http/cookie.js'

const day = 86_400_000
const token = 's:token.signature'

describe('Set-Cookie is, byte for byte,', () => {
  test.each<[string, CookieOptions, boolean, string]>([
    [
      'by default over HTTPS',
      {},
      true,
      '__Host-sid=s%3Atoken.signature; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
    ['by default over HTTP', {}, false, 'sid=s%3Atoken.signature; Path=/; HttpOnly; SameSite=Lax'],
    [
      'with a domain over HTTPS',
      { domain: 'example.com' },
      true,
      '__Secure-sid=s%3Atoken.signature; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
    [
      'with a domain over HTTP',
      { domain: 'demo.localhost' },
      false,
      'sid=s%3Atoken.signature; Domain=demo.localhost; Path=/; HttpOnly; SameSite=Lax',
    ],
    [
      'with attributes that the options inherit',
      Object.create({ domain: 'example.com', sameSite: 'strict' }) as CookieOptions,
      true,
      '__Secure-sid=s%3Atoken.signature; Domain=example.com; Path=/; HttpOnly; Secure; SameSite=Strict',
    ],
    [
      'with a path',
      { path: '/app' },
      true,
      '__Secure-sid=s%3Atoken.signature; Path=/app; HttpOnly; Secure; SameSite=Lax',
    ],
    [
      'for all sites',
      { sameSite: 'none', secure: true },
      true,
      '__Host-sid=s%3Atoken.signature; Path=/; HttpOnly; Secure; SameSite=None',
    ],
    [
      'with a jar for each top-level site',
      { sameSite: 'none', secure: true, partitioned: true },
      true,
      '__Host-sid=s%3Atoken.signature; Path=/; HttpOnly; Secure; Partitioned; SameSite=None',
    ],
    [
      'strict, readable by scripts, of high priority',
      { sameSite: 'strict', httpOnly: false, priority: 'high' },
      true,
      '__Host-sid=s%3Atoken.signature; Path=/; Secure; Priority=High; SameSite=Strict',
    ],
    ['never Secure', { secure: false }, true, 'sid=s%3Atoken.signature; Path=/; HttpOnly; SameSite=Lax'],
    [
      'with a name of the app, used as it is',
      { name: 'connect.sid' },
      true,
      'connect.sid=s%3Atoken.signature; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
    [
      'persistent',
      { persistent: true },
      true,
      '__Host-sid=s%3Atoken.signature; Max-Age=2592000; Path=/; HttpOnly; Secure; SameSite=Lax',
    ],
  ])('%s', (_name, options, secure, expected) => {
    expect(new SessionCookie(options, 30 * day).set(token, secure)).toBe(expected)
  })

  test('to clear it, the same attributes without life', () => {
    expect(new SessionCookie({}, 30 * day).clear(true)).toBe(
      '__Host-sid=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
    )
    expect(
      new SessionCookie({ domain: 'example.com', path: '/app', persistent: true }, 30 * day).clear(false),
    ).toBe(
      'sid=; Max-Age=0; Domain=example.com; Path=/app; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax',
    )
    expect(
      new SessionCookie({ sameSite: 'none', secure: true, partitioned: true }, undefined).clear(true),
    ).toBe(
      '__Host-sid=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; Partitioned; SameSite=None',
    )
  })
})

describe('of all attributes together', () => {
  interface Given extends CookieOptions {
    readonly secureRequest: boolean
  }
  const anyOf = <Value>(values: readonly Value[]) => values
  const givens = anyOf(['auto', true, false, undefined] as const).flatMap((secure) =>
    anyOf([undefined, 'app', '__Secure-app', '__Host-app']).flatMap((name) =>
      anyOf([undefined, 'example.com']).flatMap((domain) =>
        anyOf([undefined, '/', '/app']).flatMap((path) =>
          anyOf(['auto', 'lax', 'strict', 'none', undefined] as const).flatMap((sameSite) =>
            anyOf([true, false, undefined]).flatMap((httpOnly) =>
              anyOf([true, false]).flatMap((rare): Given[] =>
                anyOf([true, false]).map((secureRequest) => ({
                  secureRequest,
                  secure,
                  name,
                  domain,
                  path,
                  sameSite,
                  httpOnly,
                  ...(rare && { partitioned: true, priority: 'low', persistent: true }),
                })),
              ),
            ),
          ),
        ),
      ),
    ),
  )

  /** Whether browsers would keep the cookie for whatever request it is set on. */
  const isPossible = ({ secure, name = '', domain, path = '/', sameSite, partitioned }: Given) => {
    if (partitioned === true && sameSite !== 'none') return false
    const needsSecure = sameSite === 'none' || partitioned === true || name.startsWith('__')
    if (needsSecure && secure !== true) return false
    return !name.startsWith('__Host-') || (domain === undefined && path === '/')
  }

  const expectedName = ({ name, domain, path = '/' }: Given, isSecure: boolean) => {
    if (name !== undefined) return name
    if (!isSecure) return 'sid'
    return domain === undefined && path === '/' ? '__Host-sid' : '__Secure-sid'
  }

  const expectedHeader = (given: Given, value: string, age: string, expires: string) => {
    const { secure = 'auto', domain, path = '/', sameSite = 'auto', httpOnly = true } = given
    const isSecure = secure === true || (secure === 'auto' && given.secureRequest)
    return [
      `${expectedName(given, isSecure)}=${value}`,
      age,
      domain === undefined ? '' : `Domain=${domain}`,
      `Path=${path}`,
      expires,
      httpOnly ? 'HttpOnly' : '',
      isSecure ? 'Secure' : '',
      given.partitioned === true ? 'Partitioned' : '',
      given.priority === undefined ? '' : 'Priority=Low',
      `SameSite=${{ auto: 'Lax', lax: 'Lax', strict: 'Strict', none: 'None' }[sameSite]}`,
    ]
      .filter((part) => part !== '')
      .join('; ')
  }

  test('those that browsers take make these very headers to set and to clear it', () => {
    const possible = givens.filter(isPossible)
    expect(possible.length).toBeGreaterThan(100)
    for (const given of possible) {
      const { secureRequest, ...options } = given
      const cookie = new SessionCookie(options, undefined)
      const age = given.persistent === true ? 'Max-Age=34560000' : ''
      expect(cookie.set(token, secureRequest)).toBe(expectedHeader(given, 's%3Atoken.signature', age, ''))
      expect(cookie.clear(secureRequest)).toBe(
        expectedHeader(given, '', 'Max-Age=0', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'),
      )
    }
  })

  test('all others are refused at start-up', () => {
    const impossible = givens.filter((given) => !isPossible(given))
    expect(impossible.length).toBeGreaterThan(100)
    for (const { secureRequest: _, ...options } of impossible) {
      expect(() => new SessionCookie(options, undefined), JSON.stringify(options)).toThrow(SessionError)
    }
  })
})

test('a persistent cookie lives as long as the session can, at most 400 days', () => {
  const maxAge = (absolute: number | undefined) =>
    /Max-Age=(\d+)/.exec(new SessionCookie({ persistent: true }, absolute).set(token, true))?.[1]
  expect(maxAge(400 * day - 1_000)).toBe('34559999')
  expect(maxAge(400 * day)).toBe('34560000')
  expect(maxAge(400 * day + 1_000)).toBe('34560000')
  expect(maxAge(undefined)).toBe('34560000')
  expect(maxAge(90_500)).toBe('90')
})

test('a cookie that must be Secure cannot be set on a request that is not', () => {
  expect(new SessionCookie({ secure: true }, undefined).settable(false)).toBe(false)
  expect(new SessionCookie({ secure: true }, undefined).settable(true)).toBe(true)
  for (const secure of [true, false]) {
    expect(new SessionCookie({}, undefined).settable(secure)).toBe(true)
    expect(new SessionCookie({ secure: false }, undefined).settable(secure)).toBe(true)
  }
})

test('a value of any token and signature fits the bytes that browsers keep', () => {
  // An id of an old package, of as many characters as its table took, each of which takes three bytes, under the longest name.
  const value = `s:${'/'.repeat(128)}.${'+'.repeat(43)}`
  const cookie = new SessionCookie({ name: 'n'.repeat(200) }, undefined).set(value, true)
  expect(Buffer.byteLength(cookie.split(';', 1)[0]!) - 1).toBeLessThanOrEqual(4_096)
  expect(() => new SessionCookie({ name: 'n'.repeat(201) }, undefined)).toThrow(/1 to 200/)
})

test('a path of 1,024 bytes is set, and a longer one is refused, since browsers would ignore it', () => {
  const path = `/${'p'.repeat(1_023)}`
  expect(new SessionCookie({ path }, undefined).set(token, true)).toContain(`Path=${path};`)
  expect(() => new SessionCookie({ path: `${path}p` }, undefined)).toThrow(
    /cookie\.path is longer than 1024 bytes/,
  )
})

describe('impossible cookies throw at start-up:', () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ['SameSite=None without Secure', { sameSite: 'none' }, /secure true/],
    ['SameSite=None with Secure as it comes', { sameSite: 'none', secure: 'auto' }, /secure true/],
    ['SameSite=None, never Secure', { sameSite: 'none', secure: false }, /secure true/],
    ['Partitioned without Secure', { partitioned: true }, /secure true/],
    ['Partitioned without SameSite=None', { partitioned: true, secure: true }, /sameSite 'none' too/],
    [
      'Partitioned with SameSite=Lax',
      { partitioned: true, secure: true, sameSite: 'lax' },
      /sameSite 'none' too/,
    ],
    ['__Host- without Secure', { name: '__Host-sid' }, /__Host-sid needs cookie\.secure true/],
    [
      '__Secure- without Secure',
      { name: '__Secure-sid', secure: false },
      /__Secure-sid needs cookie\.secure/,
    ],
    ['__hOsT- without Secure', { name: '__hOsT-sid' }, /needs cookie\.secure true/],
    [
      '__Host- with a domain',
      { name: '__Host-sid', secure: true, domain: 'example.com' },
      /no Domain.*__Secure-/,
    ],
    ['__Host- with a path', { name: '__Host-sid', secure: true, path: '/app' }, /only the path '\/'/],
    ['__hOsT- with a domain', { name: '__hOsT-sid', secure: true, domain: 'example.com' }, /no Domain/],
    ['a domain with a leading dot', { domain: '.example.com' }, /without scheme, port or leading dot/],
    ['a domain with a scheme', { domain: 'https://example.com' }, /without scheme/],
    ['a domain with a port', { domain: 'example.com:3000' }, /port/],
    ['a domain in upper case', { domain: 'Example.com' }, /lower case/],
    ['a domain that adds an attribute', { domain: 'example.com; HttpOnly' }, /host name/],
    ['an empty domain', { domain: '' }, /host name/],
    ['localhost', { domain: 'localhost' }, /single label.*my\.localhost/],
    ['an IP address', { domain: '192.168.0.7' }, /IP address.*leave domain out/],
    ['a public suffix', { domain: 'co.uk' }, /public suffix.*example\.co\.uk/],
    ['a public suffix by a wildcard', { domain: 'anything.ck' }, /public suffix.*example\.anything\.ck/],
    ["a hoster's suffix", { domain: 'github.io' }, /public suffix.*example\.github\.io/],
    ['a path that does not begin with a slash', { path: 'app' }, /begin with '\/'/],
    ['a domain that is no text', { domain: 7 }, /host name/],
    ['a name that is no text', { name: true }, /1 to 200/],
    ['an unknown sameSite', { sameSite: 'Lax' }, /'auto', 'lax', 'strict' or 'none', not "Lax"/],
    ['an unknown secure', { secure: 'yes' }, /true, false or 'auto', not "yes"/],
    ['an unknown priority', { priority: 'urgent' }, /'low', 'medium' or 'high', not "urgent"/],
    ['an unknown option', { maxAge: 60 }, /no option "maxAge".*persistent/],
  ])('%s', (_name, options, message) => {
    expect(() => new SessionCookie(options, undefined)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }) as SessionError,
    )
  })

  test('but the prefixes with what they need do not', () => {
    expect(new SessionCookie({ name: '__Host-app', secure: true }, undefined).name(true)).toBe('__Host-app')
    const shared = { name: '__Secure-app', secure: true, domain: 'example.com', path: '/app' } as const
    expect(new SessionCookie(shared, undefined).name(true)).toBe('__Secure-app')
  })
})

describe('of a Cookie header', () => {
  test.each<[string, string | undefined, string[]]>([
    ['without a value, nothing is read', undefined, []],
    ['that is empty, nothing is read', '', []],
    ['the one value is read', 'sid=a', ['a']],
    ['the value among others is read', 'a=1; sid=b; c=3', ['b']],
    ['all values of a name are read, in order', 'sid=a; sid=b; x=1; sid=a', ['a', 'b', 'a']],
    ['an empty value is a value', 'sid=; sid=b', ['', 'b']],
    ['equals signs belong to the value', 'sid=a=b=', ['a=b=']],
    ['spaces and tabs around are trimmed', ' \tsid\t =\t a b \t;', ['a b']],
    ['no space is needed after a semicolon', 'x=1;sid=a;y=2', ['a']],
    ['a no-break space is part of a name', '\u00a0sid=a', []],
    ['a no-break space is part of a value', 'sid=\u00a0a\u00a0', ['\u00a0a\u00a0']],
    ['other white space is part of a name', '\u2000sid=a; \vsid=b; \fsid=c; \ufeffsid=d; \nsid=e', []],
    ['names are compared exactly', 'SID=a; Sid=b; sid2=c; xsid=d; __Host-sid=e; $sid=f', []],
    ['a pair without an equals sign is none', 'sid; sid=b', ['b']],
    ['a nameless pair is none', '=sid; =a', []],
    ['percent-encoding is undone', 'sid=s%3Aa%2Bb', ['s:a+b']],
    [
      'malformed percent-encoding is skipped, and hides nothing',
      'sid=%; sid=%zz; sid=%ff; sid=%E0%A4; sid=b',
      ['b'],
    ],
    ['percent-encoding is undone once', 'sid=%2525', ['%25']],
    ['quotes are part of the value', 'sid="a"', ['"a"']],
    ['only semicolons end a value', 'sid=a,sid=b', ['a,sid=b']],
    ['control characters harm nothing', 'sid=\0; \rsid=x; sid=a\nb', ['\0', 'a\nb']],
    ['names in encoded form are other names', '%73id=a; s%69d=b', []],
  ])('%s', (_name, header, expected) => {
    expect(cookieValues(header, 'sid')).toEqual(expected)
  })

  test('a prefix in another case is another name', () => {
    const header = '__hOsT-sid=evil; __HOST-sid=evil; __host-sid=evil; __Host-sid=good'
    expect(cookieValues(header, '__Host-sid')).toEqual(['good'])
  })

  test('names of the prototype are names like others', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(cookieValues('a=1', name)).toEqual([])
      expect(cookieValues(`${name}=own; a=1`, name)).toEqual(['own'])
    }
    expect(cookieValues('__proto__=polluted', 'sid')).toEqual([])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  test('nothing ever makes it throw', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        'sid',
        '=',
        ';',
        ' ',
        '\t',
        '%',
        '%3A',
        '%ff',
        '"',
        '\0',
        '\r\n',
        '\u00a0',
        '__proto__',
      ),
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
        (header) => {
          const values = cookieValues(header, 'sid')
          expect(values.every((value) => typeof value === 'string')).toBe(true)
          expect(cookieValues(`${header};sid=mine`, 'sid').at(-1)).toBe('mine')
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test('what set() hands out is what is read back', () => {
    const cookie = new SessionCookie({}, undefined)
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const pair = cookie.set(value, true).split(';', 1)[0]
        expect(cookieValues(pair, '__Host-sid')).toEqual([value])
      }),
    )
  })
})
