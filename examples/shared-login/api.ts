// JSON only, for the pages of the other apps. No page of its own, no sign-in of its own: it reads the same session.
import { randomInt } from 'node:crypto'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express, { type RequestHandler } from 'express'
import { origins } from './addresses.ts'
import { summaryOf } from './catalogue.ts'
import { personOf } from './people.ts'
import { securityHeaders } from './security-headers.ts'
import { logRequests, neverKept, serve, showErrors } from './serve.ts'
import { sessions } from './sessions.ts'

const app = express()
app.use(securityHeaders('api'))
app.use(logRequests('api'))
app.use(neverKept)
app.use(cors(sessions)) // answers preflights; lets the pages of sessions.sites read the answers
app.use(session(sessions))
app.use(express.json())

const signedIn: RequestHandler = (req, res, next) => {
  if (personOf(req.session.userId)) next()
  else res.status(401).json({ error: 'Nobody is signed in.', signIn: origins.accounts })
}

app.get('/me', signedIn, (req, res) => {
  const person = personOf(req.session.userId)
  res.json({ name: person?.name, session: req.session.publicId, device: req.session.device })
})

app.get('/cart', (req, res) => {
  const { items, total } = summaryOf(req.session.cart)
  res.json({ items, total })
})

app.post('/orders', signedIn, (req, res) => {
  const { items, total } = summaryOf(req.session.cart)
  if (items === 0) {
    res.status(409).json({ error: 'The cart is empty.' })
    return
  }
  // One request changes both, so both are stored in one step: no order with the cart still full.
  req.session.order = { number: `A-${randomInt(1000, 10_000)}`, items, total }
  delete req.session.cart
  res.status(201).json(req.session.order)
})

app.use((_req, res) => {
  res.status(404).json({ error: 'There is GET /me, GET /cart and POST /orders.' })
})

app.use(showErrors('api'))
serve('api', app)
