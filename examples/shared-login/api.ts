// JSON for the shop's page and for programs; the same as a page for a browser. It has no sign-in form of its own, and
// reads the same session.
import { randomInt } from 'node:crypto'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { origins } from './addresses.ts'
import { endpointList, endpoints, jsonPage, prefersJson } from './api-pages.ts'
import { summaryOf } from './catalogue.ts'
import { sendPage } from './page.ts'
import { personOf } from './people.ts'
import { newApp, serve } from './serve.ts'
import { sessions } from './sessions.ts'

const app = newApp('api', sessions)
app.use(cors(sessions)) // answers preflights, and lets the pages of `sites` read the answers
app.use(session(sessions))
app.use(express.json())

const signedIn: RequestHandler = async (req, res, next) => {
  if (personOf(req.session.userId)) next()
  else await answer(req, res, 401, { error: 'Nobody is signed in.', signIn: origins.accounts })
}

app.get('/', async (req, res) => {
  if (prefersJson(req)) res.json({ endpoints })
  else await sendPage(res, { app: 'api', title: 'API', session: req.session, main: endpointList() })
})

app.get('/me', signedIn, (req, res) => {
  const person = personOf(req.session.userId)
  return answer(req, res, 200, {
    name: person?.name,
    session: req.session.publicId,
    device: req.session.device,
  })
})

app.get('/cart', (req, res) => {
  const { items, total } = summaryOf(req.session.cart)
  return answer(req, res, 200, { items, total })
})

app.post('/orders', signedIn, (req, res) => {
  const { items, total } = summaryOf(req.session.cart)
  if (items === 0) return answer(req, res, 409, { error: 'The cart is empty.' })
  // One write stores both: no order is stored while its cart is still full.
  req.session.order = { number: `A-${randomInt(1000, 10_000)}`, items, total }
  delete req.session.cart
  return answer(req, res, 201, req.session.order)
})

app.post('/sign-out', async (req, res) => {
  await req.session.signOut() // the same call as in accounts, with the same effect on all
  res.redirect(303, '/')
})

for (const { method, path } of endpoints) {
  app.all(path, (req, res) => {
    res.set('Allow', method === 'GET' ? 'GET, HEAD' : method)
    return answer(req, res, 405, { error: `${path} answers ${method} only.` })
  })
}

serve('api', app, sessions)

/** Sends JSON to programs, and the same as a page to browsers. */
async function answer(req: Request, res: Response, status: number, body: object): Promise<void> {
  res.status(status)
  if (prefersJson(req)) return void res.json(body)
  const title = `${req.method} ${req.path}`
  const main = jsonPage({ title, status, body, isSignedIn: req.session.userId !== undefined })
  await sendPage(res, { app: 'api', title, session: req.session, main })
}
