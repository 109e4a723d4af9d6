// Checked by `npm run check`, never run: what has to be an error of types is one, and what is right is none.
import {
  type Codec,
  createSessions,
  MemoryStore,
  type RequestSession,
  type Sessions,
  type SessionsOptions,
} from 'coatcheck'
import session from 'coatcheck/express'
import { createHub, createSite } from 'coatcheck/handoff'
import type { Request } from 'express'
import type { IncomingMessage } from 'node:http'

const store = new MemoryStore()
const secret = 'thirty-two characters of a secret'

export const everything: Sessions = createSessions({
  store,
  secret: [secret, process.env.OLD_SECRET, Buffer.from(secret)],
  cookie: {
    name: 'app',
    domain: 'example.com',
    path: '/',
    sameSite: 'none',
    secure: true,
    httpOnly: true,
    partitioned: false,
    priority: 'high',
    persistent: true,
  },
  lifetime: { idle: '30m', absolute: false },
  touchAfter: 60_000,
  codec: {
    encode: (data) => Buffer.from(JSON.stringify(data)),
    decode: (bytes) => ({ length: bytes.length }),
  },
  encryption: [process.env.SESSION_KEY, Buffer.alloc(32), 'plain'],
  sizeLimit: 65_536,
  sites: ['https://app.example.com'],
  sweep: { every: '10m', batch: 500 },
})
createSessions({ store, secret: process.env.SESSION_SECRET, sweep: false })
createSessions({ store, secret: [secret] as const, sites: ['https://a.example'] as const })

createSessions({ store, secret, cookie: ({ hostname, headers }) => ({ domain: hostname ?? headers.host }) })
createSessions({ store, secret, cookie: (request: Request) => ({ domain: request.hostname }) })
createSessions({ store, secret, cookie: (request: IncomingMessage) => ({ domain: request.headers.host }) })
createSessions({ store, secret, header: true })
createSessions({ store, secret, header: { name: 'X-Session', response: 'X-Session', cookie: false } })

createSessions({ store, secret, clientId: 'shop' })

const hub = createHub(everything, {
  issuer: 'https://accounts.example.com',
  signInPage: '/sign-in',
  clients: { shop: { redirectUris: ['https://shop.test/handoff/callback'], share: ['name'] } },
})
declare const inHand: RequestSession
declare const asked: globalThis.Request
const redirectUri = 'https://shop.test/handoff/callback'
const site = createSite(everything, { hub: 'https://accounts.example.com', redirectUri, keep: ['cart'] })
site.signedIn({ within: 300_000 })
// @ts-expect-error no length of time
site.signedIn({ within: '5 minutes' })
// @ts-expect-error a prompt that there is not
export const begun = site.begin(asked, inHand, { prompt: 'consent' })
// @ts-expect-error it may be another path, or a method
export const answered: Promise<Response> = hub.respond(asked, inHand)
// @ts-expect-error no page to sign in at
createHub(everything, { issuer: 'https://accounts.example.com', clients: {} })
// @ts-expect-error a list is needed
createHub(everything, { issuer: '', signInPage: '', clients: { shop: { redirectUris: redirectUri } } })
// @ts-expect-error no hub
createSite(everything, { redirectUri })
// @ts-expect-error sessions are needed, not a store
createSite(store, { hub: 'https://accounts.example.com', redirectUri })
// @ts-expect-error a name is a text
createSessions({ store, secret, clientId: 1 })
// @ts-expect-error a promise comes too late
createSessions({ store, secret, cookie: async () => ({ domain: 'example.com' }) })
// @ts-expect-error an attribute that browsers do not know
createSessions({ store, secret, cookie: () => ({ sameSite: 'Lax' }) })
// @ts-expect-error leave it out
createSessions({ store, secret, header: false })
// @ts-expect-error a header is an option by its name
createSessions({ store, secret, header: 'X-Session' })
// @ts-expect-error no store
createSessions({ secret })
// @ts-expect-error no secret
createSessions({ store })
// @ts-expect-error a secret that is a number
createSessions({ store, secret: 42 })
// @ts-expect-error an option of express-session
createSessions({ store, secret, resave: false })
// @ts-expect-error a store that is none
createSessions({ store: new Map(), secret })
// @ts-expect-error a duration without a unit that we know
createSessions({ store, secret, lifetime: { idle: '2 weeks' } })
// @ts-expect-error idle cannot be switched off
createSessions({ store, secret, lifetime: { idle: false } })
// @ts-expect-error true is no length of time
createSessions({ store, secret, lifetime: { absolute: true } })
// @ts-expect-error a misspelt option
createSessions({ store, secret, lifetime: { ilde: '1d' } })
// @ts-expect-error browsers write it in lower case here
createSessions({ store, secret, cookie: { sameSite: 'Lax' } })
// @ts-expect-error the session's lifetime decides this
createSessions({ store, secret, cookie: { maxAge: 1000 } })
// @ts-expect-error a list is needed
createSessions({ store, secret, sites: 'https://app.example.com' })
// @ts-expect-error a key that is a number
createSessions({ store, secret, encryption: 42 })
// @ts-expect-error a codec without decode
createSessions({ store, secret, codec: { encode: () => new Uint8Array() } })
// @ts-expect-error sweeping is not switched on by true
createSessions({ store, secret, sweep: true })
// @ts-expect-error a size is a number of bytes
createSessions({ store, secret, sizeLimit: '64kb' })

session(everything, { skip: (request) => request.url === '/healthz', whenUnavailable: 'anonymous' })
// @ts-expect-error not sessions
session(new MemoryStore())
// @ts-expect-error an unknown way out
session(everything, { whenUnavailable: 'ignore' })
// @ts-expect-error skip answers with a boolean
session(everything, { skip: () => 'yes' })

export function keepsOut(options: SessionsOptions): void {
  // @ts-expect-error options are read-only
  options.sizeLimit = 1
}
export const codec: Codec = { encode: () => Buffer.alloc(0), decode: () => ({}) }
