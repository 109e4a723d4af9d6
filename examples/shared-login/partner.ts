// A theatre on another site. It has no sign-in form: accounts tells it who the user is, and shares the name.
import session from 'coatcheck/express'
import { evenings, minePage, programmePage } from './partner-pages.ts'
import { sendPage } from './page.ts'
import { sessions, site } from './partner-sessions.ts'
import { newApp, serve } from './serve.ts'

const app = newApp('partner', sessions)
app.use(session(sessions))
app.use(site.router) // the hand-off from accounts, and sign-out

// For everybody. A browser without a session goes to accounts once, which answers without a form.
app.get('/', site.check, (req, res) => sendPage(res, programmePage(req.session)))

// For users only. Other browsers go to accounts to sign in.
app.get('/mine', site.signedIn(), (req, res) => sendPage(res, minePage(req.session)))

app.post('/evenings/:id', (req, res) => {
  const { id } = req.params
  const chosen = req.session.evenings ?? []
  if (chosen.includes(id)) req.session.evenings = chosen.filter((other) => other !== id)
  else if (evenings.some((evening) => evening.id === id)) req.session.evenings = [...chosen, id]
  res.redirect(303, '/')
})

serve('partner', app, sessions)
