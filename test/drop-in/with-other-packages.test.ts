import flash from 'connect-flash'
import cookieParser from 'cookie-parser'
import csurf from 'csurf'
import { rateLimit } from 'express-rate-limit'
import lusca from 'lusca'
import { describe } from 'vitest'
import { express4Framework, express5Framework } from '../adapters/frameworks.ts'
import type { Handler, SideRequest } from './express-session-types.ts'
import { secret, sideBySide } from './sides.ts'
import { type Answer, routes, type Served } from './visited.ts'

// The packages that apps use sessions through: each on express-session, and on coatcheck/express in its place.

const begin: Handler = (request, response) => {
  request.session['name'] = 'Ada'
  response.end('begun')
}
const renew: Handler = (request, response, next) => {
  request.session.regenerate((error) => (error ? next(error) : begin(request, response, next)))
}
const keys: Handler = (request, response) => response.end(Object.keys(request.session).sort().join())
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status)

describe.each([express4Framework, express5Framework])('on $name', (framework) => {
  /** What one visitor, and a thief with a session of their own, get from forms that a token guards. */
  async function guarded(app: Served, tokens: readonly string[]): Promise<unknown> {
    const post = (cookie: Answer, token: string | undefined) =>
      app.get('/form', {
        method: 'POST',
        cookie,
        headers: token === undefined ? {} : { 'x-csrf-token': token },
      })
    const visitor = await app.get('/form')
    const thief = await app.get('/form')
    const [own, stolen] = tokens
    const before = [
      await post(visitor, own),
      await post(visitor, 'forged'),
      await post(visitor, undefined),
      await post(visitor, stolen),
      await post(thief, own),
      await post(thief, stolen),
    ]
    const renewed = await app.get('/renew', { cookie: visitor })
    const after = [
      await post(renewed, own),
      await post(visitor, own),
      await app.get('/form', { cookie: renewed }),
    ]
    after.push(await post(renewed, tokens.at(-1)))
    return [statuses(before), statuses(after), (await app.get('/keys', { cookie: renewed })).body]
  }

  sideBySide(
    'csurf keeps its secret in the session, which renews it, and takes no other visitor’s token',
    async (side) => {
      const tokens: string[] = []
      const form: Handler = (request, response) => {
        if (request.method === 'GET')
          tokens.push((request as SideRequest & { csrfToken(): string }).csrfToken())
        response.end('done')
      }
      const app = await side.serve({}, routes({ '/form': form, '/renew': renew, '/keys': keys }), {
        framework,
        after: [csurf()],
      })
      return guarded(app, tokens)
    },
    { both: [[200, 403, 403, 403, 403, 200], [403, 403, 200, 200], 'cookie,csrfSecret,name'] },
  )

  sideBySide(
    'lusca keeps its secret in the session, and sets its headers',
    async (side) => {
      const tokens: string[] = []
      const form: Handler = (request, response) => {
        const { locals } = response as unknown as { locals: { _csrf: string } }
        if (request.method === 'GET') tokens.push(locals._csrf)
        response.end('done')
      }
      const app = await side.serve({}, routes({ '/form': form, '/renew': renew, '/keys': keys }), {
        framework,
        after: [
          lusca({
            csrf: true,
            xframe: 'SAMEORIGIN',
            hsts: { maxAge: 31_536_000 },
            nosniff: true,
            xssProtection: true,
          }),
        ],
      })
      return guarded(app, tokens)
    },
    { both: [[200, 500, 500, 500, 500, 200], [500, 500, 200, 200], '_csrfSecret,cookie,name'] },
  )

  sideBySide(
    'express-rate-limit counts by session, and each visitor without one apart',
    async (side) => {
      const limit = rateLimit({
        windowMs: 3_600_000,
        limit: 2,
        keyGenerator: (request) => (request as unknown as SideRequest).session.id,
        standardHeaders: false,
        legacyHeaders: false,
        validate: false,
      })
      const app = await side.serve({}, routes({ '/begin': begin, '/renew': renew, '/keys': keys }), {
        framework,
        after: [limit],
      })
      const [one, other] = [await app.get('/begin'), await app.get('/begin')]
      const answers = []
      for (const cookie of [one, one, other, undefined, undefined, undefined]) {
        answers.push(await app.get('/keys', cookie ? { cookie } : {}))
      }
      return statuses(answers)
    },
    { both: [200, 429, 200, 200, 200, 200] },
  )

  sideBySide(
    'connect-flash shows a message once, after a redirect',
    async (side) => {
      const store = side.store()
      type Flashing = SideRequest & { flash(kind?: string, ...message: string[]): unknown }
      const app = await side.serve(
        { store },
        routes({
          '/fail': (request, response) => {
            ;(request as Flashing).flash('error', 'Wrong password.')
            ;(request as Flashing).flash('info', 'Try %s.', 'again')
            response.writeHead(302, { location: '/form' }).end()
          },
          '/form': (request, response) => response.end(JSON.stringify((request as Flashing).flash())),
        }),
        { framework, after: [flash()] },
      )
      const failed = await app.get('/fail')
      const bodies = [
        (await app.get('/form', { cookie: failed })).body,
        (await app.get('/form', { cookie: failed })).body,
      ]
      return [bodies, store.writes, (await app.get('/form')).cookies]
    },
    {
      both: [
        ['{"error":["Wrong password."],"info":["Try again."]}', '{}'],
        ['set #1', 'set #1', 'touch #1', 'set #2'],
        ['connect.sid=#2; Path=/; HttpOnly'],
      ],
    },
  )

  for (const [what, parsed] of [
    ['one secret', secret],
    ['a list', [secret, 'an older secret']],
  ] as const) {
    sideBySide(
      `cookie-parser’s secret is taken where the session has none: ${what}`,
      async (side) => {
        const store = side.store()
        const app = await side.serveWith(
          () => side.session({ store, resave: false, saveUninitialized: false }),
          routes({ '/begin': begin, '/keys': keys }),
          { framework, secret: parsed, before: [cookieParser(parsed as string)] },
        )
        const first = await app.get('/begin')
        return [first.cookies, (await app.get('/keys', { cookie: first })).body, store.writes]
      },
      { both: [['connect.sid=#1; Path=/; HttpOnly'], 'cookie,name', ['set #1', 'touch #1']] },
    )
  }
})
