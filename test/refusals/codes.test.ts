import { SessionError } from 'coatcheck'
import { describe, expect, it, test } from 'vitest'
import { failureOf, isAway } from '../../dist/core/store/store-failure.js'
import { withoutToken } from '../../dist/express-session/foreign/without-token.js'
import { LostStatement } from '../../dist/stores/sql/lost-statement.js'
import { mysqlFailure, classifyMySQLError } from '../../dist/stores/mysql/errors.js'
import { redisErrors } from '../../dist/stores/redis/errors.js'
import { sqliteFailure } from '../../dist/stores/sqlite/errors.js'

// What no test can make a real server say, by the codes in the manuals of MySQL, MariaDB, SQLite and Redis.

const canary = 'canary7f at 10.0.0.3:3306'
const error = (properties: object): Error => Object.assign(new Error(canary), properties)
const codes = {
  data: ['ERR_SESSION_DATA_REFUSED', 500],
  configuration: ['ERR_SESSION_STORE_CONFIGURATION', 500],
  busy: ['ERR_SESSION_STORE_BUSY', 503],
  away: ['ERR_SESSION_STORE_UNAVAILABLE', 503],
} as const
type Kind = keyof typeof codes

/** What an error of ours says of a failure. */
function told(failure: SessionError, cause: unknown) {
  const { code, status, message } = failure
  const isOutage = isAway(failure)
  return {
    type: [code, status],
    isOutage,
    namesOutage: !isOutage && message.includes('is up'),
    leaks: /canary|10\.0|3306/.test(message),
    keepsCause: failure.cause === cause,
  }
}

function expected(kind: Kind) {
  return { type: codes[kind], isOutage: kind === 'away', namesOutage: false, leaks: false, keepsCause: true }
}

const numbers: Record<Kind, number[]> = {
  data: [1048, 1062, 1118, 1153, 1264, 1265, 1292, 1300, 1301, 1366, 1406, 1452, 1644, 3140, 3157, 3819, 3854, 3988],
  configuration: [
    1044, 1045, 1046, 1049, 1054, 1064, 1129, 1130, 1142, 1143, 1146, 1194, 1227, 1251, 1267, 1275, 1305, 1364, 1370, 1461,
    1524, 1698, 1820, 1862, 2059, 3098, 3118, 3159, 3750, 3955, 4150, 4151,
  ],
  busy: [1020, 1205, 1206, 1213, 1615, 1689, 3058, 3101, 3572],
  away: [
    3, 20, 1021, 1030, 1036, 1040, 1041, 1047, 1053, 1080, 1114, 1135, 1158, 1159, 1203, 1226, 1290, 1792, 1836, 1927, 1969, 3024,
    3032, 3168, 3169, 3675, 4031,
  ],
} // prettier-ignore

describe('an error of a MySQL or MariaDB', () => {
  const cases = Object.entries(numbers).flatMap(([kind, all]) =>
    all.map((errno) => [errno, kind as Kind] as const),
  )
  // HY000 says nothing, so that the number alone has to.
  it.each(cases)('of the number %i is of the kind %s', (errno, kind) => {
    const cause = error({ errno, sqlState: 'HY000', code: 'ER_X' })
    const failure = mysqlFailure('writing sessions', cause)
    expect(told(failure, cause)).toEqual(expected(kind))
    expect(failure.message).toContain(`error ${errno}`)
  })

  it.each<[string, Kind]>([
    ['08S01', 'away'],
    ['22032', 'data'],
    ['23000', 'data'],
    ['28000', 'configuration'],
    ['3D000', 'configuration'],
    ['40001', 'busy'],
    ['40003', 'away'],
    ['42000', 'configuration'],
    ['45000', 'data'],
    ['70100', 'busy'],
    ['HY000', 'configuration'],
    ['', 'configuration'],
  ])('of a number that is not known goes by its SQLSTATE %j: %s', (sqlState, kind) => {
    const cause = error({ errno: 65_000, sqlState })
    expect(told(mysqlFailure('reading sessions', cause), cause)).toEqual(expected(kind))
  })

  it.each<[string, Kind, Error]>([
    ['a lost statement', 'away', new LostStatement({ cause: error({ code: 'ECONNRESET' }) })],
    ['a lost connection', 'away', error({ code: 'PROTOCOL_CONNECTION_LOST', fatal: true })],
    ['a host that is not found', 'away', error({ code: 'ENOTFOUND', syscall: 'getaddrinfo', errno: -3008 })],
    [
      'an unknown authentication plugin',
      'configuration',
      error({ code: 'AUTH_SWITCH_PLUGIN_ERROR', fatal: true }),
    ],
    ['a pool that is closed', 'away', new Error('Pool is closed.')],
    ['a pool without room', 'busy', new Error('Queue limit reached.')],
    ['a fault of a program', 'configuration', new TypeError(canary)],
  ])('%s is of the kind %s', (_name, kind, cause) =>
    expect(told(mysqlFailure('reading sessions', cause), cause)).toEqual(expected(kind)),
  )

  it('stops the rest of a batch only where all would fail alike', () => {
    expect(classifyMySQLError(error({ errno: 1045, sqlState: '28000' })).isListed).toBe(true)
    expect(classifyMySQLError(error({ errno: 65_000, sqlState: '42000' })).isListed).toBe(false)
  })
})

const firstWords: Partial<Record<Kind, string[]>> = {
  configuration: ['NOAUTH', 'WRONGPASS', 'NOPERM', 'DENIED', 'NOPROTO', 'WRONGTYPE', 'CROSSSLOT'],
  busy: ['TRYAGAIN', 'BUSY', 'UNKILLABLE'],
  away: ['LOADING', 'MOVED', 'ASK', 'CLUSTERDOWN', 'MASTERDOWN', 'READONLY', 'NOREPLICAS', 'OOM', 'MISCONF'],
}

describe('an error of a Redis or of its client', () => {
  const failure = (cause: unknown) => redisErrors.failureOf('writing sessions', cause)
  const cases = Object.entries(firstWords).flatMap(([kind, all]) =>
    all.map((word) => [word, kind as Kind] as const),
  )
  it.each(cases)('that begins with %s is of the kind %s', (word, kind) => {
    const cause = new Error(`${word} ${canary}`)
    expect(told(failure(cause), cause)).toEqual(expected(kind))
    expect(failure(cause).message).toContain(`(${word})`)
  })

  it.each<[string, Kind, Error]>([
    ['too many connections', 'away', new Error('ERR max number of clients reached')],
    ['a right that a script lacks', 'configuration', new Error(`ERR ACL failure in script: ${canary}`)],
    ['a connection that closed', 'away', new Error('Socket closed unexpectedly')],
    ['a lost command', 'away', new LostStatement({ cause: new Error('Socket closed unexpectedly') })],
    ['an authority that is not known', 'configuration', error({ code: 'SELF_SIGNED_CERT_IN_CHAIN' })],
    ['a certificate of another host', 'configuration', error({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' })],
  ])('%s is of the kind %s', (_name, kind, cause) => {
    const { isOutage, leaks, type } = told(failure(cause), cause)
    expect({ isOutage, leaks, type }).toEqual({ isOutage: kind === 'away', leaks: false, type: codes[kind] })
  })

  it.each([
    ['an error reply that is not known', new Error(`ERR ${canary}`)],
    ['a fault of a program', new TypeError(canary)],
  ])('%s is a 503, and no outage', (_name, cause) => {
    const { isOutage, leaks, type } = told(failure(cause), cause)
    expect({ isOutage, leaks, type }).toEqual({ isOutage: false, leaks: false, type: codes.away })
  })

  it('fails the whole batch only where no server answered', () => {
    expect(redisErrors.failsAllAlike(new Error('Socket closed unexpectedly'))).toBe(true)
    expect(redisErrors.failsAllAlike(new Error(`WRONGTYPE ${canary}`))).toBe(false)
  })
})

test.each<[number, Kind, string]>([
  [3, 'configuration', 'SQLITE_PERM'],
  [5, 'busy', 'SQLITE_BUSY'],
  [517, 'busy', 'SQLITE_BUSY'],
  [6, 'busy', 'SQLITE_LOCKED'],
  [8, 'configuration', 'SQLITE_READONLY'],
  [1032, 'configuration', 'SQLITE_READONLY_DBMOVED'],
  [10, 'away', 'SQLITE_IOERR'],
  [4106, 'away', 'SQLITE_IOERR'],
  [11, 'configuration', 'SQLITE_CORRUPT'],
  [13, 'away', 'SQLITE_FULL'],
  [14, 'configuration', 'SQLITE_CANTOPEN'],
  [18, 'data', 'SQLITE_TOOBIG'],
  [1811, 'data', 'SQLITE_CONSTRAINT'],
  [20, 'data', 'SQLITE_MISMATCH'],
  [23, 'configuration', 'SQLITE_AUTH'],
  [26, 'configuration', 'SQLITE_NOTADB'],
  [1, 'configuration', 'SQLITE_ERROR'],
])('SQLite’s result code %i is of the kind %s', (errcode, kind, name) => {
  const cause = error({ code: 'ERR_SQLITE_ERROR', errcode })
  const failure = sqliteFailure('writing sessions', cause)
  expect(told(failure, cause)).toEqual(expected(kind))
  expect(failure.message).toContain(`(${name})`)
})

test.each<[string, Kind, object]>([
  ['ECONNREFUSED', 'away', { code: 'ECONNREFUSED' }],
  ['a full disk', 'away', { code: 'ENOSPC' }],
  ['a file that may not be read', 'configuration', { code: 'EACCES' }],
  ['a text with NUL, in PostgreSQL', 'data', { code: '22P05' }],
  ['a shutdown of PostgreSQL', 'away', { code: '57P01' }],
])("an error of an app's own store, %s, is of the kind %s", (_name, kind, properties) => {
  const cause = error(properties)
  expect(told(failureOf('reading a session', cause), cause)).toEqual(expected(kind))
})

test("an error of an app's own store that is not known is a 503, and no outage", () => {
  const cause = error({})
  const failure = failureOf('reading a session', cause)
  expect(failure).toMatchObject({
    code: 'ERR_SESSION_STORE_UNAVAILABLE',
    status: 503,
    cause,
    message: expect.not.stringContaining('canary') as string,
  })
  expect([cause, failure, withoutToken(failure, 'canary7f')].map(isAway)).toEqual([false, false, false])
})
