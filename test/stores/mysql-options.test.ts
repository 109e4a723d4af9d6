import { rootCertificates } from 'node:tls'
import { SessionError } from 'coatcheck'
import { MySQLStore, type MySQLTarget } from 'coatcheck/mysql'
import { Client, Pool } from 'pg'
import { describe, expect, it } from 'vitest'

const url = 'mysql://app:hunter2@db.example.com/shop'

/** What the store says of `target` as it is made, before it connects. */
function refusalOf(target: unknown): SessionError | undefined {
  try {
    void new MySQLStore(target as MySQLTarget).close()
    return undefined
  } catch (error) {
    return error as SessionError
  }
}

function refusal(message: RegExp): object {
  return { code: 'ERR_SESSION_OPTION', message: expect.stringMatching(message) as string }
}

describe('a parameter in the URL of MySQLStore', () => {
  it.each([
    ['sslmode=require', /"sslmode".*\?ssl=true/],
    ['ssl-mode=REQUIRED', /"ssl-mode".*\?ssl=true/],
    ['sslMode=VERIFY_CA', /"sslMode".*\?ssl=true/],
    ['tls=true', /"tls".*\?ssl=true/],
    ['useSSL=true', /"useSSL".*\?ssl=true/],
    ['requireSSL=true', /"requireSSL".*\?ssl=true/],
    ['sslaccept=strict', /"sslaccept".*\?ssl=true/],
    ['SSL=true', /"SSL".*Write ssl\./],
    ['ssl_ca=/ca.pem', /"ssl_ca".*Write ssl-ca\./],
    ['sslrootcert=/ca.pem', /"sslrootcert".*\?ssl-ca=/],
    ['connect_timeout=5', /"connect_timeout".*Write connectTimeout\./],
    ['connection_limit=5', /"connection_limit".*Write connectionLimit\./],
    ['serverTimezone=UTC', /"serverTimezone".*Write timezone\./],
    ['unix_socket=/run/mysqld.sock', /"unix_socket".*Write socketPath\./],
    ['user=root', /"user".*before the "\?"/],
    ['useUnicode=true', /"useUnicode".*connectionLimit, .*ssl, ssl-ca,/],
    ['ssl=true&ssl=false', /"ssl" twice/],
  ])('that the driver does not know is refused, and the right one is named: %s', (parameter, message) => {
    const error = refusalOf(`${url}?${parameter}`)
    expect(error).toMatchObject(refusal(message))
    expect(error!.message).not.toContain('hunter2')
    expect(refusalOf({ uri: `${url}?${parameter}` })).toMatchObject(refusal(message))
  })

  it.each([
    'ssl=true', 'ssl=false', 'ssl={}', 'ssl=Amazon%20RDS', 'connectionLimit=3&connectTimeout=2000', 'timezone=Z', 'charset=utf8mb4',
    'waitForConnections=false&queueLimit=4&maxIdle=2&idleTimeout=1000', 'compress=true', 'flags=-SESSION_TRACK',
  ])('that the driver knows is taken: %s', (parameter) => {
    expect(refusalOf(`${url}?${parameter}`)).toBeUndefined()
  }) // prettier-ignore
})

it.each([
  ['pool', new Pool()],
  ['connection', new Client()],
  ['connection with a database', new Client({ database: 'shop' })],
])('a %s of the driver of another database is refused, and it is said what to give', (_what, target) => {
  expect(refusalOf(target)).toMatchObject(refusal(/neither a pool or connection of mysql2.*DATABASE_URL/))
})

describe('ssl', () => {
  it.each([
    ['a profile that the driver lacks', 'required', /ssl is neither true.*\?ssl=true/],
    ['a number', 1, /ssl is neither true.*\?ssl=true/],
    ['an empty text', '', /ssl is neither true/],
    [
      'an option that the driver would ignore',
      { servername: 'db' },
      /ssl has no option "servername".*verifyIdentity/,
    ],
    ['a list of revoked certificates, which the driver would ignore', { crl: '' }, /ssl has no option "crl"/],
  ])('is refused as %s', (_, ssl, message) => {
    expect(refusalOf({ uri: url, ssl })).toMatchObject(refusal(message))
    expect(refusalOf({ host: 'db.example.com', database: 'shop', ssl })).toMatchObject(refusal(message))
    const text = typeof ssl === 'string' ? ssl : JSON.stringify(ssl)
    expect(refusalOf(`${url}?ssl=${text}`)).toMatchObject(refusal(message))
  })

  it.each<[string, object]>([
    ['keys that are none', { key: 'no key', cert: 'x' }],
    ['a cipher that there is not', { ciphers: 'NOPE' }],
    ['a version that there is not', { minVersion: 'TLSv9' }],
    ['an authority that is none', { ca: 'no certificate' }],
    ['authorities of which one is none', { ca: [rootCertificates[0], 'no certificate'] }],
  ])('is refused with %s, where each connection would fail', (_, ssl) => {
    const refused = refusalOf({ uri: url, ssl })
    expect(refused).toMatchObject(refusal(/^Node cannot use these ssl options.*PEM/))
    expect(refused!.message).not.toMatch(/routines|no key|no certificate/)
  })

  it('is taken with what it inherits', () => {
    expect(refusalOf({ uri: url, ssl: Object.create({ ca: rootCertificates[0] }) as object })).toBeUndefined()
    expect(refusalOf({ uri: url, ssl: Object.create({ ca: 'no certificate' }) as object })).toMatchObject(
      refusal(/PEM/),
    )
  })

  it('is not lost behind a "#", nor by a null', () => {
    expect(refusalOf(`${url}#?ssl=true`)).toMatchObject(refusal(/"#".*%23/))
    expect(refusalOf(`${url}?ssl=null`)).toMatchObject(refusal(/ssl=null/))
    const address = 'mysql://app@127.0.0.1/shop?ssl=true'
    expect(refusalOf({ uri: address, ssl: null })).toMatchObject(refusal(/IP address/))
  })

  it('is refused for a host that is an IP address, which the driver does not compare with the certificate', () => {
    const message = /IP address.*host name.*"verifyIdentity":false/
    for (const host of ['127.0.0.1', '[::1]']) {
      const byAddress = url.replace('db.example.com', host)
      expect(refusalOf(`${byAddress}?ssl=true`)).toMatchObject(refusal(message))
      expect(refusalOf({ uri: byAddress, ssl: {} })).toMatchObject(refusal(message))
      expect(refusalOf(`${byAddress}?ssl={"verifyIdentity":false}`)).toBeUndefined()
      expect(refusalOf(`${byAddress}?ssl={"rejectUnauthorized":false}`)).toBeUndefined()
      expect(refusalOf(byAddress)).toBeUndefined()
    }
    const options = { host: '10.0.0.5', database: 'shop', ssl: {} }
    expect(refusalOf(options)).toMatchObject(refusal(message))
  })

  it('is not turned off by an option that is undefined beside the URL', () => {
    const refused = refusalOf({ uri: `mysql://app@127.0.0.1/shop?ssl=true`, ssl: undefined })
    expect(refused).toMatchObject(refusal(/IP address/))
  })

  it('is heeded where it is inherited', () => {
    const options = Object.create({ host: '10.0.0.5', database: 'shop', ssl: true }) as object
    expect(refusalOf(options)).toMatchObject(refusal(/IP address/))
  })

  it('goes with an authority that can be read, and not with ssl=false', () => {
    expect(refusalOf(`${url}?ssl-ca=/no/such/ca.pem`)).toMatchObject(refusal(/ssl-ca.*ENOENT.*PEM/))
    expect(refusalOf(`${url}?ssl=false&ssl-ca=/no/such/ca.pem`)).toMatchObject(refusal(/ssl=false.*ssl-ca/))
  })
})

describe('pool options', () => {
  it.each([
    ['sslmode', /"sslmode".*ssl: true/],
    ['connectionlimit', /"connectionlimit".*Write connectionLimit\./],
    ['acquireTimeout', /"acquireTimeout".*a pool of your own/],
  ])('with %s, which the driver would ignore, are refused', (name, message) => {
    expect(refusalOf({ host: 'db.example.com', database: 'shop', [name]: 'x' })).toMatchObject(
      refusal(message),
    )
  })

  it('with a connectTimeout that is longer than a timer can wait are refused', () => {
    const message = /connectTimeout is longer than a timer can wait/
    for (const connectTimeout of [2 ** 31, Infinity]) {
      expect(refusalOf({ uri: url, connectTimeout })).toMatchObject(refusal(message))
    }
    expect(refusalOf(`${url}?connectTimeout=${2 ** 31}`)).toMatchObject(refusal(message))
    expect(refusalOf(`${url}?connectTimeout=${2 ** 31 - 1}`)).toBeUndefined()
  })

  it.each([
    'connectTimeout',
    'idleTimeout',
    'keepAliveInitialDelay',
    'connectionLimit',
    'maxIdle',
    'queueLimit',
  ])('whose %s is no number from 0 on are refused', (name) => {
    const message = new RegExp(`${name} must be a number.* at least 0`)
    for (const value of ['30s', '', -1, Number.NaN, true, null, [1]]) {
      expect(refusalOf({ uri: url, [name]: value })).toMatchObject(refusal(message))
    }
    for (const text of ['30s', '', '-1', 'true']) {
      expect(refusalOf(`${url}?${name}=${text}`)).toMatchObject(refusal(message))
    }
    for (const value of [0, 1_000, '1000', undefined]) {
      expect(refusalOf({ uri: url, [name]: value })).toBeUndefined()
    }
    expect(refusalOf(`${url}?${name}=1000`)).toBeUndefined()
  })

  it('that are inherited are refused as well, where the driver does not know them', () => {
    const options = Object.create({ database: 'shop', sslmode: 'require' }) as object
    expect(refusalOf(options)).toMatchObject(refusal(/"sslmode"/))
  })

  it('are not changed', () => {
    const options = { uri: `${url}?connectionLimit=3`, ssl: {}, connectionLimit: 2 }
    expect(refusalOf(options)).toBeUndefined()
    expect(options).toEqual({ uri: `${url}?connectionLimit=3`, ssl: {}, connectionLimit: 2 })
  })
})
