import compression from 'compression'
import cookieParser from 'cookie-parser'
import { doubleCsrf } from 'csrf-csrf'
import express, { type ErrorRequestHandler } from 'express'
import { rateLimit } from 'express-rate-limit'
import morgan from 'morgan'
import { describe, expect, test } from 'vitest'
import { forms, served, Visitor } from './served.ts'

declare module 'coatcheck' {
  interface SessionData {
    visits?: number
  }
}

const count: express.RequestHandler = (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1
  response.json(request.session.visits)
}

describe.each(Object.entries(forms))('%s', (_form, makeSession) => {
  test.each(['before', 'after'])('cookie-parser %s it: both read their cookies', async (where) => {
    const app = express()
    const stack = [cookieParser('a secret of its own'), makeSession()]
    for (const each of where === 'before' ? stack : stack.toReversed()) app.use(each)
    app.get('/', count)
    app.get('/theme', (request, response) => {
      response.cookie('theme', 'dark', { signed: true }).json(request.signedCookies)
    })
    const visitor = new Visitor(await served(app))
    await visitor.ask('/')
    await visitor.ask('/theme')
    expect(await (await visitor.ask('/')).json()).toBe(2)
    expect(await (await visitor.ask('/theme')).json()).toMatchObject({ theme: 'dark' })
  })

  test.each(['before', 'after'])(
    'compression %s it: a long answer is compressed, and the session stored',
    async (where) => {
      const app = express()
      const stack = [compression({ threshold: 0 }), makeSession()]
      for (const each of where === 'before' ? stack : stack.toReversed()) app.use(each)
      app.get('/', (request, response) => {
        request.session.visits = (request.session.visits ?? 0) + 1
        response.type('text').write(`visit ${request.session.visits}, and `)
        response.end('a long story '.repeat(10_000))
      })
      const visitor = new Visitor(await served(app))
      await visitor.ask('/')
      const second = await visitor.ask('/', { headers: { 'accept-encoding': 'gzip' } })
      expect(second.headers.get('content-encoding')).toBe('gzip')
      const text = await second.text()
      expect([text.slice(0, 12), text.length]).toEqual(['visit 2, and', 'visit 2, and '.length + 130_000])
    },
  )

  test('morgan logs the status that went out, also where a failed save took an answer back', async () => {
    const lines: string[] = []
    const app = express()
    app.use(morgan(':method :url :status', { stream: { write: (line) => void lines.push(line.trim()) } }))
    app.use(makeSession())
    app.get('/', count)
    app.get('/circle', (request, response) => {
      const circle: { self?: object } = {}
      circle.self = circle
      Object.assign(request.session, { circle })
      response.send('as if all were well')
    })
    app.use(((_error, _request, response, _next) => void response.sendStatus(500)) as ErrorRequestHandler)
    const visitor = new Visitor(await served(app))
    await visitor.ask('/')
    expect((await visitor.ask('/circle')).status).toBe(500)
    expect(lines).toEqual(['GET / 200', 'GET /circle 500'])
  })

  test('express-rate-limit counts by session', async () => {
    const app = express()
    app.use(makeSession())
    app.get('/sign-in', count)
    app.use(
      rateLimit({
        windowMs: 60_000,
        limit: 2,
        keyGenerator: (request) => request.sessionID,
        validate: false,
      }),
    )
    app.get('/', count)
    const origin = await served(app)
    const [one, other] = [new Visitor(origin), new Visitor(origin)]
    for (const visitor of [one, other]) await visitor.ask('/sign-in')
    const statuses = []
    for (const visitor of [one, one, one, other]) statuses.push((await visitor.ask('/')).status)
    expect(statuses).toEqual([200, 200, 429, 200])
  })

  test('csrf-csrf binds its tokens to the session', async () => {
    const { generateCsrfToken, doubleCsrfProtection } = doubleCsrf({
      getSecret: () => 'a secret of its own',
      getSessionIdentifier: (request) => request.session.id,
      cookieName: 'csrf',
      cookieOptions: { secure: false },
    })
    const app = express()
    app.use(makeSession(), cookieParser())
    app.get('/form', (request, response) => {
      request.session.visits = 1
      response.json(generateCsrfToken(request, response))
    })
    app.use(doubleCsrfProtection)
    app.post('/form', (_request, response) => void response.json('done'))
    app.use(((error: { statusCode: number }, _request, response, _next) => {
      response.sendStatus(error.statusCode)
    }) as ErrorRequestHandler)
    const origin = await served(app)
    const [visitor, thief] = [new Visitor(origin), new Visitor(origin)]
    const token = (await (await visitor.ask('/form')).json()) as string
    await thief.ask('/form')
    const post = (who: Visitor, given: string) =>
      who.ask('/form', { method: 'POST', headers: { 'x-csrf-token': given } })
    expect((await post(visitor, token)).status).toBe(200)
    expect((await post(visitor, 'forged')).status).toBe(403)
    expect((await post(thief, token)).status).toBe(403)
  })
})
