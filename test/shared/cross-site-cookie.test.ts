import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSessions, MemoryStore, type SessionsOptions } from 'coatcheck'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express from 'express'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { launchProfile, type Profile } from '../servers/chromium.ts'

// A page of one site calls an app on another, by HTTPS, in a Chromium whose windows are not private.

const api = 'api.example.com'
const partner = 'partner.test'

let authority: Authority
let server: Server
let profile: Profile
let port: number

beforeAll(async () => {
  authority = await newAuthority()
  const { certificate, key } = await authority.certify(api)
  server = createServer({ cert: await readFile(certificate), key: await readFile(key) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  // Builds of Chromium differ in whether they block the cookies of other sites by default.
  const preferences = { profile: { cookie_controls_mode: 0, block_third_party_cookies: false } }
  profile = await launchProfile(preferences, '--host-resolver-rules=MAP * 127.0.0.1')
})
afterAll(async () => {
  await profile?.close()
  server?.closeAllConnections()
  server?.close()
  await authority?.remove()
})

/** Who is signed in at the API, as a page of that host learns it by a call. */
async function seenBy(host: string, options: Partial<SessionsOptions>): Promise<string> {
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'a secret of these tests',
    sweep: false,
    sites: [`https://${partner}:${port}`],
    ...options,
  })
  const app = express().use(cors(sessions), session(sessions))
  app.get('/page', (_request, response) => void response.type('html').send('<p>Page'))
  app.get('/login', async (request, response) => {
    await request.session.signIn('ada')
    response.send('signed in')
  })
  app.get('/me', (request, response) => void response.send(String(request.session.userId)))
  server.on('request', app)
  const page = await profile.context.newPage()
  onTestFinished(async () => {
    server.off('request', app)
    await page.close()
    await profile.context.clearCookies()
    await sessions.close()
  })
  await page.goto(`https://${api}:${port}/login`)
  await page.goto(`https://${host}:${port}/page`)
  return page.evaluate(
    (url) => fetch(url, { credentials: 'include' }).then((response) => response.text()),
    `https://${api}:${port}/me`,
  )
}

test('a page of another site in sites calls with the cookie, by default', async () => {
  expect(await seenBy(partner, {})).toBe('ada')
})

test.each<[string, Partial<SessionsOptions>]>([
  ['with SameSite=Lax', { cookie: { sameSite: 'lax' } }],
  ['with a check against forged requests that only reports', { csrf: { report: true } }],
  ['without that check', { csrf: false }],
])('it calls without the cookie %s', async (_what, options) => {
  expect(await seenBy(partner, options)).toBe('undefined')
})

test('a page of the own site calls with the cookie, which stays SameSite=Lax', async () => {
  const sites = [`https://shop.example.com:${port}`]
  expect(await seenBy('shop.example.com', { sites })).toBe('ada')
  const cookies = await profile.context.cookies()
  expect(cookies.map(({ name, sameSite }) => [name, sameSite])).toEqual([['__Host-sid', 'Lax']])
})
