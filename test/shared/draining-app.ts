// An app that is stopped while it answers. What it is sent as a message lets the slow answers go on.
import express from 'express'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'

const sessions = createSessions({
  store: new MySQLStore(process.env.DATABASE_URL),
  secret: 'the same secret in every app of this test',
})
const goOn = new Promise((resolve) => process.once('message', resolve))
process.channel?.unref() // a message that may come is no reason to live on

const app = express()
app.get('/ready', async (_request, response) => {
  await sessions.ready()
  response.sendStatus(204)
})
app.use(session(sessions))
app.get('/slow', async (request, response) => {
  const data = request.session as unknown as Record<string, unknown>
  data.slow = 'stored'
  console.log('answering slowly')
  await goOn
  response.json({ slow: data.slow })
})
app.get('/', (request, response) => void response.json({ ...request.session }))

const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as { port: number }).port}`)
})
process.once('SIGTERM', () => {
  console.log('stopping')
  server.close(() => void sessions.close())
})
