const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')

/** Keeps a session in each store, finds it again, and prints the store's name. */
async function keepAndFind({ createSessions, MemoryStore, openStore, SessionError, ...stores }) {
  const open = {
    memory: () => new MemoryStore(),
    sqlite: () => new stores.SQLiteStore(process.env.SQLITE_FILE),
    mysql: () => new stores.MySQLStore(process.env.MYSQL_URL),
    postgresql: () => new stores.PostgreSQLStore(process.env.POSTGRESQL_URL),
    redis: () => new stores.RedisStore(process.env.REDIS_URL),
    open: () => openStore(process.env.MYSQL_URL),
  }
  assert.throws(
    () => createSessions({ store: new MemoryStore(), secret: 'x' }),
    (error) => error instanceof SessionError && error.code === 'ERR_SESSION_OPTION',
  )
  for (const [name, make] of Object.entries(open)) {
    const store = make()
    const sessions = createSessions({ store, secret: 'a secret for this test alone' })
    const id = randomBytes(12).toString('base64url')
    const hash = randomBytes(32)
    const content = { format: 1, mark: randomBytes(8) }
    const data = new TextEncoder().encode('{"cart":["tea"]}')
    const lifetime = { idle: 60_000, absolute: undefined }
    const userId = `ada ${id}`
    assert.deepEqual(
      await store.write([{ type: 'insert', id, hash, userId, signedIn: false, data, lifetime, ...content }]),
      ['done'],
    )
    const [record] = await store.find([id])
    assert.deepEqual(Buffer.from(record.data), Buffer.from(data))
    const [info] = await sessions.user(userId).list()
    assert.equal(info.publicId, id)
    await sessions.close()
    process.stdout.write(`${name}\n`)
  }
}

module.exports = { keepAndFind }
