// JSON for the pages of the other apps and for programs, and the same as a page for a browser. It has no sign-in of its
// own: it reads the same session.
import { randomInt } from 'node:crypto'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { origins } from './addresses.ts'
import { endpoints, endpointList, jsonPage } from './api-pages.ts'
import { summaryOf } from './catalogue.ts'
import { sendPage } from './page.ts'
import { personOf } from './people.ts'
import { securityHeaders } from './security-headers.ts'
import { files, logRequests, neverKept, prefersJson, serve, showErrors, showMissing } from './serve.ts'
import { sessions } from './sessions.ts'
import { watch } from './watch.ts'

const app = express()
app.use(securityHeaders('api'))
app.use(files)
app.use(logRequests('api'))
app.use(neverKept)
app.use(watch('api', sessions))
app.use(cors(sessions)) // answers preflights; lets the pages of sessions.sites read the answers
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
  // One request changes both, so both are stored in one step: no order with the cart still full.
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

app.use(showMissing('api'))
app.use(showErrors('api'))
serve('api', app, sessions)

/** The same answer for programs and for people. */
async function answer(req: Request, res: Response, status: number, body: object): Promise<void> {
  res.status(status)
  if (prefersJson(req)) return void res.json(body)
  const title = `${req.method} ${req.path}`
  const main = jsonPage({ title, status, body, isSignedIn: req.session.userId !== undefined })
  await sendPage(res, { app: 'api', title, session: req.session, main })
}
