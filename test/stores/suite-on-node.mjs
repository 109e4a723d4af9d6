// The published suite in node:test, on whichever Node runs this file. Plain JavaScript, because Node 22.13 strips no types.
// With DATABASE_URL, MySQLStore goes through it too, in both layouts.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { MemoryStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { storeSuite } from 'coatcheck/testing'
import { createConnection } from 'mysql2/promise'

const folder = mkdtempSync(join(tmpdir(), 'coatcheck-suite-'))
after(() => rmSync(folder, { recursive: true }))

storeSuite('MemoryStore', {
  describe,
  it,
  open: async () => {
    const store = new MemoryStore()
    return { store, other: store, cleanUp: async () => {} }
  },
})

storeSuite('SQLiteStore', {
  describe,
  it,
  open: async () => {
    const file = join(folder, `${randomBytes(6).toString('hex')}.db`)
    return { store: new SQLiteStore(file), other: new SQLiteStore(file), cleanUp: async () => {} }
  },
})

const server = process.env['DATABASE_URL']
for (const layout of server === undefined ? [] : [undefined, 'express-mysql-session']) {
  storeSuite(`MySQLStore, ${layout ?? 'its own layout'}`, {
    describe,
    it,
    keyedBy: layout && 'token',
    open: async () => {
      const name = `coatcheck_${randomBytes(6).toString('hex')}`
      await onServer(`CREATE DATABASE ${name}`)
      const stores = [1, 2].map(() => new MySQLStore(`${server}/${name}`, { layout }))
      return { store: stores[0], other: stores[1], cleanUp: () => onServer(`DROP DATABASE ${name}`) }
    },
  })
}

async function onServer(sql) {
  const connection = await createConnection(server)
  try {
    await connection.query(sql)
  } finally {
    await connection.end()
  }
}
