// As use.mjs, for code that still says require().
const assert = require('node:assert/strict')
const { createSessions, MemoryStore, SessionError } = require('coatcheck')
const cors = require('coatcheck/cors')
const expressMySQLSession = require('coatcheck/express-mysql-session')
const session = require('coatcheck/express')
const { MySQLStore } = require('coatcheck/mysql')
const { SQLiteStore } = require('coatcheck/sqlite')
const { storeSuite } = require('coatcheck/testing')
const { keepAndFind } = require('./keep-and-find.cjs')

for (const callable of [cors, session, storeSuite, expressMySQLSession(session)])
  assert.equal(typeof callable, 'function')
void keepAndFind({ createSessions, MemoryStore, MySQLStore, SQLiteStore, SessionError })
