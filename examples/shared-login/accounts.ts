// Users sign in here and see their devices. This app is also the hub, which signs them in at other sites.
import session from 'coatcheck/express'
import { createHub } from 'coatcheck/handoff'
import express from 'express'
import { accountPage, signInPage, type GoingOn } from './account-pages.ts'
import { origins } from './addresses.ts'
import { deviceFrom } from './device.ts'
import { documentation } from './documentation.ts'
import { sendPage } from './page.ts'
import { authenticate, personOf } from './people.ts'
import { newApp, serve } from './serve.ts'
import { sessions } from './sessions.ts'

const hub = createHub(sessions, {
  issuer: origins.accounts,
  signInPage: '/sign-in',
  clients: { partner: { redirectUris: [`${origins.partner}/handoff/callback`], share: ['name'] } },
})

const app = newApp('accounts', sessions, documentation)
app.use(session(sessions))
app.use(hub.router)
app.use(express.urlencoded({ extended: false }))

app.get('/', async (req, res) => {
  const person = personOf(req.session.userId)
  if (!person) return sendPage(res, signInPage(req.session, goingOn(req.query)))
  const list = await sessions.user(person.id).list()
  await sendPage(res, accountPage(req.session, person, list))
})

/** The hub sends browsers here that are not signed in. */
app.get('/sign-in', (req, res) => sendPage(res, signInPage(req.session, goingOn(req.query))))

app.post('/sign-in', async (req, res) => {
  const body = (req.body ?? {}) as Record<string, unknown>
  const { name, password } = body
  const person = await authenticate(String(name), String(password))
  if (!person) {
    const problem = 'Wrong name or password.'
    return sendPage(res.status(401), signInPage(req.session, goingOn(body), problem))
  }
  // Another user was signed in. This person must not get their cart.
  if (req.session.userId !== undefined && req.session.userId !== person.id) await req.session.signOut()

  // Accounts, shop and API know the user from here on. The token is new. Of the visitor's data, only the cart stays.
  await req.session.signIn(person.id, { keep: ['cart'] })
  req.session.device = deviceFrom(req.get('user-agent'))
  req.session.name = person.name
  res.redirect(303, addressOf(goingOn(body)))
})

app.post('/sign-out', async (req, res) => {
  await req.session.signOut() // in every app: this deletes the session's row
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
  await req.session.signOut() // also clears this browser's cookie
  res.redirect(303, '/')
})

app.post('/devices/:publicId/end', async (req, res) => {
  const { userId, publicId } = req.session
  // `signOut` also clears this browser's cookie. `user(id).revoke` ends sessions of this user only.
  if (req.params.publicId === publicId) await req.session.signOut()
  else if (userId !== undefined) await sessions.user(userId).revoke(req.params.publicId)
  res.redirect(303, '/')
})

serve('accounts', app, sessions)

/** Where to go after the sign-in: to an app, or to a path of this app, which the hub gives. */
function goingOn({ from, returnTo }: Readonly<Record<string, unknown>>): GoingOn {
  return {
    from: from === 'shop' || from === 'api' ? from : 'accounts',
    returnTo: sessions.sites.returnAddress(returnTo, ''),
  }
}

/** A link cannot send users to a stranger's site: this is a path of this app, or an app of the demo. */
function addressOf({ from, returnTo }: GoingOn): string {
  return returnTo || `${origins[from]}/`
}
