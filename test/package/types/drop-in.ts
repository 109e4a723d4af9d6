// An app of express-session's form without @types/express-session.
import express from 'express'
import session, { type OldMembers } from 'coatcheck/express'

declare module 'coatcheck' {
  interface SessionData {
    views?: number
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
