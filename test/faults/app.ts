// One of the apps that go through faults. It says of each error what it is, so that a client can tell typed ones.
import { randomBytes } from 'node:crypto'
import { createSessions, SessionError } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import express, { type ErrorRequestHandler } from 'express'
import { Pool } from 'pg'

declare module 'coatcheck' {
  interface SessionData {
    /** The name of the user whose session it is. */
    canary?: string
    /** The same, from before the user signed in. */
    visitor?: string
  }
}

const number = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise)

const url = process.env['DATABASE_URL']!
const max = number('POOL', 10)
const limits = { statementTimeout: number('STATEMENT_TIMEOUT', 1_000) }
/** Its own, where the pool that the store would make is of another size. */
const pool = url.startsWith('postgres:') && max !== 10 ? new Pool({ connectionString: url, max }) : undefined
const sessions = createSessions({
  store: url.startsWith('postgres:')
    ? new PostgreSQLStore(pool ?? url, limits)
    : new MySQLStore({ uri: url, connectionLimit: max }, limits),
  secret: (process.env['SECRETS'] ?? 'the same secret in every app of this test').split(','),
  ...(process.env['ENCRYPTION'] !== undefined && { encryption: process.env['ENCRYPTION'] }),
  storeLimits: { deadline: number('DEADLINE', 2_000), queue: number('QUEUE', 10_000) },
  sizeLimit: number('SIZE_LIMIT', 65_536),
})
/** How often each kind of fault was told. */
const faults: Record<string, number> = {}
sessions.on('storeError', ({ code }) => {
  faults[code] = (faults[code] ?? 0) + 1
})

const app = express()
app.use((_req, res, next) => {
  // Else a client that is never idle keeps its connection, and with it this process, for ever.
  if (!server.listening) res.set('connection', 'close')
  next()
})
app.get('/pulse', (_req, res) => void res.json(faults))
app.use(session(sessions))

app.post('/visit/:user', (req, res) => {
  req.session.visitor = req.params.user
  res.json({ canary: req.session.visitor })
})
app.post('/sign-in/:user', async (req, res) => {
  await req.session.signIn(req.params.user, { keep: ['visitor'] })
  req.session.canary = req.params.user
  res.json(req.session)
})
// Whoever has no session is told so, and writes nothing.
app.use((req, res, next) => {
  if (req.session.canary === undefined) res.status(401).json({ visitor: req.session.visitor })
  else next()
})
app.post('/data/:name/:value', (req, res) => {
  Object.assign(req.session, { [req.params.name]: req.params.value })
  res.json(req.session)
})
app.post('/filler/:bytes', (req, res) => {
  Object.assign(req.session, { filler: incompressible(Number(req.params.bytes)) })
  res.json({ canary: req.session.canary })
})
app.post('/rotate', async (req, res) => {
  await req.session.rotate()
  res.json(req.session)
})
app.post('/sign-out', async (req, res) => {
  const { canary } = req.session
  await req.session.signOut()
  res.json({ canary })
})
app.get('/data', (req, res) => void res.json(req.session))

/** A database may store a text compressed. */
function incompressible(length: number): string {
  return randomBytes(length).toString('base64').slice(0, length)
}

const answerWithError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  const code = error instanceof SessionError ? error.code : null
  res.status(error instanceof SessionError ? error.status : 500).json({ code, message: String(error) })
}
app.use(answerWithError)

const server = app.listen(number('PORT', 0), '127.0.0.1', () => {
  const address = server.address() as { port: number }
  console.log(`listening ${address.port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void sessions.close().then(() => pool?.end()))
})
