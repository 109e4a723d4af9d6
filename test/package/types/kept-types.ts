// An app that kept @types/express-session and what it declared there.
import express from 'express'
import session from 'coatcheck/express'

declare module 'express-session' {
  interface SessionData {
    views: number
    userId: number
  }
}

const app = express()
app.use(session({ secret: 'a secret that only these tests use', resave: false, saveUninitialized: false }))
app.get('/', (request, response) => {
  request.session.views = (request.session.views ?? 0) + 1
  request.session.userId = 7
  request.session.cookie.maxAge = 60_000
  request.session.save((error: unknown) => {
    response.json({ error: error !== undefined, publicId: request.session.publicId })
  })
})
