// One of the apps that are killed in the middle of a request: one with `?step=7` ends the process at the 7th step from its arrival.
import { flushCompileCache } from 'node:module'
import { DatabaseSync } from 'node:sqlite'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import type { SQLiteDatabase, SQLiteValue } from 'coatcheck/sqlite'
import express from 'express'
import { mostSessions } from './requests.ts'
import { count, counted, departs, watchNetwork } from './steps.ts'

const store = await openStore(process.env['STORE']!, process.env['WHERE']!)
const options = {
  store,
  secret: 'the same secret in every app of this test',
  sessionsPerUser: { most: mostSessions },
  sweep: false,
} as const
// As long as it may be: no test has to be faster than the grace.
const sessions = createSessions({ ...options, rotationGrace: '5m' })
/** The same sessions in an app without a grace: as all find them when it is over. */
const hasty = createSessions({ ...options, rotationGrace: false })

const acts = express.Router()
acts.get('/session', ({ session }, res) => {
  const { publicId, userId, createdAt, authenticatedAt } = session
  // What a table of express-mysql-session holds besides tells of the expiry, which every change moves.
  const data = { ...session, cookie: undefined }
  // Whoever has no session has nothing.
  res.json(createdAt ? { ...data, publicId, userId, createdAt, authenticatedAt } : {})
})
acts.post('/begin/:name', ({ session, params: { name } }, res) => {
  Object.assign(session, { canary: name, left: 'old', right: 'old', count: 0 })
  res.json({})
})
acts.post('/change/:name', ({ session }, res) => {
  Object.assign(session, { left: 'new', right: 'new' })
  res.json({})
})
acts.post('/count/:name', async ({ session }, res) => {
  res.json({ count: await session.update((data) => ((data as { count: number }).count += 1)) })
})
acts.post('/sign-in/:name', async ({ session, params: { name } }, res) => {
  await session.signIn(name, { keep: true })
  session.canary = name
  res.json({})
})
acts.post('/rotate/:name', async ({ session }, res) => {
  await session.rotate()
  res.json({})
})
acts.post('/sign-out/:name', async ({ session }, res) => {
  await session.signOut()
  res.json({})
})
acts.post('/destroy/:name', async ({ session }, res) => {
  await session.destroy()
  res.json({})
})
acts.post('/regenerate/:name', async (req, res) => {
  await req.session.regenerate()
  Object.assign(req.session, { canary: req.params.name, fresh: true })
  res.json({})
})
acts.post('/revoke-all/:name', async ({ params: { name } }, res) => {
  res.json({ ended: await sessions.user(name).revokeAll() })
})

const app = express()
app.get('/steps', (_req, res) => void res.json(counted()))
app.use(({ query: { step } }, res, next) => {
  if (step === undefined) return next()
  count(Number(step))
  res.once('close', counted)
  next()
})
app.use('/hasty', session(hasty), acts)
app.use(session(sessions), acts)

watchNetwork()
await sessions.ready()
const server = app.listen(0, '127.0.0.1', () => {
  // It would be kept at the end, but these apps have none.
  flushCompileCache()
  console.log(`listening ${(server.address() as { port: number }).port}`)
})
process.once('SIGTERM', () => {
  server.close(() => void Promise.all([sessions.close(), hasty.close()]))
  server.closeAllConnections()
})

/** Only the driver that is needed: the sooner it is up, the more can be killed. */
async function openStore(kind: string, where: string) {
  if (kind === 'sqlite') {
    const { SQLiteStore } = await import('coatcheck/sqlite')
    return new SQLiteStore(watched(where))
  }
  const { MySQLStore } = await import('coatcheck/mysql')
  return new MySQLStore(where, kind === 'mysql' ? {} : { layout: 'express-mysql-session' })
}

/** An SQLite file as the store opens one, whose every statement is a step: also those within a transaction. */
function watched(file: string): SQLiteDatabase {
  const database = new DatabaseSync(file)
  // Only here may it wait for others, who open the file in the same moment.
  database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec('PRAGMA busy_timeout = 0')
  return {
    exec: (sql: string) => database.exec(sql),
    close: () => database.close(),
    prepare(sql: string) {
      const statement = database.prepare(sql)
      return {
        run(...values: SQLiteValue[]) {
          departs()
          return statement.run(...values)
        },
        all(...values: SQLiteValue[]) {
          departs()
          return statement.all(...values)
        },
      }
    },
  }
}
