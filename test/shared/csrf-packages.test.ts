import cookieParser from 'cookie-parser'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import { doubleCsrf } from 'csrf-csrf'
import csurf from 'csurf'
import newCsurf from '@dr.pogodin/csurf'
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { served, Visitor } from '../ecosystem/served.ts'

// Packages that put a token into each form, behind the check of coatcheck. They keep their secret in its session, or bind to it.

interface Guard {
  readonly middleware: RequestHandler
  makeToken(request: Request, response: express.Response): string
}

const fromRequest = (request: Request) => (request as Request & { csrfToken(): string }).csrfToken()

const guards: Record<string, () => Guard> = {
  csurf: () => ({ middleware: csurf() as RequestHandler, makeToken: fromRequest }),
  '@dr.pogodin/csurf': () => ({ middleware: newCsurf(), makeToken: fromRequest }),
  'csrf-csrf': () => {
    const { generateCsrfToken, doubleCsrfProtection } = doubleCsrf({
      getSecret: () => 'a secret of its own',
      getSessionIdentifier: (request) => request.session.id,
      cookieName: 'csrf',
      cookieOptions: { secure: false },
    })
    return { middleware: doubleCsrfProtection, makeToken: generateCsrfToken }
  },
}

async function serve({ middleware, makeToken }: Guard, keep: readonly string[] = []) {
  const told: string[] = []
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'the secret of these tests',
    sweep: false,
  })
  sessions.on('forged', ({ rule }) => void told.push(rule))
  const app = express()
  app.use(cookieParser(), session(sessions), middleware)
  app.get('/form', (request, response) => {
    Object.assign(request.session, { seen: true })
    response.send(makeToken(request, response))
  })
  app.post('/change', (_request, response) => void response.send('changed'))
  app.post('/login', async (request, response) => {
    await request.session.signIn('ada', { keep: keep as never })
    response.send('signed in')
  })
  app.use(((error: { status?: number; statusCode?: number; code: string }, _request, response, _next) => {
    response.status(error.status ?? error.statusCode ?? 500).send(error.code)
  }) as ErrorRequestHandler)
  return { origin: await served(app), told }
}

const token = async (visitor: Visitor) => (await visitor.ask('/form')).text()
async function send(visitor: Visitor, given: string, headers: Record<string, string> = {}, path = '/change') {
  const answer = await visitor.ask(path, { method: 'POST', headers: { 'x-csrf-token': given, ...headers } })
  return [answer.status, await answer.text()] as const
}

describe.each(Object.entries(guards))('%s', (_name, makeGuard) => {
  test('an own form passes both checks, and each refuses what it is there for', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    const { origin, told } = await serve(makeGuard())
    const [visitor, thief] = [new Visitor(origin), new Visitor(origin)]
    const own = { origin, 'sec-fetch-site': 'same-origin' }
    const foreign = { origin: 'https://other.example', 'sec-fetch-site': 'cross-site' }
    const [good, stolen] = [await token(visitor), await token(thief)]
    expect(await send(visitor, good, own)).toEqual([200, 'changed'])
    expect(await send(visitor, good)).toEqual([200, 'changed'])
    // Without the token, and with the one of another visitor: only the package sees that.
    for (const wrong of ['', stolen]) expect(await send(visitor, wrong, own)).toEqual([403, 'EBADCSRFTOKEN'])
    expect(told).toEqual([])
    // With a good one from a page of another site: only coatcheck does.
    expect(await send(visitor, good, foreign)).toEqual([403, 'ERR_SESSION_FORGED'])
    expect(told).toEqual(['otherSite'])
    expect(await send(visitor, good, own)).toEqual([200, 'changed'])
  })

  test('a sign-in ends the tokens from before it, which an attacker may know, and new ones pass', async () => {
    const { origin } = await serve(makeGuard())
    const visitor = new Visitor(origin)
    const before = await token(visitor)
    expect(await send(visitor, before, {}, '/login')).toEqual([200, 'signed in'])
    expect(await send(visitor, before)).toEqual([403, 'EBADCSRFTOKEN'])
    expect(await send(visitor, await token(visitor))).toEqual([200, 'changed'])
  })
})

test.each(['csurf', '@dr.pogodin/csurf'])(
  '%s: a token outlives a sign-in that keeps its secret by name',
  async (name) => {
    const { origin } = await serve(guards[name]!(), ['csrfSecret'])
    const visitor = new Visitor(origin)
    const before = await token(visitor)
    await send(visitor, before, {}, '/login')
    expect(await send(visitor, before)).toEqual([200, 'changed'])
  },
)
