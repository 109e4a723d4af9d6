import { DatabaseSync } from 'node:sqlite'
import { MemoryStore, createSessions, type SessionStore } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import express, { type RequestHandler } from 'express'
import { createPool, type RowDataPacket } from 'mysql2/promise'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type EmbeddedMetadata, metadataIn, signedMetadata } from '../../dist/core/data/embedded-metadata.js'
import { keyPrefix } from '../../dist/core/token.js'
import { subjectOf } from '../../dist/stores/mysql-express/record.js'
import { listen } from '../adapters/serve.ts'
import { type Database, databases, freshDatabase } from '../servers/databases.ts'
import { Browser } from '../shared/browser.ts'
import { secret } from './works.ts'

declare module 'coatcheck' {
  interface SessionData {
    bought?: string[]
  }
}

const minute = 60_000

/** A store, and a way to make all that is in it older, so that nobody has to wait. */
interface Aged {
  readonly store: SessionStore
  age(milliseconds: number): unknown
}

function onServer({ name, server }: Database): Record<string, () => Promise<Aged>> {
  return {
    async [`on ${name}`]() {
      const pool = createPool(await freshDatabase(server))
      onTestFinished(() => pool.end())
      const older =
        'UPDATE coatcheck_sessions SET created_at = created_at - ?, authenticated_at = authenticated_at - ?'
      return {
        store: new MySQLStore(pool),
        age: (milliseconds) => pool.query(older, [milliseconds, milliseconds]),
      }
    },
    async [`on express-mysql-session's table on ${name}`]() {
      const pool = createPool(await freshDatabase(server))
      onTestFinished(() => pool.end())
      return {
        store: new MySQLStore(pool, { layout: 'express-mysql-session' }),
        async age(milliseconds) {
          const [rows] = await pool.query<RowDataPacket[]>('SELECT session_id AS id, data FROM sessions')
          const { id: key } = rows.find(({ id }) => (id as string).startsWith(keyPrefix)) as { id: string }
          for (const { id, data } of rows as { id: string; data: string }[]) {
            const session = JSON.parse(data) as { coatcheck?: EmbeddedMetadata }
            const metadata = metadataIn(session)
            if (!metadata) continue
            const { authenticatedAt, createdAt } = metadata
            const older = {
              ...metadata,
              ...(authenticatedAt !== undefined && { authenticatedAt: authenticatedAt - milliseconds }),
              createdAt: createdAt - milliseconds,
            }
            const text = JSON.stringify({ ...session, coatcheck: signedMetadata(key, subjectOf(id), older) })
            await pool.query('UPDATE sessions SET data = ? WHERE session_id = ?', [text, id])
          }
        },
      }
    },
  }
}

const stores: Record<string, () => Promise<Aged>> = {
  async 'in memory'() {
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    return { store: new MemoryStore(), age: (milliseconds) => vi.setSystemTime(Date.now() + milliseconds) }
  },
  async 'in SQLite'() {
    const database = new DatabaseSync(':memory:')
    onTestFinished(() => database.close())
    const older =
      'UPDATE coatcheck_sessions SET created_at = created_at - ?, authenticated_at = authenticated_at - ?'
    return {
      store: new SQLiteStore(database),
      age: (milliseconds) => database.prepare(older).run(milliseconds, milliseconds),
    }
  },
  ...Object.assign({}, ...databases().map(onServer)),
}

/** Lets those pass who proved who they are within the last five minutes. */
const onlyRecentlySignedIn: RequestHandler = (req, res, next) => {
  const { authenticatedAt } = req.session
  if (authenticatedAt !== undefined && Date.now() - authenticatedAt.getTime() <= 5 * minute) next()
  else res.status(403).json({ error: 'sign in again' })
}

function shop(store: SessionStore): express.Express {
  const sessions = createSessions({ store, secret, sweep: false })
  onTestFinished(() => sessions.close())
  const app = express()
  app.use(session(sessions))
  app.post('/buy/:item', (req, res) => {
    req.session.bought = [...(req.session.bought ?? []), req.params.item]
    res.json({})
  })
  app.post('/sign-in', async (req, res) => {
    await req.session.signIn('ada', { keep: ['bought'] })
    res.json({})
  })
  app.post('/rotate', async (req, res) => {
    await req.session.rotate()
    res.json({})
  })
  app.get('/account', (req, res) => {
    const { userId, publicId, bought } = req.session
    res.json({ userId, publicId, bought })
  })
  app.post('/pay', onlyRecentlySignedIn, (_req, res) => {
    res.json({ paid: true })
  })
  return app
}

test.each(Object.entries(stores))(
  '%s, an app can refuse who signed in too long ago for this, until they sign in again; the session goes on',
  async (_where, open) => {
    const { store, age } = await open()
    const { url } = await listen(shop(store))
    const browser = new Browser()
    const statusOfPaying = async (payer = browser) => (await payer.post(url, '/pay')).status

    await browser.post(url, '/buy/coat')
    expect(await statusOfPaying()).toBe(403)
    await browser.post(url, '/sign-in')
    const before = (await browser.get(url, '/account')).body
    expect(before).toMatchObject({ userId: 'ada', bought: ['coat'] })
    expect(await statusOfPaying()).toBe(200)

    await age(4 * minute)
    expect(await statusOfPaying()).toBe(200)
    await age(2 * minute)
    expect(await statusOfPaying()).toBe(403)
    // Neither a change nor another token proves anything.
    await browser.post(url, '/buy/hat')
    expect(await statusOfPaying()).toBe(403)
    await browser.post(url, '/rotate')
    expect(await statusOfPaying()).toBe(403)
    const stale = browser.clone()
    expect((await browser.get(url, '/account')).body).toEqual({ ...before, bought: ['coat', 'hat'] })

    await browser.post(url, '/sign-in')
    expect(await statusOfPaying()).toBe(200)
    expect((await browser.get(url, '/account')).body).toEqual({ ...before, bought: ['coat', 'hat'] })
    // Whoever has the token from before is not let in by the owner's proof.
    expect(browser.cookies).not.toEqual(stale.cookies)
    expect(await statusOfPaying(stale)).toBe(403)
  },
)
