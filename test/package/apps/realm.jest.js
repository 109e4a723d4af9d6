// Jest loads the package in a realm of its own: what Node itself throws is no `Error` of that.
const { mkdtempSync, rmSync } = require('node:fs')
const { createServer } = require('node:http')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { createSessions } = require('coatcheck')
const session = require('coatcheck/express')
const { MySQLStore } = require('coatcheck/mysql')
const { PostgreSQLStore } = require('coatcheck/postgresql')
const { RedisStore } = require('coatcheck/redis')
const { SQLiteStore } = require('coatcheck/sqlite')

const secret = 'a secret that only these tests use'
const { DatabaseSync } = process.getBuiltinModule('node:sqlite')

/** Answers a visit with the status that its session leads to. */
async function visit(middleware) {
  const server = createServer((request, response) => {
    middleware(request, response, (error) => {
      if (error) return response.writeHead(error.status ?? 500).end(error.code)
      request.session.seen = true
      return response.end('seen')
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`)
  const answer = [response.status, await response.text()]
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  return answer
}

test.each([
  ['MySQL', () => new MySQLStore('mysql://app:secret@127.0.0.1:1/shop')],
  ['PostgreSQL', () => new PostgreSQLStore('postgres://app:secret@127.0.0.1:1/shop')],
  ['Redis', () => new RedisStore('redis://app:secret@127.0.0.1:1')],
])('a store that is down is a 503, and a warning where nobody listens: %s', async (_, openStore) => {
  const warn = jest.spyOn(process, 'emitWarning')
  const sessions = createSessions({ store: openStore(), secret })
  expect(await visit(session(sessions))).toEqual([503, 'ERR_SESSION_STORE_UNAVAILABLE'])
  expect(warn).toHaveBeenCalledWith(
    expect.stringContaining('ECONNREFUSED'),
    expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE', type: 'SessionError' }),
  )
  warn.mockRestore()
  await sessions.close()
})

test('a table that is dropped is made again, and a lock is waited for', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-realm-'))
  const file = join(folder, 'sessions.db')
  const sessions = createSessions({ store: new SQLiteStore(file), secret })
  expect(await visit(session(sessions))).toEqual([200, 'seen'])
  const other = new DatabaseSync(file)
  other.exec('DROP TABLE coatcheck_sessions')
  expect(await visit(session(sessions))).toEqual([200, 'seen'])
  other.exec('BEGIN IMMEDIATE')
  const waiting = visit(session(sessions))
  // Where the store comes later than that, it finds no lock, which shows less.
  await new Promise((resolve) => setTimeout(resolve, 50))
  other.exec('COMMIT')
  expect(await waiting).toEqual([200, 'seen'])
  other.close()
  await sessions.close()
  rmSync(folder, { recursive: true })
})
