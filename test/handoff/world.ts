import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { onTestFinished } from 'vitest'
import {
  createSessions,
  MemoryStore,
  SessionError,
  type Sessions,
  type SessionsOptions,
  type SessionStore,
} from 'coatcheck'
import session from 'coatcheck/express'
import {
  createHub,
  createSite,
  type Hub,
  type HubOptions,
  type Site,
  type SiteOptions,
} from 'coatcheck/handoff'

declare module 'coatcheck' {
  interface SessionData {
    fullName?: string
    secretOfHub?: string
    basket?: string[]
    remark?: string
  }
}

export const secret = 'a secret that only these tests use'

/** An app on loopback, at an origin of its own. */
export interface App {
  readonly origin: string
  readonly sessions: Sessions
  /** What reached the error handler. */
  readonly errors: unknown[]
}

export interface HubApp extends App {
  readonly hub: Hub
}

export interface SiteApp extends App {
  readonly site: Site
  readonly clientId: string
}

export interface World {
  readonly store: SessionStore
  readonly hub: HubApp
  readonly sites: Readonly<Record<string, SiteApp>>
}

export interface WorldOptions {
  readonly store?: SessionStore
  readonly clients?: readonly string[]
  readonly sessions?: Partial<SessionsOptions>
  readonly hub?: Partial<HubOptions>
  readonly site?: Partial<SiteOptions>
  /** Bytes of the headers of a request that the servers take. Left out: as many as Node does. */
  readonly maxHeaderSize?: number
  /** Runs after the session, before the routes. */
  readonly before?: express.RequestHandler
}

/**
 * A hub and sites, each an Express app at an origin of its own, on one store. Everything is stopped when the test is
 * over.
 */
export async function serveWorld(options: WorldOptions = {}): Promise<World> {
  const { store = new MemoryStore(), clients = ['shop', 'blog'] } = options
  const hubServer = await listen(options)
  const siteServers = await Promise.all(
    clients.map(async (clientId) => ({ clientId, ...(await listen(options)) })),
  )
  const hub = hubApp(hubServer, store, options, siteServers)
  const sites = siteServers.map(
    (server) => [server.clientId, siteApp(server, store, options, hub.origin)] as const,
  )
  onTestFinished(async () => {
    await Promise.all([hub, ...sites.map(([, site]) => site)].map((app) => app.sessions.close()))
  })
  return { store, hub, sites: Object.fromEntries(sites) }
}

interface Listening {
  readonly server: Server
  readonly origin: string
}

async function listen({ maxHeaderSize }: WorldOptions): Promise<Listening> {
  const server = createServer({ keepAliveTimeout: 1, ...(maxHeaderSize !== undefined && { maxHeaderSize }) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function hubApp(
  { server, origin }: Listening,
  store: SessionStore,
  options: WorldOptions,
  clients: readonly (Listening & { readonly clientId: string })[],
): HubApp {
  const sessions = createSessions({ store, secret, sweep: false, ...options.sessions })
  sessions.on('storeError', () => undefined)
  const hub = createHub(sessions, {
    issuer: origin,
    signInPage: '/sign-in',
    clients: Object.fromEntries(
      clients.map((client) => [
        client.clientId,
        { redirectUris: [`${client.origin}/handoff/callback`], share: ['fullName'] },
      ]),
    ),
    ...options.hub,
  })
  const app = express()
  app.use(session(sessions))
  app.use(express.urlencoded())
  if (options.before) app.use(options.before)
  app.use(hub.router)
  app.get('/sign-in', (request, response) => {
    response.json({ page: 'sign-in', returnTo: request.query['returnTo'] })
  })
  app.post('/sign-in', async (request, response) => {
    const { user, returnTo } = request.body as { user: string; returnTo?: string }
    await request.session.signIn(user)
    request.session.fullName = `Name of ${user}`
    request.session.secretOfHub = 'for the hub only'
    response.redirect(303, sessions.sites.returnAddress(returnTo, '/'))
  })
  app.post('/sign-out', async (request, response) => {
    await request.session.signOut()
    response.redirect(303, '/')
  })
  app.post('/rename', (request, response) => {
    request.session.fullName = (request.body as { name: string }).name
    response.json({})
  })
  return finish(app, server, { origin, sessions, hub, errors: [] })
}

function siteApp(
  { server, origin, clientId }: Listening & { readonly clientId: string },
  store: SessionStore,
  options: WorldOptions,
  hubOrigin: string,
): SiteApp {
  const sessions = createSessions({ store, secret, sweep: false, clientId, ...options.sessions })
  sessions.on('storeError', () => undefined)
  const site = createSite(sessions, {
    hub: hubOrigin,
    redirectUri: `${origin}/handoff/callback`,
    keep: ['basket'],
    ...options.site,
  })
  const app = express()
  app.use(session(sessions))
  app.use(express.urlencoded())
  if (options.before) app.use(options.before)
  app.use(site.router)
  app.get('/members', site.signedIn(), (request, response) => answerWith(request, response))
  app.get('/fresh', site.signedIn({ within: '5m' }), (request, response) => answerWith(request, response))
  app.get('/again', (request, response) => {
    const { cookie = '' } = request.headers
    const answer = site.begin(new Request(origin, { headers: { cookie } }), request.session)
    response.status(answer.status).setHeaders(answer.headers).end()
  })
  app.get('/quiet', site.check, (request, response) => answerWith(request, response))
  app.post('/remark', (request, response) => {
    Object.assign(request.session, request.body as object)
    answerWith(request, response)
  })
  app.post('/basket', (request, response) => {
    request.session.basket = ['lamp']
    answerWith(request, response)
  })
  app.post('/sign-in-here', async (request, response) => {
    await request.session.signIn((request.body as { user: string }).user)
    answerWith(request, response)
  })
  app.post('/sign-out-here', async (request, response) => {
    await request.session.signOut()
    answerWith(request, response)
  })
  return finish(app, server, { origin, sessions, site, clientId, errors: [] })
}

function finish<Kind extends App>(app: express.Express, server: Server, kind: Kind): Kind {
  app.get('/', (request, response) => answerWith(request, response))
  app.post('/rotate', async (request, response) => {
    await request.session.rotate()
    answerWith(request, response)
  })
  app.use(((error, _request, response, _next) => {
    kind.errors.push(error)
    const status = error instanceof SessionError ? error.status : 500
    const { code, message } = error as SessionError
    if (!response.headersSent) response.status(status).json({ code, message })
  }) satisfies express.ErrorRequestHandler)
  server.on('request', app)
  return kind
}

/** Tells what a handler sees. */
function answerWith({ session }: express.Request, response: express.Response): void {
  const { userId = null, publicId, root = null, basket = null, remark = null } = session
  const authenticatedAt = session.authenticatedAt?.getTime() ?? null
  response.json({ userId, publicId, root, basket, remark, authenticatedAt })
}

/** What a handler saw. */
export interface Seen {
  readonly userId: string | null
  readonly publicId: string
  readonly root: {
    readonly publicId: string
    readonly userId: string
    readonly data: Record<string, unknown>
  } | null
  readonly basket: string[] | null
  readonly remark: string | null
  readonly authenticatedAt: number | null
}
