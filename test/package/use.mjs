// Copied into a project that has the packed coatcheck installed, and run there by every Node that it supports.
import assert from 'node:assert/strict'
import { createSessions, MemoryStore, SessionError } from 'coatcheck'
import cors from 'coatcheck/cors'
import csrf from 'coatcheck/csrf'
import session, { Store } from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'
import { createHub, createSite } from 'coatcheck/handoff'
import { MySQLStore } from 'coatcheck/mysql'
import { openStore } from 'coatcheck/open'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { RedisStore } from 'coatcheck/redis'
import { SQLiteStore } from 'coatcheck/sqlite'
import { storeSuite } from 'coatcheck/testing'
import { keepAndFind } from './keep-and-find.cjs'

await keepAndFind({
  createSessions,
  MemoryStore,
  MySQLStore,
  openStore,
  PostgreSQLStore,
  RedisStore,
  SQLiteStore,
  SessionError,
})
assert.equal(Store, session.Store)
for (const callable of [cors, createHub, createSite, csrf, session, storeSuite, expressMySQLSession(session)])
  assert.equal(typeof callable, 'function')
