// One of the apps that are killed in the middle of a request.
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import express from 'express'
import { actsOf } from './acts.ts'
import { openStore } from './open-store.ts'
import { mostSessions } from './requests.ts'
import { serve } from './serve.ts'

const options = {
  store: await openStore(),
  secret: 'the same secret in every app of this test',
  sessionsPerUser: { most: mostSessions },
  sweep: false,
} as const
// As long as it may be: no test has to be faster than the grace.
const sessions = createSessions({ ...options, rotationGrace: '5m' })
/** The same sessions in an app without a grace: as all find them when it is over. */
const hasty = createSessions({ ...options, rotationGrace: false })

const app = express()
app.use('/hasty', session(hasty), actsOf(hasty))
app.use(session(sessions), actsOf(sessions))
await serve(app, sessions, hasty)
