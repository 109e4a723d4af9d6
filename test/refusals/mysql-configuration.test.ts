import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import type { SessionError } from 'coatcheck'
import session from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'
import type { MySQLStore } from 'coatcheck/mysql'
import { freePort } from '../servers/ports.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { insert, newId, openPool, openStore, removal, stored } from '../stores/mysql-subject.ts'
import { serveDropIn, serveSessions, Visitor } from './visitors.ts'

const layouts = [
  ['its own table', {}, 'coatcheck_sessions'],
  ['a table of express-mysql-session', { layout: 'express-mysql-session' }, 'sessions'],
] as const

/** What must never be in a message, in each kind of error. */
const canary = 'canary7f'

interface Refused {
  readonly url: string
  readonly options?: object
  /** What the message says to do. */
  readonly cure: RegExp
  readonly code?: string
}

onEachServer('MySQLStore, refused', ({ server, name }) => {
  /** The URL of a user who may do so much, in a database with the store's table. */
  async function asUser(rights: string, then: (user: string) => string[] = () => []): Promise<URL> {
    const database = await freshDatabase(server)
    await stored(openStore(database))
    const pool = openPool(database)
    const url = new URL(database)
    const schema = url.pathname.slice(1)
    url.username = `${canary}${randomBytes(4).toString('hex')}`
    url.password = canary
    const user = `'${url.username}'@'127.0.0.1'`
    await pool.query(`CREATE USER ${user} IDENTIFIED BY '${canary}'`)
    if (rights !== '') await pool.query(`GRANT ${rights} ON ${schema}.* TO ${user}`)
    for (const statement of then(user)) await pool.query(statement)
    return url
  }
  const everything = 'SELECT, INSERT, UPDATE, DELETE, CREATE'

  const refusals: Record<string, () => Promise<Refused>> = {
    'for a wrong password': async () => {
      const url = await asUser(everything)
      url.password = `${canary}wrong`
      return { url: url.href, cure: /user or the password.*DATABASE_URL/ }
    },
    'for a user that there is not': async () => {
      const url = await asUser(everything)
      url.username = `${canary}nobody`
      return { url: url.href, cure: /user or the password/ }
    },
    'for a locked account': async () => {
      const url = await asUser(everything, (user) => [`ALTER USER ${user} ACCOUNT LOCK`])
      return { url: url.href, cure: /ACCOUNT UNLOCK/ }
    },
    'for an expired password': async () => {
      const url = await asUser(everything, (user) => [`ALTER USER ${user} PASSWORD EXPIRE`])
      return { url: url.href, cure: /password has expired/ }
    },
    'for a database that there is not': async () => {
      const url = new URL(await freshDatabase(server))
      url.pathname = `/${canary}_none`
      return { url: url.href, cure: /no database of that name/ }
    },
    "for another's database": async () => {
      const url = await asUser('')
      return { url: url.href, cure: /lacks a right.*GRANT SELECT/ }
    },
    'for the right to read': async () => {
      const url = await asUser('INSERT, UPDATE, DELETE')
      return { url: url.href, cure: /lacks a right.*GRANT SELECT/ }
    },
    'for TLS that the account asks for': async () => {
      const url = await asUser(everything, (user) => [`ALTER USER ${user} REQUIRE SSL`])
      return { url: url.href, cure: /user or the password.*requires TLS needs \?ssl=true/ }
    },
    'for a column that must be filled': async () => {
      const url = await freshDatabase(server)
      await stored(openStore(url))
      await openPool(url).query(`ALTER TABLE coatcheck_sessions ADD COLUMN ${canary} INT NOT NULL`)
      return { url, cure: /must be filled/ }
    },
    'for a function that a trigger calls and that there is not': async () => {
      const url = await freshDatabase(server)
      await stored(openStore(url))
      const pool = openPool(url)
      await pool.query(`CREATE FUNCTION ${canary}() RETURNS INT DETERMINISTIC NO SQL RETURN 1`)
      await pool.query(
        `CREATE TRIGGER calls BEFORE INSERT ON coatcheck_sessions FOR EACH ROW SET NEW.seen_at = ${canary}()`,
      )
      await pool.query(`DROP FUNCTION ${canary}`)
      return { url, cure: /lacks a function/ }
    },
  }

  it.each(Object.entries(refusals))(
    '%s, says what to do, is no outage and names nobody',
    async (_name, refuse) => {
      const { url, options, cure } = await refuse()
      const store = openStore(url, options)
      const app = await serveSessions(store)
      const answers = []
      for (let tries = 0; tries < 8; tries++) answers.push(await new Visitor(app).say(canary))
      expect(answers).toEqual(Array(8).fill('500 ERR_SESSION_STORE_CONFIGURATION'))
      for (const error of app.errors) {
        expect(error.message).toMatch(cure)
        expect(error.message).not.toMatch(/is up/)
        hidesAll(error, url)
      }
    },
  )

  it.each<[string, (store: MySQLStore) => Promise<unknown>]>([
    ['reading', (store) => store.find([newId()])],
    ['listing', (store) => store.list({ limit: 1, data: false })],
    ['sweeping', (store) => store.removeExpired(1)],
    ["removing a user's", (store) => store.removeByUser(canary)],
    ['writing', (store) => store.write([{ ...insert(newId()), data: Buffer.from(canary) }])],
  ])('by nobody at all, is away while %s, and its message holds no host and no port', async (_name, ask) => {
    const url = `mysql://${canary}:${canary}@127.0.0.1:${await freePort()}/${canary}`
    const error = await ask(openStore(url)).catch((reason: SessionError) => reason)
    expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
    expect((error as Error).message).toContain('ECONNREFUSED')
    hidesAll(error as SessionError, url)
  })

  it('for a right that it lost while it ran, fails what needs that, and nothing else', async () => {
    const url = await asUser(everything)
    const store = openStore(url.href)
    const id = await stored(store)
    const pool = openPool(`${server}${url.pathname}`)
    const [schema, user] = [url.pathname.slice(1), `'${url.username}'@'127.0.0.1'`]
    await pool.query(`REVOKE INSERT ON ${schema}.* FROM ${user}`)
    expect(await store.write([insert(newId()), removal(id)])).toMatchObject([
      { code: 'ERR_SESSION_STORE_CONFIGURATION' },
      'done',
    ])
  })

  it.each(layouts)('for a table that was dropped, makes it again: %s', async (_name, options, table) => {
    const url = await freshDatabase(server)
    const store = openStore(url, options)
    const app = await serveSessions(store)
    const visitors = Array.from({ length: 5 }, () => new Visitor(app))
    for (const visitor of visitors) expect(await visitor.say('before')).toBe('before')
    const pool = openPool(url)
    await pool.query(`DROP TABLE ${table}`)
    expect(await Promise.all(visitors.map((visitor) => visitor.recall()))).toEqual(
      visitors.map(() => 'nothing'),
    )
    for (const visitor of visitors) expect(await visitor.say('again')).toBe('again')
    await pool.query(`DROP TABLE ${table}`)
    expect(await Promise.all(visitors.map(() => new Visitor(app).say('new')))).toEqual(
      visitors.map(() => 'new'),
    )
    await pool.query(`DROP TABLE ${table}`)
    await Promise.all(visitors.map((visitor) => visitor.say('after')))
    expect(app.errors).toEqual([])
    // And by an app that starts after it was dropped.
    await pool.query(`DROP TABLE ${table}`)
    const id = await stored(openStore(url, options))
    expect(await store.find([id])).toMatchObject([{ id }])
    expect(await store.removeExpired(10)).toBe(0)
  })

  it('for a table that was dropped and may not be made, names what makes it', async () => {
    for (const [layout, options, table] of layouts) {
      const url = await freshDatabase(server)
      await stored(openStore(url, options))
      const store = openStore(url, { ...options, createTable: false })
      await openPool(url).query(`DROP TABLE ${table}`)
      const error = await store.find([newId()]).catch((reason: SessionError) => reason)
      expect(error, `${layout} on ${name}`).toMatchObject({ code: 'ERR_SESSION_MISSING_TABLE', status: 500 })
      expect((error as Error).message).toMatch(
        layout === 'its own table' ? /coatcheck_migrations says/ : /createTable/,
      )
    }
  })

  it.each(layouts)(
    "for a missing table of the app's that a trigger uses, does not take it for its own: %s",
    async (_name, options, table) => {
      const url = await freshDatabase(server)
      const store = openStore(url, options)
      const id = await stored(store)
      const pool = openPool(url)
      // Its name begins as that of the store's.
      await pool.query(`CREATE TABLE ${table}_audit (at INT)`)
      await pool.query(
        `CREATE TRIGGER audits AFTER INSERT ON ${table} FOR EACH ROW INSERT INTO ${table}_audit VALUES (1)`,
      )
      await pool.query(`DROP TABLE ${table}_audit`)
      const [error] = await store.write([insert(newId())])
      expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 })
      expect((error as Error).message).toMatch(/table is missing.*trigger/)
      expect((error as Error).message).not.toContain('audit')
      expect(await store.find([id])).toMatchObject([{ id }])
    },
  )

  it('for a table that was dropped under length() and clear(), says who makes it', async () => {
    const url = await freshDatabase(server)
    const pool = openPool(url)
    const store = new (expressMySQLSession(session))({ clearExpired: false }, pool)
    await store.onReady()
    await pool.query('DROP TABLE sessions')
    for (const asked of [() => store.length(), () => store.clear()]) {
      const error = await asked().catch((reason: SessionError) => reason)
      expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 })
      expect((error as Error).message).toMatch(/table is missing.*createDatabaseTable.*by hand/)
      expect((error as Error).message).not.toMatch(/schema\/mysql\.sql|is up/)
    }
    await store.createDatabaseTable()
    expect(await store.length()).toBe(0)
    await store.close()
  })

  it("under an app's own store, is understood, and told without advice on stores of ours", async () => {
    const require = createRequire(import.meta.url)
    const url = await freshDatabase(server)
    const pool = openPool(url)
    const Incumbent = (require('express-mysql-session') as typeof expressMySQLSession)(
      require('express-session') as typeof session,
    )
    const store = new Incumbent({ clearExpired: false }, pool)
    await store.onReady()
    const app = await serveDropIn(store)
    await pool.query('ALTER TABLE sessions MODIFY data TEXT CHARACTER SET utf8mb3')
    expect(await new Visitor(app).say('🎉')).toBe('500 ERR_SESSION_DATA_REFUSED')
    await pool.query('DROP TABLE sessions')
    expect(await new Visitor(app).say('plain')).toBe('500 ERR_SESSION_STORE_CONFIGURATION')
    expect(app.errors).toHaveLength(2)
    for (const { message } of app.errors)
      expect(message).not.toMatch(/MySQLStore|DATABASE_URL|createTable|schema\//)
  })
})

function hidesAll(error: SessionError, url: string): void {
  const { hostname, port } = new URL(url)
  for (const secret of [canary, hostname, port]) expect(error.message).not.toContain(secret)
  expect(error.cause).toBeDefined()
}
