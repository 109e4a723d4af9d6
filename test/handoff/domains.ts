// A hub and two sites on unrelated registrable domains, by HTTPS as in production, on one port and one store.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { createSecureContext } from 'node:tls'
import express from 'express'
import { type CookieOptions, createSessions, SessionError, type Sessions } from 'coatcheck'
import session from 'coatcheck/express'
import { createHub, createSite } from 'coatcheck/handoff'
import { SQLiteStore } from 'coatcheck/sqlite'
import { type Authority, newAuthority } from '../servers/certificates.ts'

declare module 'coatcheck' {
  interface SessionData {
    fullName?: string
  }
}

export const hosts = {
  hub: 'accounts.example',
  shop: 'shop.example.org',
  blog: 'blog.test',
  evil: 'evil.example.net',
} as const
export type Host = keyof typeof hosts

export interface DomainsOptions {
  /** The cookie of the hub's sessions. */
  readonly hubCookie?: CookieOptions
  /** The cookie of the sites' sessions. */
  readonly siteCookie?: CookieOptions
  /** The Content-Security-Policy of the hub's page to sign in at. */
  readonly signInPolicy?: (origins: Readonly<Record<Host, string>>) => string
  /** How the hub's page goes on after a sign-in. */
  readonly goesOnBy?: 'redirect' | 'page'
}

export interface Domains {
  readonly origins: Readonly<Record<Host, string>>
  /** The certificate of the authority that signed those of all hosts. */
  readonly ca: string
  readonly database: DatabaseSync
  readonly sessions: Sessions
  /** Makes all sign-ins older, in milliseconds, for SQLite has a clock of its own. */
  ageSignIns(by: number): void
  close(): Promise<void>
}

/** Certificates of all hosts, for any number of servers. Remove the authority when done. */
export async function certifyHosts(): Promise<{
  readonly authority: Authority
  readonly contexts: ReadonlyMap<string, { readonly cert: Buffer; readonly key: Buffer }>
}> {
  const authority = await newAuthority()
  const pairs = Object.values(hosts).map(async (host) => {
    const { certificate, key } = await authority.certify(host)
    return [host, { cert: await readFile(certificate), key: await readFile(key) }] as const
  })
  return { authority, contexts: new Map(await Promise.all(pairs)) }
}

/** Serves the hub, the sites and a page of nobody's. */
export async function serveDomains(
  { authority, contexts }: Awaited<ReturnType<typeof certifyHosts>>,
  options: DomainsOptions = {},
): Promise<Domains> {
  const server = createServer({
    ...contexts.get(hosts.hub),
    SNICallback: (name, callback) => callback(null, createSecureContext(contexts.get(name))),
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const originOf = (host: Host) => `https://${hosts[host]}:${port}`
  const origins = {
    hub: originOf('hub'),
    shop: originOf('shop'),
    blog: originOf('blog'),
    evil: originOf('evil'),
  }
  const database = new DatabaseSync(':memory:')
  const store = new SQLiteStore(database)
  const at = { origins, store, options }
  const hub = hubApp(at)
  const sites = [siteApp('shop', at), siteApp('blog', at)]
  await hub.sessions.ready() // which makes the table
  const apps = new Map<string, RequestListener>([
    [hosts.hub, hub.app],
    [hosts.shop, sites[0]!.app],
    [hosts.blog, sites[1]!.app],
    [hosts.evil, strangerApp()],
  ])
  server.on('request', (request, response) => {
    const host = request.headers.host?.replace(/:\d+$/, '') ?? ''
    apps.get(host)!(request, response)
  })
  return {
    origins,
    ca: await readFile(authority.ca, 'utf8'),
    database,
    sessions: hub.sessions,
    ageSignIns(by) {
      database.prepare('UPDATE coatcheck_sessions SET authenticated_at = authenticated_at - ?').run(by)
      // A child keeps when its user had signed in.
      const kept = "json_extract(CAST(data AS TEXT), '$.root.authenticatedAt')"
      const aged = `json_set(CAST(data AS TEXT), '$.root.authenticatedAt', CAST(${kept} - ? AS INTEGER))`
      database
        .prepare(`UPDATE coatcheck_sessions SET data = CAST(${aged} AS BLOB) WHERE root_id IS NOT NULL`)
        .run(by)
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await Promise.all([hub, ...sites].map((app) => app.sessions.close()))
      database.close()
    },
  }
}

interface At {
  readonly origins: Domains['origins']
  readonly store: SQLiteStore
  readonly options: DomainsOptions
}

interface App {
  readonly app: express.Express
  readonly sessions: Sessions
}

function hubApp({ origins, store, options }: At): App {
  const sessions = createSessions({
    store,
    secret: 'a secret of the hub alone, in these tests',
    sweep: false,
    cookie: options.hubCookie ?? {},
  })
  const hub = createHub(sessions, {
    issuer: origins.hub,
    signInPage: '/sign-in',
    clients: {
      shop: { redirectUris: [`${origins.shop}/handoff/callback`], share: ['fullName'] },
      blog: { redirectUris: [`${origins.blog}/handoff/callback`], share: ['fullName'] },
    },
  })
  const app = express()
  app.use(session(sessions), hub.router, express.urlencoded())
  app.get('/sign-in', (request, response) => {
    const returnTo = encodeURIComponent(sessions.sites.returnAddress(request.query['returnTo']))
    if (options.signInPolicy) response.set('Content-Security-Policy', options.signInPolicy(origins))
    const form = `<form method="post" action="/sign-in?returnTo=${returnTo}"><input name="user"><button>Sign in</button></form>`
    response.send(pageOf('Sign in at the hub', form))
  })
  app.post('/sign-in', async (request, response) => {
    const { user } = request.body as { user: string }
    await request.session.signIn(user)
    request.session.fullName = `Name of ${user}`
    const next = sessions.sites.returnAddress(request.query['returnTo'])
    if (options.goesOnBy !== 'page') return response.redirect(303, next)
    const content = next.replaceAll('&', '&amp;').replaceAll('"', '&quot;')
    response.send(`<!doctype html><meta http-equiv="refresh" content="0; url=${content}">`)
  })
  app.post('/sign-out', async (request, response) => {
    await request.session.signOut()
    response.redirect(303, '/')
  })
  app.get('/', (request, response) => {
    response.send(pageOf(`${request.session.userId ?? 'nobody'} at hub`, button('/sign-out', 'Sign out')))
  })
  return finish(app, sessions)
}

function siteApp(clientId: 'shop' | 'blog', { origins, store, options }: At): App {
  const sessions = createSessions({
    store,
    secret: `a secret of ${clientId} alone, in these tests`,
    clientId,
    sweep: false,
    cookie: options.siteCookie ?? {},
  })
  const site = createSite(sessions, {
    hub: origins.hub,
    redirectUri: `${origins[clientId]}/handoff/callback`,
  })
  const app = express()
  app.use(session(sessions), site.router)
  const who: express.RequestHandler = ({ session: { userId, root } }, response) => {
    const name = root?.data.fullName ?? 'nobody'
    response.send(
      pageOf(
        `${userId ?? 'nobody'} (${name}) at ${clientId}`,
        button('/handoff/sign-out', 'Sign out here'),
        button('/handoff/sign-out?everywhere&amp;returnTo=/goodbye?from=all', 'Sign out everywhere'),
        button(`/handoff/sign-out?everywhere&amp;returnTo=${origins.evil}/`, 'Sign out to evil'),
        '<a href="/members">Members</a>',
      ),
    )
  }
  app.get('/members', site.signedIn(), who)
  app.get('/transfer', site.signedIn({ within: '5m' }), who)
  app.get('/quiet', site.check, who)
  app.get(['/', '/goodbye'], who)
  return finish(app, sessions)
}

/** Pages that show an address in a frame. */
function strangerApp(): express.Express {
  const app = express()
  app.get('/frame', (request, response) => {
    response.send(`<!doctype html><iframe src="${request.query['of'] as string}"></iframe>`)
  })
  return app
}

function finish(app: express.Express, sessions: Sessions): App {
  app.use(((error, _request, response, _next) => {
    const { status = 500, code = '' } = error instanceof SessionError ? error : {}
    response.status(status).send(pageOf(code))
  }) satisfies express.ErrorRequestHandler)
  return { app, sessions }
}

function pageOf(title: string, ...parts: readonly string[]): string {
  return `<!doctype html><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${parts.join('')}`
}

function button(action: string, text: string): string {
  return `<form method="post" action="${action}"><button>${text}</button></form>`
}
