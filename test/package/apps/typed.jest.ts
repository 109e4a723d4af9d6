// Compiled by ts-jest to CommonJS.
import { createServer } from 'node:http'
import { createSessions, MemoryStore, SessionError } from 'coatcheck'
import cors from 'coatcheck/cors'
import session, { Cookie, type SessionOptions } from 'coatcheck/express'
import mysqlSession = require('coatcheck/express-mysql-session')

declare module 'coatcheck' {
  interface SessionData {
    visits?: number
  }
}

test('default imports are the functions', () => {
  const options: SessionOptions = { secret: 'a secret that only these tests use' }
  expect(typeof session(options)).toBe('function')
  expect(typeof cors()).toBe('function')
  expect(typeof mysqlSession(session)).toBe('function')
  expect(new Cookie()).toBeInstanceOf(session.Cookie)
  expect(() => createSessions({ store: new MemoryStore(), secret: '' })).toThrow(SessionError)
})

test('a session is kept', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret: 'a secret that only these tests use' })
  const middleware = session(sessions)
  const server = createServer((request, response) => {
    middleware(request, response, () => {
      const { session } = request as unknown as Express.Request
      session.visits = (session.visits ?? 0) + 1
      response.end(String(session.visits))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const first = await fetch(`http://127.0.0.1:${port}/`)
  const cookie = first.headers.getSetCookie()[0]!.split(';')[0]!
  const second = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
  expect([await first.text(), await second.text()]).toEqual(['1', '2'])
  await sessions.close()
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
})
