// One app of several that share sessions through MariaDB. Each runs as a process of its own.
import express from 'express'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'

declare module 'coatcheck' {
  interface SessionData {
    value?: string
  }
}

const sessions = createSessions({
  store: new MySQLStore(process.env.DATABASE_URL),
  secret: 'the same secret in every app of this test',
})

const app = express()
app.use(session(sessions))

app.post('/sign-in/:user', async (req, res) => {
  await req.session.signIn(req.params.user)
  res.json({ user: req.session.userId })
})
app.post('/value/:value', (req, res) => {
  req.session.value = req.params.value
  res.json({ value: req.session.value })
})
app.get('/value', (req, res) => {
  if (req.session.userId === undefined) return void res.status(401).json({ error: 'sign in first' })
  res.json({ user: req.session.userId, value: req.session.value })
})
app.post('/sign-out', async (req, res) => {
  await req.session.signOut()
  res.json({})
})
app.post('/sign-out-everywhere', async (req, res) => {
  const ended = await sessions.user(req.session.userId!).revokeAll()
  res.json({ ended })
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address() as { port: number }
  console.log(`listening ${address.port}`)
})

process.once('SIGTERM', () => {
  server.close(() => void sessions.close())
  server.closeAllConnections()
})
