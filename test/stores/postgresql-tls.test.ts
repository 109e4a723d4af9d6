import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { leaveDiskToPostgres, type PostgresServer, startPostgres } from '../servers/postgres.ts'
import { newId } from './mysql-subject.ts'
import { openPool, openStore } from './postgresql-subject.ts'

describe('sslmode means what it means to libpq', () => {
  let authority: Authority
  let servers: Record<'right' | 'another' | 'plain', PostgresServer>
  beforeAll(async () => {
    authority = await newAuthority()
    const settings = leaveDiskToPostgres
    const [right, another, plain] = await Promise.all([
      startPostgres({ settings, tls: await authority.certify('localhost') }),
      startPostgres({ settings, tls: await authority.certify('db.example.com') }),
      startPostgres({ settings }),
    ])
    servers = { right, another, plain }
  })
  afterAll(async () => {
    await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()))
    await authority.remove()
  })

  /** @returns whether the connection of a store was encrypted, or the code of the error and what it says */
  async function outcome(server: keyof typeof servers, query: string): Promise<string> {
    const url = new URL(servers[server].url)
    url.hostname = 'localhost'
    url.search = query.replaceAll('CA', authority.ca)
    const store = openStore(url.href)
    try {
      await store.find([newId()])
    } catch (error) {
      const { code, message } = error as { code: string; message: string }
      return `${code}: ${message}`
    }
    const { rows } = await openPool(servers[server].url).query<{ ssl: boolean }>(
      'SELECT bool_or(ssl) AS ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE query LIKE $1',
      ['%coatcheck_%'],
    )
    await store.close()
    return rows[0]!.ssl ? 'encrypted' : 'plain'
  }

  const notTrusted = /^ERR_SESSION_STORE_CONFIGURATION: .*signed the database's certificate.*sslrootcert/
  const otherHost = /^ERR_SESSION_STORE_CONFIGURATION: .*for another host/
  const noTLS = /^ERR_SESSION_STORE_CONFIGURATION: .*offers no TLS/

  it.each([
    ['right', '', /^plain$/],
    ['right', 'sslmode=disable', /^plain$/],
    ['right', 'sslmode=require', /^encrypted$/],
    ['right', 'sslmode=verify-ca&sslrootcert=CA', /^encrypted$/],
    ['right', 'sslmode=verify-full&sslrootcert=CA', /^encrypted$/],
    ['right', 'sslmode=verify-full', notTrusted],
    ['another', 'sslmode=require', /^encrypted$/],
    ['another', 'sslmode=verify-ca&sslrootcert=CA', /^encrypted$/],
    ['another', 'sslmode=verify-full&sslrootcert=CA', otherHost],
    ['plain', 'sslmode=disable', /^plain$/],
    ['plain', 'sslmode=require', noTLS],
    ['plain', 'sslmode=verify-full&sslrootcert=CA', noTLS],
  ] as const)('the %s server, %j: %s', async (server, query, expected) => {
    expect(await outcome(server, query)).toMatch(expected)
  })

  it.each(['prefer', 'allow', 'no-verify', 'VERIFY-FULL'])('refuses sslmode=%s', (mode) => {
    expect(() => openStore(`postgres://app@localhost/shop?sslmode=${mode}`)).toThrow(/sslmode.*verify-full/)
  })

  it.each(['127.0.0.1/shop?', '[::1]/shop?', '/shop?host=10.0.0.1&'])(
    'refuses verify-full for %s',
    (host) => {
      expect(() => openStore(`postgres://app@${host}sslmode=verify-full`)).toThrow(/IP address/)
    },
  )
})
