import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { describe, it } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

const layout = 'express-mysql-session'

onEachServer('an old table', ({ server }) => {
  storeSuite("MySQLStore on express-mysql-session's table", {
    describe,
    it,
    keyedBy: 'token',
    open: async () => {
      const url = await freshDatabase(server)
      const [store, other] = [new MySQLStore(url, { layout }), new MySQLStore(url, { layout })]
      return { store, other, cleanUp: () => Promise.resolve() }
    },
  })
})
