import { MySQLStore } from 'coatcheck/mysql'
import { storeSuite } from 'coatcheck/testing'
import { describe, it } from 'vitest'
import { freshDatabase } from '../servers/databases.ts'

const layout = 'express-mysql-session'

storeSuite("MySQLStore on express-mysql-session's table", {
  describe,
  it,
  keyedBy: 'token',
  open: async () => {
    const url = await freshDatabase()
    const [store, other] = [new MySQLStore(url, { layout }), new MySQLStore(url, { layout })]
    return { store, other, cleanUp: () => Promise.resolve() }
  },
})
