// An app of express-session's form without @types/express-session.
import express from 'express'
import session, { type OldMembers } from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'

declare module 'coatcheck' {
  interface SessionData {
    userId?: number
  }
  interface Session extends OldMembers {}
}

const app = express()
app.use(session({ secret: 'a secret that only these tests use' }))
app.post('/login', (request, response) => {
  request.session.userId = 7
  request.session.cookie.maxAge = 60_000
  request.session.resetMaxAge()
  const left: number | undefined = request.session.cookie.maxAge
  response.json({ left, bound: request.session.boundUserId })
})

// What apps write against the types of express-session and express-mysql-session.
export const isSignedIn = (given: session.Session & Partial<session.SessionData>): boolean =>
  given.userId !== undefined
app.use((request, _response, next) => {
  request.sessionStore.get('an id', (_error, data) => {
    if (data && !isSignedIn(request.session))
      request.session = request.sessionStore.createSession(request, data)
    next()
  })
})
const MySQLStore = expressMySQLSession(session)
const table = new MySQLStore({ host: 'localhost', user: 'app', database: 'shop' })
const store: session.Store = table
table.length((error, count) => console.log(error, count + 1))
table.all((error, sessions) => console.log(error, Object.keys(sessions).length))
export const stored = session({ secret: 'a secret that only these tests use', store })
