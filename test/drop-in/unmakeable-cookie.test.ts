import { describe } from 'vitest'
import type { Handler, SideRequest } from './express-session-types.ts'
import { sideBySide } from './sides.ts'
import type { Answer } from './visited.ts'

const signIn: Handler = (request) => void (request.session['user'] = 1)
/** Ends the answer in a turn of its own, where nobody catches what `end` throws. */
const afterSave =
  (change: (request: SideRequest) => unknown): Handler =>
  (request, response) => {
    signIn(request, response, () => undefined)
    change(request)
    request.session.save(() => response.end('signed in'))
  }

/** What the client and the app's error handler get. */
async function seen(app: { firstError: Promise<void>; errors: string[] }, asked: Promise<Answer>) {
  const { status, body, cookies } = await asked
  await app.firstError
  return { status, body, cookies, errors: app.errors }
}

describe('a cookie that cannot be made fails its own request, and not the process,', () => {
  const cookie = ({ headers }: SideRequest) => ({ domain: headers.host })
  const host = { headers: { Host: 'my_host.example' } }
  const theirs = { status: 200, body: 'signed in', cookies: [], errors: ['option domain is invalid'] }
  const domain = 'option domain is invalid: my_host.example'
  const ours = { status: 500, body: `error: ${domain}`, cookies: [], errors: [domain] }

  sideBySide(
    'where its attributes come from the request, and the session is saved already',
    async (side) => {
      const app = await side.serve(
        { cookie },
        afterSave(() => undefined),
      )
      return seen(app, app.get('/', host))
    },
    { theirs, ours, reason: 'a failed save is no 200' },
  )

  sideBySide(
    'where the handler gave it an attribute before it saved the session',
    async (side) => {
      const handler = afterSave(({ session, headers }) => (session.cookie.domain = headers.host!))
      const app = await side.serve({}, handler)
      return seen(app, app.get('/', host))
    },
    { theirs, ours, reason: 'a failed save is no 200' },
  )

  sideBySide(
    'where it is to be cleared after the session was destroyed',
    async (side) => {
      const attributes = ({ url }: SideRequest) => (url === '/sign-out' ? { domain: 'a;b' } : {})
      const app = await side.serve({ cookie: attributes }, (request, response, next) => {
        if (request.url === '/sign-out') request.session.destroy(() => response.end('signed out'))
        else afterSave(() => undefined)(request, response, next)
      })
      const { status, body } = await app.get('/sign-out', { cookie: await app.get('/') })
      return { status, body, errors: app.errors }
    },
    {
      theirs: { status: 200, body: 'signed out', errors: [] },
      ours: {
        status: 500,
        body: 'error: option domain is invalid: a;b',
        errors: ['option domain is invalid: a;b'],
      },
      reason: 'destroy clears the cookie',
    },
  )
})
