const assert = require('node:assert')
const { createServer } = require('node:http')

/** What `new` makes an instance of each exported class with. A class that is missing here fails. */
const made = {
  'coatcheck SessionError': (Class) => new Class('ERR_SESSION_OPTION', 'made by a test'),
  'coatcheck MemoryStore': (Class) => new Class(),
  'coatcheck/express Cookie': (Class) => new Class(),
  'coatcheck/express ExpressStore': (Class, { coatcheck }) => new Class(new coatcheck.MemoryStore()),
  'coatcheck/express MemoryStore': (Class) => new Class(),
  'coatcheck/express Session': (Class) => new Class({ sessionID: 'id', sessionStore: {} }),
  'coatcheck/express Store': (Class) => new Class(),
  'coatcheck/handoff Hub': (Class, { coatcheck }) =>
    new Class(sessionsOf(coatcheck), { issuer: 'https://hub.test', signInPage: '/sign-in', clients: {} }),
  'coatcheck/handoff Site': (Class, { coatcheck }) =>
    new Class(sessionsOf(coatcheck, 'shop'), {
      hub: 'https://hub.test',
      redirectUri: 'https://shop.test/handoff/callback',
    }),
  'coatcheck/mysql MySQLStore': (Class) => new Class('mysql://app@127.0.0.1:1/shop', { createTable: false }),
  'coatcheck/postgresql PostgreSQLStore': (Class) =>
    new Class('postgres://app@127.0.0.1:1/shop', { createTable: false }),
  'coatcheck/redis RedisStore': (Class) => new Class('redis://app@127.0.0.1:1'),
  'coatcheck/sqlite SQLiteStore': (Class) => new Class(':memory:'),
}

function sessionsOf({ createSessions, MemoryStore }, clientId) {
  const secret = 'a secret that only these tests use'
  return createSessions({ store: new MemoryStore(), secret, sweep: false, clientId })
}

const functions = ['coatcheck/cors', 'coatcheck/csrf', 'coatcheck/express', 'coatcheck/express-mysql-session']

/** Fails unless whatever was loaded by `require` is what was loaded by `import`. */
async function assertOneInstance(required, imported) {
  let classes = 0
  for (const entry of Object.keys(required)) {
    const names = Object.keys(required[entry])
    for (const name of names) {
      const value = required[entry][name]
      assert.strictEqual(imported[entry][name], value, `${entry} ${name}`)
      if (!/^[A-Z]/.test(name)) continue
      const make = made[`${entry} ${name}`]
      assert(make, `${entry} ${name} is not tried`)
      assert(make(value, imported) instanceof imported[entry][name], `${entry} ${name} by require`)
      assert(make(imported[entry][name], required) instanceof value, `${entry} ${name} by import`)
      classes++
    }
  }
  assert.strictEqual(classes, Object.keys(made).length)
  for (const entry of functions) {
    assert.strictEqual(typeof required[entry], 'function', entry)
    assert.strictEqual(imported[entry].default, required[entry], entry)
  }
  // What one of them made, the other knows.
  const secret = 'a secret that only these tests use'
  const { createSessions, MemoryStore } = required.coatcheck
  const sessions = createSessions({ store: new MemoryStore(), secret })
  await assertCounts(imported['coatcheck/express'].default(sessions))
  await assertCounts(
    required['coatcheck/express']({ store: new imported.coatcheck.MemoryStore(), secret, resave: false }),
  )
  await sessions.close()
}

/** Fails unless two visits of a browser are counted in one session. */
async function assertCounts(middleware) {
  const server = createServer((request, response) => {
    middleware(request, response, () => {
      request.session.visits = (request.session.visits ?? 0) + 1
      response.end(String(request.session.visits))
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/`
  const first = await fetch(url)
  const [cookie] = first.headers.getSetCookie()
  const second = await fetch(url, { headers: { cookie: cookie.split(';')[0] } })
  assert.deepStrictEqual([await first.text(), await second.text()], ['1', '2'])
  await new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
}

module.exports = { assertOneInstance }
