// One app of several that share sessions through a Galera cluster, each on a node of its own.
import { once } from 'node:events'
import express from 'express'
import { createSessions, SessionError } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'

declare module 'coatcheck' {
  interface SessionData {
    count?: number
    written?: number
    canary?: string
  }
}

const store = new MySQLStore(process.env.DATABASE_URL, { causalReads: process.env.CAUSAL === 'true' })
const common = {
  store,
  secret: 'the same secret in every app of this test',
  lifetime: { absolute: '1d' },
} as const
const unlimited = createSessions(common)
const endOldest = createSessions({ ...common, sessionsPerUser: { most: 3, whenFull: 'endOldest' } })
const refuse = createSessions({ ...common, sessionsPerUser: { most: 3, whenFull: 'refuse' } })

const app = express()

for (const [path, sessions] of [
  ['/endOldest', endOldest],
  ['/refuse', refuse],
] as const) {
  app.post(`${path}/:user`, session(sessions), async (req, res) => {
    await req.session.signIn(req.params.user)
    res.json({})
  })
}

app.use(session(unlimited))

app.post('/sign-in/:user', async (req, res) => {
  await req.session.signIn(req.params.user)
  req.session.canary = req.params.user
  res.json({})
})
app.get('/who', (req, res) => {
  const { userId, count, written, canary } = req.session
  if (userId === undefined) return void res.status(401).json({})
  res.json({ userId, count, written, canary })
})
app.post('/write/:number', (req, res) => {
  if (req.session.userId === undefined) return void res.status(401).json({})
  req.session.written = Number(req.params.number)
  res.json({ userId: req.session.userId, canary: req.session.canary })
})
app.post('/increment', async (req, res) => {
  await req.session.update((data) => (data.count = (data.count ?? 0) + 1))
  res.json({})
})
app.post('/sign-out', async (req, res) => {
  await req.session.signOut()
  res.json({})
})

// A sign-in that has begun, and goes on when another request says so.
const held = new Map<string, () => void>()
const arrivals = new EventTarget()
app.post('/sign-in-held/:user', async (req, res) => {
  const { user } = req.params
  await new Promise<void>((resolve) => {
    held.set(user, resolve)
    arrivals.dispatchEvent(new Event(user))
  })
  await req.session.signIn(user)
  res.json({})
})
app.get('/held/:user', async (req, res) => {
  if (!held.has(req.params.user)) await once(arrivals, req.params.user)
  res.json({})
})
app.post('/release/:user', (req, res) => {
  held.get(req.params.user)!()
  res.json({})
})
app.post('/revoke/:user', async (req, res) => {
  res.json({ ended: await unlimited.user(req.params.user).revokeAll() })
})
app.get('/live/:user', async (req, res) => {
  res.json({ live: (await unlimited.user(req.params.user).list()).length })
})

app.use((error: unknown, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
  if (error instanceof SessionError) return void res.status(error.status).json({ code: error.code })
  console.error(error)
  res.status(500).json({})
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address() as { port: number }
  console.log(`listening ${address.port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void store.close())
  server.closeAllConnections()
})
