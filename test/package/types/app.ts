import { EventEmitter } from 'events'
import express from 'express'
import { createSessions, MemoryStore, SessionError, type Sessions } from 'coatcheck'
import cors, { type CorsOptions } from 'coatcheck/cors'
import csrf, { type CsrfMiddlewareOptions } from 'coatcheck/csrf'
import session, { Cookie, type SessionOptions, Store } from 'coatcheck/express'
import expressMySQLSession, { type MySQLStoreOptions } from 'coatcheck/express-mysql-session'
import { createHub, createSite, type Hub, type HubOptions, type Site } from 'coatcheck/handoff'
import { MySQLStore } from 'coatcheck/mysql'
import { openStore, type OpenStoreOptions } from 'coatcheck/open'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { RedisStore } from 'coatcheck/redis'
import { SQLiteStore } from 'coatcheck/sqlite'
import { storeSuite } from 'coatcheck/testing'

declare module 'coatcheck' {
  interface SessionData {
    cart?: string[]
  }
  interface Session {
    note(text: string): void
  }
}

const app = express()
const secret = 'a secret that only these tests use'
const sessions: Sessions = createSessions({ store: new SQLiteStore(':memory:'), secret })
app.use(cors(sessions))
const checking: CsrfMiddlewareOptions = { sites: ['https://app.example.com'], report: true }
app.use(csrf(checking))
const corsOptions: CorsOptions = { origin: ['https://app.example.com'], credentials: true }
const sameOptions: cors.CorsOptions = corsOptions
app.use(cors(sameOptions))
app.use(cors<express.Request>((request, callback) => callback(null, { origin: request.ip === '::1' })))

const mysql: MySQLStoreOptions = { host: 'localhost', user: 'app', database: 'shop' }
mysql.expiration = 3_600_000
const OldTable = expressMySQLSession(session)
const options: SessionOptions = { secret, cookie: { maxAge: 3_600_000, sameSite: 'lax' } }
options.name = 'shop.sid'
app.use(session(options))
app.use(session({ ...options, store: new OldTable(mysql) }))
app.use(session({ ...options, store: new MySQLStore('mysql://app@localhost/shop') }))
app.use(session({ ...options, store: new PostgreSQLStore('postgres://app@localhost/shop') }))
app.use(session({ ...options, store: new RedisStore('redis://app@localhost') }))
app.use(session({ ...options, store: new session.MemoryStore() }))
const ofAnyStore: OpenStoreOptions = { table: 'shop_sessions', createTable: false }
createSessions({ store: openStore(process.env.DATABASE_URL, ofAnyStore), secret })

declare const declared: session.Store
declared.get('id', (error: Error, data) => console.log(error, data?.cart))
app.use(session({ ...options, store: declared }))

class OwnStore extends Store {
  readonly rows = new Map<string, string>()
  override get(id: string, callback: (error?: unknown, data?: session.SessionData | null) => void): void {
    callback(null, JSON.parse(this.rows.get(id) ?? 'null') as session.SessionData | null)
  }
  override set(id: string, data: session.SessionData, callback?: (error?: unknown) => void): void {
    this.rows.set(id, JSON.stringify(data))
    callback?.()
  }
  override destroy(id: string, callback?: (error?: unknown) => void): void {
    this.rows.delete(id)
    callback?.()
  }
}
const own = new OwnStore()
const emitter: EventEmitter = own
app.use(session({ ...options, store: own }))

app.get('/', (request, response) => {
  const cart: string[] | undefined = request.session.cart
  request.session.cart = [...(cart ?? []), 'coat']
  request.session.note('a method that the app added')
  const publicId: string = request.session.publicId
  request.session.regenerate((error?: unknown) => {
    response.json({
      publicId,
      error: error instanceof SessionError,
      id: request.sessionID,
      path: new Cookie().path,
    })
  })
})
app.use(session(sessions))

const hubOptions: HubOptions = {
  issuer: 'https://accounts.example.com',
  signInPage: '/sign-in',
  clients: { shop: { redirectUris: ['https://shop.test/handoff/callback'], share: ['cart'] } },
  consent: ({ clientId, session: { userId } }) => userId !== undefined || `/consent?site=${clientId}`,
}
const hub: Hub = createHub(sessions, hubOptions)
app.use(hub.router)
const atSite = createSessions({ store: new SQLiteStore(':memory:'), secret, clientId: 'shop' })
const site: Site = createSite(atSite, {
  hub: 'https://accounts.example.com',
  redirectUri: 'https://shop.test/handoff/callback',
  keep: ['cart'],
})
app.use(site.router, site.check)
app.get('/members', site.signedIn({ within: '5m' }), (request, response) => {
  const cart: string[] | undefined = request.session.root?.data.cart
  response.json({ cart })
})

export const all = { emitter, MemoryStore, storeSuite }
