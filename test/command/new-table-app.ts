// An app that has moved: coatcheck/express with the options of express-session, on coatcheck's own table.
import type { AddressInfo } from 'node:net'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import express from 'express'

const app = express()
app.use(
  session({
    store: new MySQLStore(process.env.DATABASE_URL),
    secret: 'the secret of both apps',
    cookie: { maxAge: 3_600_000 },
  }),
)
app.get('/look', (request, response) => {
  const { user = null, changes = null } = request.session as { user?: string; changes?: object }
  response.json({ user, changes })
})
app.post('/change/:key/:value', (request, response) => {
  const { changes } = request.session as { changes?: Record<string, string> }
  if (!changes) return void response.status(401).end('sign in first')
  changes[request.params.key] = request.params.value
  response.end('changed')
})
app.post('/sign-out', (request, response, next) => {
  request.session.destroy((error?: unknown) => (error ? next(error) : response.end('signed out')))
})
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => process.exit())
