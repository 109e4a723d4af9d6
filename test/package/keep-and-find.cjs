const assert = require('node:assert/strict')
const { randomBytes } = require('node:crypto')

/** Keeps a session in each store, finds it again, and prints the store's name. */
async function keepAndFind({ createSessions, MemoryStore, MySQLStore, SQLiteStore, SessionError }) {
  const open = {
    memory: () => new MemoryStore(),
    sqlite: () => new SQLiteStore(process.env.SQLITE_FILE),
    mysql: () => new MySQLStore(process.env.DATABASE_URL),
  }
  assert.throws(
    () => createSessions({ store: new MemoryStore(), secret: 'x' }),
    (error) => error instanceof SessionError && error.code === 'ERR_SESSION_OPTION',
  )
  for (const [name, openStore] of Object.entries(open)) {
    const store = openStore()
    const sessions = createSessions({ store, secret: 'a secret for this test alone' })
    const key = randomBytes(24).toString('hex')
    const publicId = randomBytes(12).toString('hex')
    const data = new TextEncoder().encode('{"cart":["tea"]}')
    const lifetime = { idle: 60_000, absolute: undefined }
    const userId = `ada ${publicId}`
    assert.deepEqual(
      await store.write([{ type: 'insert', key, publicId, userId, signedIn: false, data, lifetime }]),
      ['done'],
    )
    const [record] = await store.find([key])
    assert.deepEqual(Buffer.from(record.data), Buffer.from(data))
    const [info] = await sessions.user(userId).list()
    assert.equal(info.publicId, publicId)
    await sessions.close()
    process.stdout.write(`${name}\n`)
  }
}

module.exports = { keepAndFind }
