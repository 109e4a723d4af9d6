// As use.mjs, for code that still says require().
const assert = require('node:assert/strict')
const { createSessions, MemoryStore, SessionError } = require('coatcheck')
const cors = require('coatcheck/cors')
const csrf = require('coatcheck/csrf')
const expressMySQLSession = require('coatcheck/express-mysql-session')
const { createHub, createSite } = require('coatcheck/handoff')
const session = require('coatcheck/express')
const { MySQLStore } = require('coatcheck/mysql')
const { openStore } = require('coatcheck/open')
const { PostgreSQLStore } = require('coatcheck/postgresql')
const { RedisStore } = require('coatcheck/redis')
const { SQLiteStore } = require('coatcheck/sqlite')
const { storeSuite } = require('coatcheck/testing')
const { keepAndFind } = require('./keep-and-find.cjs')

for (const callable of [cors, createHub, createSite, csrf, session, storeSuite, expressMySQLSession(session)])
  assert.equal(typeof callable, 'function')
void keepAndFind({
  createSessions,
  MemoryStore,
  MySQLStore,
  openStore,
  PostgreSQLStore,
  RedisStore,
  SQLiteStore,
  SessionError,
})
