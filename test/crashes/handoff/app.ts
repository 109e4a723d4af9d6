// A hub and its sites, in one process that is killed in the middle of a request.
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { createHub, createSite } from 'coatcheck/handoff'
import express, { type ErrorRequestHandler } from 'express'
import { actsOf } from '../acts.ts'
import { openStore } from '../open-store.ts'
import { serve } from '../serve.ts'
import { callbackOf, originOf, siteNames } from './names.ts'

const options = {
  store: await openStore(),
  secret: 'the same secret in every app of this test',
  sweep: false,
  // As all find it when the grace is over.
  rotationGrace: false,
} as const
const hubSessions = createSessions(options)
const hub = createHub(hubSessions, {
  issuer: originOf('hub'),
  signInPage: '/sign-in',
  clients: Object.fromEntries(siteNames.map((site) => [site, { redirectUris: [callbackOf(site)] }])),
})

const app = express()
const siteSessions = siteNames.map((clientId) => {
  const sessions = createSessions({ ...options, clientId })
  const site = createSite(sessions, {
    hub: originOf('hub'),
    redirectUri: callbackOf(clientId),
    keep: ['left'],
  })
  const begins = express.Router().get('/hand-off', ({ session, headers: { cookie = '' } }, res) => {
    const answer = site.begin(new Request(originOf(clientId), { headers: { cookie } }), session)
    res.status(answer.status).setHeaders(answer.headers).end()
  })
  app.use(`/${clientId}`, session(sessions), site.router, begins, actsOf(sessions))
  return sessions
})
app.use(session(hubSessions), hub.router, actsOf(hubSessions))

const answerWithError: ErrorRequestHandler = (error: { status?: number; code?: string }, _req, res, next) => {
  if (res.headersSent) return next(error)
  res.status(error.status ?? 500).json({ code: error.code })
}
app.use(answerWithError)
await serve(app, hubSessions, ...siteSessions)
