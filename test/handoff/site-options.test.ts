import { createSessions, MemoryStore } from 'coatcheck'
import { createHub, createSite } from 'coatcheck/handoff'
import { expect, it } from 'vitest'
import { secret } from './world.ts'

it.each(['.evil.test/a', '@evil.test/', ':8443/x', '//evil.test', 'authorize', '/a b', 5])(
  'a site that would send users to another host by its authorizePath is refused at start-up: %s',
  (authorizePath) => {
    const sessions = createSessions({ store: new MemoryStore(), secret, sweep: false, clientId: 'shop' })
    const options = { hub: 'https://hub.test', redirectUri: 'https://shop.test/handoff/callback' }
    expect(() => createSite(sessions, { ...options, authorizePath: authorizePath as string })).toThrow(
      /createSite: authorizePath must be a path/,
    )
    expect(() => createSite(sessions, { ...options, authorizePath: '/sso/authorize' })).not.toThrow()
  },
)

it.each([
  undefined,
  null,
  5,
  '',
  'hub.test',
  'ftp://hub.test',
  'ws://hub.test',
  'http://hub.test',
  'https://*.test',
  'https://hub.test/',
])('a hub that is no origin by https is refused at start-up: %s', (origin) => {
  const store = new MemoryStore()
  const site = createSessions({ store, secret, sweep: false, clientId: 'shop' })
  const [hub, issuer] = [origin as string, origin as string]
  expect(() => createSite(site, { hub, redirectUri: 'https://shop.test/handoff/callback' })).toThrow(
    /createSite: hub must be an origin with https/,
  )
  const sessions = createSessions({ store, secret, sweep: false })
  expect(() => createHub(sessions, { issuer, signInPage: '/sign-in', clients: {} })).toThrow(
    /createHub: issuer must be an origin with https/,
  )
})

it('a site that keeps a member of every session, or asks for too new a sign-in, is refused at start-up', () => {
  const sessions = createSessions({ store: new MemoryStore(), secret, sweep: false, clientId: 'shop' })
  const options = { hub: 'https://hub.test', redirectUri: 'https://shop.test/handoff/callback' }
  expect(() => createSite(sessions, { ...options, keep: ['basket', 'publicId'] })).toThrow(
    /keep names publicId/,
  )
  const site = createSite(sessions, { ...options, keep: ['basket'] })
  expect(() => site.signedIn({ within: '9s' })).toThrow(/signedIn: within must be at least 10s/)
  expect(() => site.signedIn({ within: '10s' })).not.toThrow()
})
