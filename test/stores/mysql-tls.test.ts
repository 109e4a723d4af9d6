import { readFile } from 'node:fs/promises'
import expressMySQLSession from 'coatcheck/express-mysql-session'
import session from 'coatcheck/express'
import type { PoolOptions } from 'mysql2'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { startCopy } from '../command/run-copy.ts'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { newId, openStore } from './mysql-subject.ts'

/** What the message has to say, whichever way the server was not verified. */
const cures = {
  authority: /not trusted.*ssl-ca=.*ssl: \{ ca \}.*"rejectUnauthorized":false/,
  name: /another host.*"verifyIdentity":false/,
  plain: /offers no TLS/,
  version: /TLS version or cipher in common.*minVersion/,
}

let authority: Authority
beforeAll(async () => {
  authority = await newAuthority()
})
afterAll(() => authority.remove())

onEachServer('a connection that asks for TLS', ({ name, start }) => {
  let right: DatabaseServer
  let another: DatabaseServer
  let plain: DatabaseServer
  /** URLs of the same databases by the name that the right one's certificate has. */
  let url: Record<'right' | 'another' | 'plain', string>

  beforeAll(async () => {
    const withTLS = async (host: string) => {
      const { certificate, key } = await authority.certify(host)
      return start([`--ssl-cert=${certificate}`, `--ssl-key=${key}`])
    }
    ;[right, another, plain] = await Promise.all([
      withTLS('localhost'),
      withTLS('db.example.com'),
      // MySQL makes a certificate of its own, and so does MariaDB from 11.4 on.
      start([name === 'MySQL' ? '--tls-version=' : '--skip-ssl']),
    ])
    url = {
      right: await databaseOn(right),
      another: await databaseOn(another),
      plain: await databaseOn(plain),
    }
    await Promise.all([requireTLS(right), requireTLS(another)])
  })
  afterAll(() => Promise.all([right, another, plain].map((server) => server?.stop())))

  /** @returns `works`, or what the error says */
  async function outcome(target: string | PoolOptions): Promise<unknown> {
    const store = openStore(target)
    return store.find([newId()]).then(
      () => 'works',
      (error: Error) => error,
    )
  }

  const refused = (message: RegExp) =>
    expect.objectContaining({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      status: 500,
      message: expect.stringMatching(message) as string,
    }) as object

  it('works with the right name and an authority that is given', async () => {
    expect(await outcome(`${url.right}?ssl-ca=${authority.ca}`)).toBe('works')
    expect(await outcome(`${url.right}?ssl=true&ssl-ca=${authority.ca}`)).toBe('works')
    const ca = await readFile(authority.ca)
    expect(await outcome({ uri: url.right, ssl: { ca } })).toBe('works')
    expect(await outcome(optionsOf(url.right, { ssl: { ca } }))).toBe('works')
  })

  it('is refused by a server whose certificate is for another host, and the error names no host', async () => {
    const ca = await readFile(authority.ca)
    for (const target of [
      `${url.another}?ssl=true&ssl-ca=${authority.ca}`,
      { uri: url.another, ssl: { ca } },
      optionsOf(url.another, { ssl: { ca } }),
    ]) {
      const error = await outcome(target)
      expect(error).toEqual(refused(cures.name))
      expect((error as Error).message).not.toMatch(/localhost|127\.0\.0\.1|db\.example/)
    }
  })

  it('is refused by a server whose authority nobody knows', async () => {
    for (const target of [
      `${url.right}?ssl=true`,
      `${url.right}?ssl={}`,
      `${url.right}?ssl=Amazon%20RDS`,
      { uri: url.right, ssl: true as never },
      optionsOf(url.right, { ssl: {} }),
      optionsOf(url.right, { ssl: 'Amazon RDS' }),
    ]) {
      const error = await outcome(target)
      expect(error).toEqual(refused(cures.authority))
      const { message, cause } = error as Error
      expect(message).not.toContain((cause as Error).message)
    }
  })

  it('is refused where no version of TLS is common to both', async () => {
    const ca = await readFile(authority.ca)
    const ssl = { ca, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' } as const
    expect(await outcome({ uri: url.right, ssl })).toEqual(refused(cures.version))
  })

  it('is refused by a server without TLS', async () => {
    expect(await outcome(`${url.plain}?ssl=true`)).toEqual(refused(cures.plain))
    expect(await outcome({ uri: url.plain, ssl: {} })).toEqual(refused(cures.plain))
    expect(await outcome(`${url.plain}?ssl=false`)).toBe('works')
    expect(await outcome(url.plain)).toBe('works')
  })

  it('does not verify what it is told aloud not to verify', async () => {
    expect(await outcome(`${url.another}?ssl={"verifyIdentity":false}&ssl-ca=${authority.ca}`)).toBe('works')
    expect(await outcome(`${url.another}?ssl={"rejectUnauthorized":false}`)).toBe('works')
    const options = { ssl: { rejectUnauthorized: false } }
    expect(await outcome(optionsOf(url.another, options))).toBe('works')
    expect(options).toEqual({ ssl: { rejectUnauthorized: false } })
  })

  it('is verified in the store of express-mysql-session, too', async () => {
    const Store = expressMySQLSession(session)
    const ready = (options: PoolOptions) => {
      const store = new Store(options)
      onTestFinished(() => store.close())
      return store.onReady().then(
        () => 'works',
        (error: Error) => error,
      )
    }
    const ca = await readFile(authority.ca)
    expect(await ready(optionsOf(url.right, { ssl: { ca } }))).toBe('works')
    expect(await ready(optionsOf(url.another, { ssl: { ca } }))).toEqual(refused(cures.name))
    expect(await ready(optionsOf(url.right, { ssl: {} }))).toEqual(refused(cures.authority))
    expect(await ready(optionsOf(url.plain, { ssl: {} }))).toEqual(refused(cures.plain))
    expect(await ready({ uri: `${url.another}?ssl-ca=${authority.ca}` })).toEqual(refused(cures.name))
  })

  it('is verified in coatcheck copy, too', async () => {
    const copied = await startCopy(`${url.another}?ssl-ca=${authority.ca}`, '--from', 'sessions').ended
    expect(copied.code).toBe(1)
    expect(copied.stderr).toMatch(cures.name)
  })
})

/** SerialQueue away what goes by in the clear: whoever is answered from now on came by TLS. */
async function requireTLS(server: DatabaseServer): Promise<void> {
  const connection = await createConnection(server.url)
  await connection.query("ALTER USER coatcheck@'127.0.0.1' REQUIRE SSL")
  await connection.end()
}

/** A database of its own, by the host name that certificates may name. */
async function databaseOn(server: DatabaseServer): Promise<string> {
  return (await freshDatabase(server.url)).replace('127.0.0.1', 'localhost')
}

function optionsOf(url: string, more: PoolOptions): PoolOptions {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    host: hostname,
    port: Number(port),
    user: username,
    password,
    database: pathname.slice(1),
    ...more,
  }
}
