// A theatre on another site. It has no form to sign in at: accounts tells it who you are, and what it may know of you.
import session from 'coatcheck/express'
import express from 'express'
import { evenings, minePage, programmePage } from './partner-pages.ts'
import { sendPage } from './page.ts'
import { sessions, site } from './partner-sessions.ts'
import { securityHeaders } from './security-headers.ts'
import { files, logRequests, neverKept, serve, showErrors, showMissing } from './serve.ts'
import { watch } from './watch.ts'

const app = express()
app.use(securityHeaders('partner'))
app.use(files)
app.use(logRequests('partner'))
app.use(neverKept)
app.use(watch('partner', sessions))
app.use(session(sessions))
app.use(site.router) // to accounts, and back; signs out here or everywhere

// Anybody may see it. A browser without a session is sent to accounts once, silently: perhaps it is signed in there.
app.get('/', site.check, (req, res) => sendPage(res, programmePage(req.session)))

// Only for users: other browsers are sent to accounts, to sign in there.
app.get('/mine', site.signedIn(), (req, res) => sendPage(res, minePage(req.session)))

app.post('/evenings/:id', (req, res) => {
  const { id } = req.params
  const chosen = req.session.evenings ?? []
  if (chosen.includes(id)) req.session.evenings = chosen.filter((other) => other !== id)
  else if (evenings.some((evening) => evening.id === id)) req.session.evenings = [...chosen, id]
  res.redirect(303, '/')
})

app.use(showMissing('partner'))
app.use(showErrors('partner'))
serve('partner', app, sessions)
