import session from 'coatcheck/express'
import expressMySQLSession, { type MySQLStoreOptions } from 'coatcheck/express-mysql-session'
import { describe, expect, it, onTestFinished, test, vi } from 'vitest'

const MySQLStore = expressMySQLSession(session)
/** No server is asked: what is wrong shows as the store is made. */
const offline = { host: 'db.example.com', database: 'shop', createDatabaseTable: false, clearExpired: false }

/** @returns the options of the pool that the store made, and the warnings */
function made(options: object) {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  const complain = vi.spyOn(console, 'error').mockImplementation(() => undefined)
  onTestFinished(() => {
    warn.mockRestore()
    complain.mockRestore()
  })
  warn.mockClear()
  const store = new MySQLStore({ ...offline, ...options } as MySQLStoreOptions)
  onTestFinished(() => store.close())
  const { config } = (store.connection as unknown as { pool: { config: Config } }).pool
  expect(complain).not.toHaveBeenCalled()
  return { config, warnings: warn.mock.calls.map(([message]) => String(message)) }
}
interface Config {
  readonly connectionLimit: number
  readonly idleTimeout: number
  readonly connectionConfig: { readonly connectTimeout: number; readonly ssl: unknown }
}

describe('an option of express-mysql-session that mysql2 does not know', () => {
  it.each([
    ['sslmode', 'require', /"sslmode".*ssl: true/],
    ['ssl-mode', 'REQUIRED', /"ssl-mode".*ssl: true/],
    ['tls', true, /"tls".*ssl: true/],
    ['useSSL', true, /"useSSL".*ssl: true/],
    ['SSL', {}, /"SSL".*Write ssl/],
    ['ssl_key', 'key.pem', /"ssl_key".*ssl: true/],
    ['sslCA', '/ca.pem', /"sslCA".*ssl: \{ ca \}/],
    ['ca', '/ca.pem', /"ca".*ssl: \{ ca \}/],
    ['rejectUnauthorized', true, /"rejectUnauthorized".*ssl: true/],
  ])('is refused if it asks for TLS, which it would not get: %s', (name, value, message) => {
    expect(() => made({ [name]: value })).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }) as Error,
    )
  })

  it('is warned of once, and left out, if it is another', () => {
    const { warnings } = made({ acquireTimeout: 10_000, tls: false })
    expect(warnings).toEqual([
      expect.stringMatching(/"acquireTimeout".*without effect/),
      expect.stringMatching(/"tls".*without effect.*ssl: true/),
    ])
    expect(made({ acquireTimeout: 20_000 }).warnings).toEqual([])
  })
})

test('an option that earlier versions of express-mysql-session had is left out without a word', () => {
  const retired = {
    reconnect: true,
    reconnectDelay: [500, 1_000],
    maxReconnectAttempts: 25,
    useConnectionPooling: true,
    keepAlive: true,
    keepAliveInterval: 30_000,
    autoReconnect: true,
    jsonData: true,
  }
  expect(made(retired).warnings).toEqual([])
})

describe('an option of express-mysql-session that is no number', () => {
  it("is warned of, and has the driver's default", () => {
    const { config, warnings } = made({ connectionLimit: 'many', idleTimeout: null, connectTimeout: '30s' })
    expect([config.connectionLimit, config.idleTimeout, config.connectionConfig.connectTimeout]).toEqual([
      10, 60_000, 10_000,
    ])
    expect(warnings).toEqual([
      expect.stringMatching(/connectTimeout must be a number.*without effect/),
      expect.stringMatching(/idleTimeout must be a number.*without effect/),
      expect.stringMatching(/connectionLimit must be a number.*without effect/),
    ])
  })

  it('is refused in a uri, which that package did not take', () => {
    for (const parameter of [
      'connectTimeout=30s',
      'connectTimeout=3000000000',
      'sslmode=require',
      'acquireTimeout=1',
    ]) {
      expect(() => made({ uri: `mysql://db.example.com/shop?${parameter}` })).toThrow(
        expect.objectContaining({ code: 'ERR_SESSION_OPTION' }) as Error,
      )
    }
  })
})

test('a wrapper around a pool is refused, because it is more than query that the store asks of one', () => {
  const pool = { query: async () => [[], []] }
  expect(() => new MySQLStore(offline, pool as never)).toThrow(
    expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringContaining('neither a pool or connection') as string,
    }),
  )
})
