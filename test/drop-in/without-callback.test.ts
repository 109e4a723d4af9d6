import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { freshDatabase } from '../servers/databases.ts'
import { freePort } from '../servers/ports.ts'

const run = promisify(execFile)

/** A database that is there, one where nobody listens, and one whose store was closed before. */
const databases = {
  there: async () => ({ url: await freshDatabase(), close: false }),
  away: async () => ({ url: `mysql://app@127.0.0.1:${await freePort()}/shop`, close: false }),
  closed: async () => ({ url: await freshDatabase(), close: true }),
}

/** How an app's process ends that calls these methods without a callback, and without looking at the promises. */
async function endOf(make: string, methods: readonly string[], url: string, close: boolean): Promise<string> {
  const code = `
    const { hostname, port, username, password, pathname } = new URL(process.env.DATABASE_URL)
    const where = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
    const session = { cookie: { originalMaxAge: null } }
    const request = { sessionID: 'id' }
    const store = (${make})(where)
    store.generate = () => undefined
    const asked = (act) => new Promise((resolve) => act(resolve))
    const main = async () => {
      if (${close}) await asked((done) => store.close(done))
      ${methods.map((method) => `store.${method}`).join('\n')}
      // These are asked later, so what was asked before has its answer as well.
      await asked((done) => store.all(done))
      await asked((done) => store.get('id', done))
      if (store.close) {
        store.close()
        while (store.state === 'CLOSING') await new Promise(setImmediate)
        await asked((done) => store.close(done))
      }
      await new Promise(setImmediate)
      process.stdout.write('lives on')
      process.exit()
    }
    main()`
  return run(process.execPath, ['--eval', code], {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env['PATH'], DATABASE_URL: url, NO_DEPRECATION: 'express-session' },
  }).then(
    ({ stdout }) => stdout,
    (error: { stderr: string }) => `ends: ${error.stderr}`,
  )
}

const mysqlStore = (store: string, session: string): string =>
  `(where) => new (require('${store}')(require('${session}')))({ ...where, clearExpired: false })`
const expressStore =
  "(where) => new (require('coatcheck/express').ExpressStore)(new (require('coatcheck/mysql').MySQLStore)(where), { sweep: false })"

const methods = [
  "get('id')", "set('id', session)", "touch('id', session)", "destroy('id')", 'all()', 'length()', 'clear()',
  'regenerate(request)', "load('id')",
] // prettier-ignore
const withoutData = ["set('id')", "touch('id')"]
const promises = ['onReady()', 'clearExpiredSessions()', 'createDatabaseTable()', "query('SELECT 1')"]

test.each<[string, string, string[], (keyof typeof databases)[]]>([
  [
    'coatcheck/express-mysql-session',
    mysqlStore('coatcheck/express-mysql-session', 'coatcheck/express'),
    [...methods, ...withoutData, ...promises],
    ['there', 'away', 'closed'],
  ],
  ['ExpressStore', expressStore, [...methods, ...withoutData], ['there', 'away', 'closed']],
  ['MemoryStore', "() => new (require('coatcheck/express').MemoryStore)()", methods, ['there']],
])(
  'the methods of %s that are called without a callback never end the process',
  async (_name, make, called, states) => {
    for (const state of states) {
      const { url, close } = await databases[state]()
      expect(await endOf(make, called, url, close), `the database is ${state}`).toBe('lives on')
    }
  },
)

test.each(["get('id')", "destroy('id')", 'clearExpiredSessions()'])(
  'express-mysql-session ends the process by %s where the database is away',
  async (method) => {
    const { url } = await databases.away()
    const end = await endOf(mysqlStore('express-mysql-session', 'express-session'), [method], url, false)
    expect(end).toMatch(/^ends: .*ECONNREFUSED/s)
  },
)
