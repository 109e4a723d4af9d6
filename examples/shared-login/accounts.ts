// Who you are, and where you are signed in.
import session from 'coatcheck/express'
import express from 'express'
import { origins, type AppName } from './addresses.ts'
import { deviceFrom } from './device.ts'
import { html, type Html } from './html.ts'
import { ago, page } from './page.ts'
import { authenticate, passwordOfAll, personOf, type Person } from './people.ts'
import { securityHeaders } from './security-headers.ts'
import { files, logRequests, neverKept, serve, showErrors, showMissing } from './serve.ts'
import { sessions } from './sessions.ts'

const app = express()
app.use(securityHeaders('accounts'))
app.use(files)
app.use(logRequests('accounts'))
app.use(neverKept)
app.use(session(sessions))
app.use(express.urlencoded({ extended: false }))

app.get('/', async (req, res) => {
  const person = personOf(req.session.userId)
  const main = person ? await account(person, req.session.publicId) : signInForm(returnTo(req.query['from']))
  res.send(page({ app: 'accounts', title: person ? 'Your account' : 'Sign in', session: req.session, main }))
})

app.post('/sign-in', async (req, res) => {
  const { name, password, from } = (req.body ?? {}) as Record<string, unknown>
  const person = await authenticate(String(name), String(password))
  if (!person) {
    const main = signInForm(returnTo(from), 'No guest here has this name and password.')
    res.status(401).send(page({ app: 'accounts', title: 'Sign in', session: req.session, main }))
    return
  }
  // Somebody else was signed in: their cart is not for this person.
  if (req.session.userId !== undefined && req.session.userId !== person.id) await req.session.signOut()

  // From here on all three apps know who this is, under a new token. Of what the visitor had, the cart stays, and nothing else.
  await req.session.signIn(person.id, { keep: ['cart'] })
  req.session.device = deviceFrom(req.get('user-agent'))
  res.redirect(303, `${origins[returnTo(from)]}/`)
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
serve('accounts', app)

/** Where to go after signing in. A name, not an address: nobody can send our visitors elsewhere with it. */
function returnTo(from: unknown): AppName {
  return from === 'shop' || from === 'api' ? from : 'accounts'
}

function signInForm(from: string, problem?: string): Html {
  return html`
    <h1>Hand in your coat</h1>
    <p class="lead">Sign in here once, and the shop and the API know you too.</p>
    <form class="card form" method="post" action="/sign-in">
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <input type="hidden" name="from" value="${from}" />
      <label
        >Name <input name="name" autocomplete="username" autocapitalize="none" required autofocus
      /></label>
      <label
        >Password <input name="password" type="password" autocomplete="current-password" required
      /></label>
      <button>Sign in</button>
      <p class="hint">
        The guests of this demo are <kbd>alice</kbd> and <kbd>bob</kbd>, and the password of both is
        <kbd>${passwordOfAll}</kbd>.
      </p>
    </form>
  `
}

async function account(person: Person, thisDevice: string): Promise<Html> {
  const isThis = ({ publicId }: { publicId: string }) => publicId === thisDevice
  const list = await sessions.user(person.id).list()
  const devices = [...list.filter(isThis), ...list.filter((device) => !isThis(device))]
  return html`
    <h1>Welcome, ${person.name}</h1>
    <p class="lead">You are signed in here, in the <a href="${origins.shop}/">shop</a> and in the API.</p>
    <section class="card" aria-labelledby="devices">
      <h2 id="devices">Where you are signed in <span class="count">${devices.length}</span></h2>
      <ul class="devices">
        ${devices.map(
          ({ publicId, data, createdAt, seenAt }) =>
            html`<li>
              <div>
                <strong>${data.device ?? 'Unknown browser'}</strong>
                ${publicId === thisDevice && html`<span class="badge">This device</span>`}
                <p class="facts">
                  <code>${publicId}</code><span>Began ${ago(createdAt)}</span
                  ><span>Last seen ${ago(seenAt)}</span>
                </p>
              </div>
              <form method="post" action="/devices/${publicId}/end">
                <button class="quiet" aria-label="End the session ${publicId}">End</button>
              </form>
            </li>`,
        )}
      </ul>
    </section>
    <section class="card" aria-labelledby="leave">
      <h2 id="leave">Leave</h2>
      <p>Whatever you end here is over in all three apps with their next request.</p>
      <div class="actions">
        <form method="post" action="/sign-out-others">
          <button class="quiet">Sign out the others</button>
        </form>
        <form method="post" action="/sign-out-everywhere">
          <button class="danger">Sign out everywhere</button>
        </form>
      </div>
    </section>
  `
}
