import type { Authenticator } from 'passport'
import { Strategy } from 'passport-local'
import { describe } from 'vitest'
import { express4Framework, express5Framework } from '../adapters/frameworks.ts'
import type { Handler, SideRequest } from './express-session-types.ts'
import { sideBySide } from './sides.ts'
import { routes } from './visited.ts'

interface LoggingIn extends SideRequest {
  readonly user?: { name: string }
  logout(done?: (error?: unknown) => void): void
  isAuthenticated(): boolean
}
/**
 * A visitor who mistypes the password, signs in to be remembered and signs out, on each side. One version of Passport a
 * process: older ones put their methods on the prototype of every request.
 *
 * @param logout 'at once' up to Passport 0.5, whose session goes on
 * @param seen by the visitor, then by who planted the session before the login
 */
export function passportSideBySide(
  passport: { readonly Passport: new () => Authenticator },
  logout: 'at once' | 'by callback',
  seen: readonly [visitor: string[], planter: string, stored: number],
): void {
  describe.each([express4Framework, express5Framework])('on $name', (framework) => {
    sideBySide(
      `Passport signs in, remembers, tells of a wrong password, and signs out`,
      async (side) => {
        const authenticator = new passport.Passport()
        authenticator.use(
          new Strategy((name, password, done) => {
            if (password === 'right') done(null, { name })
            else done(null, false, { message: 'Wrong password.' })
          }),
        )
        authenticator.serializeUser((user, done) => done(null, (user as { name: string }).name))
        authenticator.deserializeUser((name: string, done) => done(null, { name }))
        const authenticate = authenticator.authenticate('local', {
          failureRedirect: '/me',
          failureMessage: true,
        }) as Handler
        const store = side.store()
        const app = await side.serve(
          { store, cookie: { maxAge: 600_000 } },
          routes({
            '/visit': (request, response) => {
              request.session['name'] = 'Ada'
              response.end()
            },
            '/login': (request, response, next) =>
              authenticate(request, response, (error) => {
                if (error) return next(error)
                if (request.url!.includes('remember')) request.session.cookie.maxAge = 86_400_000
                response.writeHead(302, { location: '/me' }).end()
              }),
            '/me': (request, response) => {
              const { user, session } = request as LoggingIn
              response.end(
                JSON.stringify([user ?? null, session['messages'] ?? null, Object.keys(session).sort()]),
              )
            },
            '/logout': (request, response, next) => {
              const done = (error?: unknown): void => (error ? next(error) : void response.end('gone'))
              if (logout === 'by callback') return (request as LoggingIn).logout(done)
              ;(request as LoggingIn).logout()
              done()
            },
          }),
          { framework, after: [authenticator.initialize(), authenticator.session()] },
        )
        const visitor: string[] = []
        let cookie = await app.get('/visit')
        const planted = cookie
        for (const path of [
          '/login?username=ada&password=wrong',
          '/me',
          '/login?username=ada&password=right&remember',
          '/me',
          '/logout',
          '/me',
        ]) {
          const answer = await app.get(path, { cookie })
          if (answer.cookies.length > 0) cookie = answer
          visitor.push(
            `${answer.status} ${answer.cookies.map((each) => each.split(';', 1)[0]).join()} ${answer.body}`,
          )
        }
        return [visitor, (await app.get('/me', { cookie: planted })).body, [...store.rows.keys()].length]
      },
      { both: seen as never },
    )
  })
}
