// The apps that pages call, and the pages of all hosts, on one port by HTTPS and on one by plain HTTP.
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Server } from 'node:net'
import { createSessions, MemoryStore } from 'coatcheck'
import cors from 'coatcheck/cors'
import csrf, { type CsrfMiddleware } from 'coatcheck/csrf'
import session from 'coatcheck/express'
import express, { type Express, type Request } from 'express'
import { type WebSocket, WebSocketServer } from 'ws'
import { newAuthority } from '../../servers/certificates.ts'
import { sitesOn, type Target, targets } from './cells.ts'
import type { Arrived, Outcome } from './expected.ts'
import { html } from './page.ts'

export interface Apps {
  readonly port: number
  /** Of the pages by plain HTTP. */
  readonly plainPort: number
  /** What the apps know of a cell by its id, once all that arrived has been answered. */
  recordOf(id: string): Promise<Omit<Outcome, 'read'>>
  close(): Promise<void>
}

/** What the apps know of a cell. */
class CellRecord {
  readonly requests: Promise<Arrived>[] = []
  user: string | undefined
  changed = false
}

const image = Buffer.from('R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64')

/** Serves the apps, each for itself as in production, with a session store of its own. */
export async function startApps(): Promise<Apps> {
  const records = new Map<string, CellRecord>()
  const recordAt = (url: string): CellRecord => {
    const id = /^\/(?:fetch|form|image|stream|socket)\/([\w-]+)/.exec(url)?.[1] ?? 'none'
    if (!records.has(id)) records.set(id, new CellRecord())
    return records.get(id)!
  }

  const authority = await newAuthority()
  const { certificate, key } = await authority.certify(targets[0]!.host)
  const server = createServer({ cert: await readFile(certificate), key: await readFile(key) })
  const plainServer = createPlainServer((request, response) => servePage(request, response))
  const [port, plainPort] = await Promise.all([listen(server), listen(plainServer)])
  const apps = new Map(targets.map((target) => [`${target.host}:${port}`, appOf(target, port, recordAt)]))

  server.on('request', (request, response) => {
    const app = apps.get(request.headers.host ?? '')
    if (!app || request.url?.startsWith('/page')) return servePage(request, response)
    recordAt(request.url!).requests.push(arrivalOf(request, response))
    app.express(request, response)
  })
  server.on('upgrade', (request, socket, head) => {
    const app = apps.get(request.headers.host ?? '')
    const refusal = Promise.resolve(app?.check.refusal(request))
    const status = refusal.then((refused) => (refused ? 403 : 101))
    const arrived = status.then((answered) => ({ ...factsOf(request), status: answered, ...noCors }))
    recordAt(request.url!).requests.push(arrived)
    void refusal.then((refused) => {
      if (!app || refused) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      app.sockets.handleUpgrade(request, socket, head, (opened) => void app.greet(opened, request))
    })
  })

  return {
    port,
    plainPort,
    async recordOf(id) {
      const { requests, user, changed } = records.get(id) ?? new CellRecord()
      return { requests: await Promise.all(requests), user, changed }
    },
    async close() {
      await Promise.all([...apps.values()].map(({ close }) => close()))
      for (const each of [server, plainServer]) {
        each.closeAllConnections()
        each.close()
      }
      await authority.remove()
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

interface App {
  readonly express: Express
  readonly sockets: WebSocketServer
  readonly check: CsrfMiddleware
  greet(socket: WebSocket, request: IncomingMessage): Promise<void>
  close(): Promise<void>
}

function appOf({ sameSite }: Target, port: number, recordAt: (url: string) => CellRecord): App {
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'a secret of this app alone',
    sweep: false,
    sites: sitesOn(port),
    // By default it is None here, because `sites` names another site.
    ...(sameSite === 'lax' && { cookie: { sameSite } }),
  })
  const note = (url: string, user: string | undefined, changed: boolean): void => {
    Object.assign(recordAt(url), { user: user ?? 'nobody', changed })
  }
  const noteRequest = ({ originalUrl, session: { userId }, method }: Request): void =>
    note(originalUrl, userId, method !== 'GET')

  const app = express()
  app.use(cors(sessions), session(sessions))
  app.post('/login', async (req, res) => {
    await req.session.signIn('ada')
    res.send('signed in')
  })
  app.all(['/fetch/:id', '/form/:id'], (req, res) => {
    noteRequest(req)
    res.send('done')
  })
  app.get('/image/:id', (req, res) => {
    noteRequest(req)
    res.type('gif').send(image)
  })
  app.get('/stream/:id', (req, res) => {
    noteRequest(req)
    res.type('text/event-stream').end('data: hello\n\n')
  })

  return {
    express: app,
    sockets: new WebSocketServer({ noServer: true }),
    check: csrf(sessions),
    async greet(socket, request) {
      const exchange = await sessions.exchange({ cookieHeader: request.headers.cookie, secure: true })
      note(request.url!, exchange.work.session?.userId, true)
      await exchange.finish()
      socket.send('hello')
      socket.close()
    },
    close: () => sessions.close(),
  }
}

/** A page of whatever host was asked for. */
function servePage(request: IncomingMessage, response: ServerResponse): void {
  const { searchParams } = new URL(request.url!, 'http://any.test')
  if (searchParams.has('no-referrer')) response.setHeader('Referrer-Policy', 'no-referrer')
  if (searchParams.has('sandbox')) {
    const allowed = 'allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox'
    response.setHeader('Content-Security-Policy', `sandbox ${allowed}`)
  }
  response.setHeader('Content-Type', 'text/html').end(html)
}

async function arrivalOf(request: IncomingMessage, response: ServerResponse): Promise<Arrived> {
  const facts = factsOf(request)
  await once(response, 'close')
  const header = (name: string) => response.getHeader(name) as string | undefined
  return {
    ...facts,
    status: response.statusCode,
    allowOrigin: header('Access-Control-Allow-Origin'),
    allowCredentials: header('Access-Control-Allow-Credentials'),
    vary: header('Vary'),
  }
}

const noCors = { allowOrigin: undefined, allowCredentials: undefined, vary: undefined }

function factsOf({ method = '', headers }: IncomingMessage) {
  return {
    method,
    origin: headers.origin,
    secFetchSite: headers['sec-fetch-site'] as string | undefined,
    cookies: (headers.cookie?.split('; ') ?? []).map((pair) => pair.split('=', 1)[0]!),
  }
}
