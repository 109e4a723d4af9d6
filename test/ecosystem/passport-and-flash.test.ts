import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import flash from 'connect-flash'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import express from 'express'
import passport from 'passport'
import { Strategy } from 'passport-local'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Browser } from '../shared/browser.ts'

let server: Server
let origin: string
const sessions = createSessions({ store: new MemoryStore(), secret: 'a secret for passport and flash' })

beforeAll(async () => {
  const authenticator = new passport.Passport()
  authenticator.use(
    new Strategy((username, password, done) => {
      if (password === 'right') done(null, { username })
      else done(null, false, { message: 'Wrong password.' })
    }),
  )
  authenticator.serializeUser((user, done) => done(null, (user as { username: string }).username))
  authenticator.deserializeUser((username: string, done) => done(null, { username }))

  const app = express()
  app.use(express.urlencoded())
  app.use(session(sessions))
  app.use(flash())
  app.use(authenticator.session())
  app.post('/visit', (req, res) => {
    Object.assign(req.session, { visited: true })
    res.json({})
  })
  app.post(
    '/login',
    authenticator.authenticate('local', {
      successRedirect: '/me',
      failureRedirect: '/login',
      failureFlash: true,
    }),
  )
  app.get('/login', (req, res) => void res.json({ messages: req.flash('error') }))
  app.get('/me', (req, res) => void res.json({ user: req.user ?? null, keys: Object.keys(req.session) }))
  app.post('/logout', (req, res, next) => {
    req.logout((error) => (error ? next(error) : res.redirect('/me')))
  })
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterAll(async () => {
  server.close()
  await sessions.close()
})

test('a Passport login gets a new session, and the page it redirects to knows the user', async () => {
  const browser = new Browser()
  await browser.post(origin, '/visit')
  const before = browser.clone()
  const login = await browser.post(origin, '/login', { username: 'member', password: 'right' })
  expect(login.status).toBe(302)
  expect(login.headers.get('location')).toBe('/me')
  expect((await browser.get(origin, '/me')).body).toEqual({
    user: { username: 'member' },
    keys: ['passport'],
  })
  expect(browser.cookies.get('sid')).not.toBe(before.cookies.get('sid'))
  expect((await before.get(origin, '/me')).body).toEqual({ user: null, keys: [] })
})

test('a failed Passport login flashes its message once', async () => {
  const browser = new Browser()
  const login = await browser.post(origin, '/login', { username: 'member', password: 'wrong' })
  expect(login.headers.get('location')).toBe('/login')
  expect((await browser.get(origin, '/login')).body).toEqual({ messages: ['Wrong password.'] })
  expect((await browser.get(origin, '/login')).body).toEqual({ messages: [] })
})

test('a Passport logout forgets the user, and the cookie from before it leads nowhere', async () => {
  const browser = new Browser()
  await browser.post(origin, '/login', { username: 'other-member', password: 'right' })
  const before = browser.clone()
  expect((await browser.post(origin, '/logout')).status).toBe(302)
  expect((await browser.get(origin, '/me')).body.user).toBeNull()
  expect((await before.get(origin, '/me')).body.user).toBeNull()
})
