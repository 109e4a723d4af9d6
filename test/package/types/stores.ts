// Stores that were written for express-session.
import connectPgSimple from 'connect-pg-simple'
import { RedisStore } from 'connect-redis'
import connectSQLite3 from 'connect-sqlite3'
import express from 'express'
import sessionFileStore from 'session-file-store'
import session from 'coatcheck/express'

const app = express()
const secret = 'a secret that only these tests use'
const PgStore = connectPgSimple(session)
const FileStore = sessionFileStore(session)
const SQLiteStore = connectSQLite3(session)
app.use(session({ secret, store: new RedisStore({ client: {} }) }))
app.use(session({ secret, store: new PgStore({ tableName: 'sessions' }) }))
app.use(session({ secret, store: new FileStore() }))
app.use(session({ secret, store: new SQLiteStore() }))
