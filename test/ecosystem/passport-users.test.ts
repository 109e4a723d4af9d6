import { randomUUID } from 'node:crypto'
import { createSessions, MemoryStore, type SessionStore, type SessionsOptions } from 'coatcheck'
import session, { type SessionMiddleware } from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import express from 'express'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { describe, expect, onTestFinished, test } from 'vitest'
import { freshDatabase } from '../servers/databases.ts'
import { Browser } from '../shared/browser.ts'
import { served } from './served.ts'

const secret = 'a secret for passport and its users'
type UserOf = NonNullable<SessionsOptions['userOf']>

interface Side {
  readonly store: SessionStore
  readonly middleware: (userOf: UserOf) => SessionMiddleware
}

/** Each way to have sessions; the users' sessions are looked up by `createSessions` on the same store. */
const sides: Readonly<Record<string, () => Promise<Side>>> = {
  'session(sessions)': async () => {
    const store = new MemoryStore()
    return { store, middleware: (userOf) => session(createSessions({ store, secret, userOf, sweep: false })) }
  },
  'session(options)': async () => onOptions(new MemoryStore()),
  'session(options) on the table of express-mysql-session': async () =>
    onOptions(new MySQLStore(await freshDatabase(), { layout: 'express-mysql-session' })),
}

function onOptions(store: SessionStore): Side {
  onTestFinished(() => store.close())
  return { store, middleware: (userOf) => session({ store, secret, userOf }) }
}

/** What Passport's documents show, and not a line about coatcheck but the middleware's. */
async function passportApp(
  middleware: SessionMiddleware,
  { asObject = false, keepSessionInfo = false } = {},
) {
  const authenticator = new passport.Passport()
  authenticator.use(
    new Strategy((username, password, done) => done(null, password === 'right' ? { id: username } : false)),
  )
  authenticator.serializeUser((user, done) => {
    const { id } = user as { id: string }
    done(null, asObject ? { id, name: `Name of ${id}` } : id)
  })
  authenticator.deserializeUser((user: string | { id: string }, done) =>
    done(null, { id: typeof user === 'object' ? user.id : user }),
  )
  const app = express()
  app.use(express.urlencoded())
  app.use(middleware)
  app.use(authenticator.session())
  app.post('/visit', (req, res) => {
    Object.assign(req.session, { visited: true })
    res.json({})
  })
  app.post('/login', (req, res, next) => {
    const done: passport.AuthenticateCallback = (error, user) => {
      if (error || !user) return void res.sendStatus(401)
      req.login(user as Express.User, { session: true, keepSessionInfo }, (failed) =>
        failed ? next(failed) : res.redirect('/me'),
      )
    }
    ;(authenticator.authenticate('local', done) as express.RequestHandler)(req, res, next)
  })
  app.get('/me', (req, res) => void res.json({ user: req.user ?? null, visited: 'visited' in req.session }))
  app.post('/logout', (req, res, next) => {
    req.logout({ keepSessionInfo }, (error) => (error ? next(error) : res.redirect('/me')))
  })
  return served(app)
}

describe.each(Object.entries(sides))('%s with userOf', (_what, open) => {
  async function house(userOf: UserOf = 'passport.user', options = {}) {
    const { store, middleware } = await open()
    const origin = await passportApp(middleware(userOf), options)
    const sessions = createSessions({ store, secret, sweep: false })
    const name = randomUUID()
    const login = async (browser = new Browser(), username = name) => {
      const answer = await browser.post(origin, '/login', { username, password: 'right' })
      expect(answer.status).toBe(302)
      return browser
    }
    const user = async (browser: Browser) => (await browser.get(origin, '/me')).body['user']
    return { origin, sessions, name, login, user }
  }

  test("req.login binds the user, so that all of a user's sessions are listed and revoked", async () => {
    const { sessions, name, login, user } = await house()
    const [laptop, phone] = [await login(), await login()]
    const other = await login(new Browser(), `${name} 2`)
    expect(await user(laptop)).toEqual({ id: name })
    const list = await sessions.user(name).list()
    expect(list).toMatchObject([{ userId: name }, { userId: name }])
    expect(list.every(({ authenticatedAt }) => authenticatedAt instanceof Date)).toBe(true)
    expect(await sessions.user(name).revokeAll()).toBe(2)
    expect([await user(laptop), await user(phone)]).toEqual([null, null])
    expect(await user(other)).toEqual({ id: `${name} 2` })
  })

  test('a token that was planted before the login leads to nobody', async () => {
    const { origin, login, user } = await house()
    const browser = new Browser()
    await browser.post(origin, '/visit')
    const planted = browser.clone()
    await login(browser)
    expect([...browser.cookies.values()]).not.toEqual([...planted.cookies.values()])
    expect(await user(planted)).toBeNull()
    expect((await browser.get(origin, '/me')).body).toMatchObject({
      user: { id: expect.any(String) as string },
      visited: false,
    })
  })

  test('keepSessionInfo keeps what the visitor had, and the token from before leads to nobody all the same', async () => {
    const { origin, sessions, name, login, user } = await house('passport.user', { keepSessionInfo: true })
    const browser = new Browser()
    await browser.post(origin, '/visit')
    const planted = browser.clone()
    await login(browser)
    expect((await browser.get(origin, '/me')).body).toEqual({ user: { id: name }, visited: true })
    expect(await user(planted)).toBeNull()
    const [bound] = await sessions.user(name).list()
    await browser.post(origin, '/logout')
    expect((await browser.get(origin, '/me')).body).toEqual({ user: null, visited: true })
    expect(bound).toBeDefined()
    expect(await sessions.user(name).list()).toEqual([])
  })

  test('req.logout leaves the user no session, and the cookie from before nobody', async () => {
    const { origin, sessions, name, login, user } = await house()
    const browser = await login()
    const before = browser.clone()
    expect(await sessions.user(name).list()).toHaveLength(1)
    expect((await browser.post(origin, '/logout')).status).toBe(302)
    expect([await user(browser), await user(before)]).toEqual([null, null])
    expect(await sessions.user(name).list()).toEqual([])
  })

  test('logging in as somebody else moves the browser to them', async () => {
    const { sessions, name, login, user } = await house()
    const browser = await login()
    await login(browser, `${name} 2`)
    expect(await user(browser)).toEqual({ id: `${name} 2` })
    expect(await sessions.user(name).list()).toEqual([])
    expect(await sessions.user(`${name} 2`).list()).toHaveLength(1)
  })

  test.each<[string, UserOf]>([
    ['a path', 'passport.user.id'],
    ['a function', (data) => (data as { passport?: { user?: { id?: string } } }).passport?.user?.id],
  ])('a user that is serialised as an object is found by %s', async (_how, userOf) => {
    const { sessions, name, login, user } = await house(userOf, { asObject: true })
    const browser = await login()
    expect(await sessions.user(name).revokeAll()).toBe(1)
    expect(await user(browser)).toBeNull()
  })

  test('a user that is serialised as an object fails the login, where the option names no id in it', async () => {
    const { origin, name } = await house('passport.user', { asObject: true })
    const answer = await new Browser().post(origin, '/login', { username: name, password: 'right' })
    expect(answer.status).toBe(500)
  })
})
