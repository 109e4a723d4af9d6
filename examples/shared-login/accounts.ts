// Who you are, and where you are signed in. It is the hub, which signs users in at other sites.
import session from 'coatcheck/express'
import { createHub } from 'coatcheck/handoff'
import express from 'express'
import { accountPage, signInPage, type GoingOn } from './account-pages.ts'
import { origins } from './addresses.ts'
import { deviceFrom } from './device.ts'
import { documentation } from './documentation.ts'
import { sendPage } from './page.ts'
import { authenticate, personOf } from './people.ts'
import { securityHeaders } from './security-headers.ts'
import { files, logRequests, neverKept, serve, showErrors, showMissing } from './serve.ts'
import { sessions } from './sessions.ts'
import { watch } from './watch.ts'

const hub = createHub(sessions, {
  issuer: origins.accounts,
  signInPage: '/sign-in',
  clients: { partner: { redirectUris: [`${origins.partner}/handoff/callback`], share: ['name'] } },
})

const app = express()
app.use(securityHeaders('accounts'))
app.use(files)
app.use(logRequests('accounts'))
app.use(documentation)
app.use(neverKept)
app.use(watch('accounts', sessions))
app.use(session(sessions))
app.use(hub.router)
app.use(express.urlencoded({ extended: false }))

app.get('/', async (req, res) => {
  const person = personOf(req.session.userId)
  if (!person) return sendPage(res, signInPage(req.session, goingOn(req.query)))
  const list = await sessions.user(person.id).list()
  await sendPage(res, accountPage(req.session, person, list))
})

/** Where the hub sends whom it does not know. */
app.get('/sign-in', (req, res) => sendPage(res, signInPage(req.session, goingOn(req.query))))

app.post('/sign-in', async (req, res) => {
  const body = (req.body ?? {}) as Record<string, unknown>
  const { name, password } = body
  const person = await authenticate(String(name), String(password))
  if (!person) {
    const problem = 'No guest here has this name and password.'
    return sendPage(res.status(401), signInPage(req.session, goingOn(body), problem))
  }
  // Somebody else was signed in: their cart is not for this person.
  if (req.session.userId !== undefined && req.session.userId !== person.id) await req.session.signOut()

  // From here on accounts, shop and API know who this is, under a new token. Of what the visitor had, the cart stays, and nothing else.
  await req.session.signIn(person.id, { keep: ['cart'] })
  req.session.device = deviceFrom(req.get('user-agent'))
  req.session.name = person.name
  res.redirect(303, addressOf(goingOn(body)))
})

app.post('/sign-out', async (req, res) => {
  await req.session.signOut() // in every app: the session is gone from the database
  res.redirect(303, '/')
})

app.post('/sign-out-others', async (req, res) => {
  const { userId } = req.session
  if (userId !== undefined) await sessions.user(userId).revokeAll({ except: req.session })
  res.redirect(303, '/')
})

app.post('/sign-out-everywhere', async (req, res) => {
  const { userId } = req.session
  if (userId !== undefined) await sessions.user(userId).revokeAll()
  await req.session.signOut() // this browser can be told to drop its cookie; the others' open nothing any more
  res.redirect(303, '/')
})

app.post('/devices/:publicId/end', async (req, res) => {
  const { userId, publicId } = req.session
  // This browser can be told to drop its cookie. Of the others, `user(id)` only ever ends those of this user.
  if (req.params.publicId === publicId) await req.session.signOut()
  else if (userId !== undefined) await sessions.user(userId).revoke(req.params.publicId)
  res.redirect(303, '/')
})

app.use(showMissing('accounts'))
app.use(showErrors('accounts'))
serve('accounts', app, sessions)

/** Where to go after signing in: to an app, or to a path of this one, which the hub gives. */
function goingOn({ from, returnTo }: Readonly<Record<string, unknown>>): GoingOn {
  return {
    from: from === 'shop' || from === 'api' ? from : 'accounts',
    returnTo: sessions.sites.returnAddress(returnTo, ''),
  }
}

/** Nobody can send our visitors elsewhere with it: it is a path of ours, or an app that we know. */
function addressOf({ from, returnTo }: GoingOn): string {
  return returnTo || `${origins[from]}/`
}
