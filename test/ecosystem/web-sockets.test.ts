import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server as HttpServer, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createSessions, type SessionError } from 'coatcheck'
import session, { ExpressStore, type SessionMiddleware } from 'coatcheck/express'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { CommandedStore } from '../adapters/commanded-store.ts'
import { incumbent } from '../express-session/incumbent.ts'
import { served } from './served.ts'

interface Settings {
  readonly store: CommandedStore
  /** Told of each failure of the store, where the form has events. */
  readonly storeError?: (error: SessionError) => void
  readonly saveUninitialized?: boolean
  readonly rolling?: boolean
}
type MakeSession = (settings: Settings) => SessionMiddleware

const secret = 'the secret of these tests'

const ours: Record<string, MakeSession> = {
  'session(sessions)': ({ store, storeError = () => undefined }) => {
    const sessions = createSessions({ store, secret, sweep: false })
    sessions.on('storeError', storeError)
    return session(sessions)
  },
  'session(options)': ({ store, saveUninitialized = false, rolling = false }) =>
    session({
      store: new ExpressStore(store),
      secret,
      resave: false,
      saveUninitialized,
      rolling,
      cookie: { maxAge: 3_600_000 },
    }),
}

const original: MakeSession = ({ saveUninitialized = false, rolling = false }) =>
  incumbent({
    secret,
    resave: false,
    saveUninitialized,
    rolling,
    cookie: { maxAge: 3_600_000 },
  }) as unknown as SessionMiddleware

type Bag = { seen?: string } & Record<'reload' | 'save', (done: (error?: unknown) => void) => void>
type Request = IncomingMessage & { session: Bag }
type Handle = (request: Request, response: ServerResponse, next: (error?: unknown) => void) => void

const bagOf = (request: IncomingMessage) => (request as Request).session

/** What a client gets of a handshake: its status, or that the connection was closed; and the cookie. */
interface Handshake {
  readonly status: number | 'closed'
  readonly cookie: string | undefined
  readonly headers: IncomingMessage['headers']
}

const pairOf = (cookies: readonly string[] | undefined) => cookies?.[0]?.split(';', 1)[0]

/** Opens a WebSocket, and closes it again. */
async function openSocket(url: string, cookie?: string): Promise<Handshake> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers: cookie ? { cookie } : {} })
  const answer = new Promise<Handshake>((resolve) => {
    const tell = ({ statusCode, headers }: IncomingMessage) =>
      resolve({ status: statusCode!, cookie: pairOf(headers['set-cookie']), headers })
    socket.once('upgrade', tell)
    socket.once('unexpected-response', (_, response) => tell(response))
    socket.once('error', () => resolve({ status: 'closed', cookie: undefined, headers: {} }))
  })
  onTestFinished(() => socket.terminate())
  return answer
}

async function poll(url: string, cookie?: string): Promise<Handshake> {
  const response = await fetch(url, { headers: cookie ? { cookie } : {} })
  return {
    status: response.status,
    cookie: pairOf(response.headers.getSetCookie()),
    headers: Object.fromEntries(response.headers),
  }
}

const transports = {
  websocket: (origin: string, cookie?: string) =>
    openSocket(`${origin}/socket.io/?EIO=4&transport=websocket`, cookie),
  polling: (origin: string, cookie?: string) => poll(`${origin}/socket.io/?EIO=4&transport=polling`, cookie),
}

/** What a middleware makes of a handshake. */
const guards: Record<string, Handle> = {
  // Not chained: what engine.io has for a response returns nothing.
  'refuses it with 401': (_, response) => {
    response.writeHead(401)
    response.end('no')
  },
  'refuses it with 401, and notes that in the session': (request, response) => {
    request.session.seen = 'refused'
    response.writeHead(401)
    response.end('no')
  },
  'refuses it by end alone': (request, response) => {
    request.session.seen = 'refused'
    response.statusCode = 401
    response.end()
  },
  'lets it through': (_request, _response, next) => next(),
  'lets it through, and notes that in the session': (request, _response, next) => {
    request.session.seen = 'yes'
    next()
  },
}

/** A socket.io server whose engine uses a session and a middleware after it. Beside it, what the session holds is at `/`. */
async function withEngine(middleware: SessionMiddleware, guard: Handle) {
  const nexts: unknown[] = []
  const server = createServer((request, response) => {
    middleware(request, response, () => response.end(JSON.stringify(bagOf(request).seen ?? null)))
  })
  const sockets = new Server(server)
  sockets.engine.use(
    (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => {
      middleware(request, response, (error) => {
        nexts.push(error)
        next(error)
      })
    },
  )
  sockets.engine.use(guard)
  const origin = await served(server)
  onTestFinished(() => sockets.close())
  return { origin, sockets, nexts }
}

describe.each(Object.entries(ours))('%s', (form, makeSession) => {
  describe.each(Object.entries(transports))("in socket.io's engine, by %s,", (transport, open) => {
    test.each(Object.entries(guards))('a handshake whose middleware %s', async (how, guard) => {
      const store = new CommandedStore()
      const { origin, nexts } = await withEngine(makeSession({ store }), guard)
      const { status, cookie } = await open(origin)
      const through = how.startsWith('lets')
      const accepted = transport === 'polling' ? 200 : 101
      const refused = transport === 'polling' ? 401 : 'closed'
      expect(status).toBe(through ? accepted : refused)
      const stored = through ? 'yes' : 'refused'
      const changes = !['refuses it with 401', 'lets it through'].includes(how)
      await expect.poll(() => store.stored()).toHaveLength(changes ? 1 : 0)
      const hasCookie = changes && status !== 'closed'
      expect(cookie !== undefined).toBe(hasCookie)
      const page = hasCookie ? await fetch(origin, { headers: { cookie: cookie! } }) : undefined
      expect(await page?.json()).toBe(hasCookie ? stored : undefined)
      expect(nexts).toEqual([undefined])
      // And the server goes on.
      expect((await open(origin)).status).toBe(status)
    })

    test('a store that fails to read refuses the handshake', async () => {
      const store = new CommandedStore()
      const { origin, nexts } = await withEngine(
        makeSession({ store }),
        guards['lets it through, and notes that in the session']!,
      )
      const { cookie } = await open(origin)
      store.down.add('find')
      expect((await open(origin, cookie)).status).toBe(400)
      expect(nexts).toEqual([undefined, expect.objectContaining({ status: 503 })])
      store.down.clear()
      expect((await open(origin, cookie)).status).toBe(transport === 'polling' ? 200 : 101)
    })
  })

  test('a WebSocket whose session cannot be stored is closed, and told of as a store failure alone', async () => {
    const store = new CommandedStore()
    const storeErrors = vi.fn<(error: SessionError) => void>()
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warnings.mockRestore())
    const { origin, sockets, nexts } = await withEngine(
      makeSession({ store, storeError: storeErrors }),
      guards['lets it through, and notes that in the session']!,
    )
    store.down.add('write')
    const closed = Promise.withResolvers<string>()
    sockets.engine.on('connection', (socket: { once(name: 'close', told: (reason: string) => void): void }) =>
      socket.once('close', (reason) => closed.resolve(reason)),
    )
    expect((await transports.websocket(origin)).status).toBe(101)
    expect(await closed.promise).toMatch(/transport (close|error)/)
    expect(nexts).toEqual([undefined])
    expect(await store.stored()).toEqual([])
    // Without events, a warning stands for the one. The code comes last.
    const [told, silent] = form === 'session(sessions)' ? [storeErrors, warnings] : [warnings, storeErrors]
    const codes = told.mock.calls.map((call: unknown[]) => (call.at(-1) as { code: string }).code)
    expect(codes).toEqual(['ERR_SESSION_STORE_UNAVAILABLE'])
    expect(silent).not.toHaveBeenCalled()
  })

  test("a handshake's cookie goes along with what the engine's listeners set", async () => {
    const store = new CommandedStore()
    const { origin, sockets } = await withEngine(
      makeSession({ store }),
      guards['lets it through, and notes that in the session']!,
    )
    sockets.engine.on('headers', (headers: Record<string, string>) => {
      headers['x-own'] = 'a'
    })
    for (const open of Object.values(transports)) {
      const { headers, cookie } = await open(origin)
      expect([headers['x-own'], cookie]).toEqual(['a', expect.stringMatching(/=s(:|%3A)/)])
    }
  })

  test.each(['polling', 'websocket'])(
    'a socket that began by %s reads its session afresh, and stores it',
    async (transport) => {
      const store = new CommandedStore()
      const { origin, sockets } = await withEngine(
        makeSession({ store }),
        guards['lets it through, and notes that in the session']!,
      )
      sockets.on('connection', (socket) => {
        const bag = bagOf(socket.request)
        socket.on('note', (text: string, answer: (seen: unknown) => void) => {
          bag.reload((error) => {
            if (error) return answer('failed')
            bag.seen = text
            bag.save((failure) => answer(failure ? 'failed' : bag.seen))
          })
        })
      })
      const { cookie } = await transports.websocket(origin)
      await expect.poll(() => store.stored()).toHaveLength(1)
      const client = io(origin, {
        transports: transport === 'polling' ? ['polling', 'websocket'] : ['websocket'],
        extraHeaders: { cookie: cookie! },
        reconnection: false,
      })
      onTestFinished(() => void client.close())
      if (transport === 'polling') {
        await once(client as unknown as NodeJS.EventEmitter, 'connect')
        const { engine } = client.io
        if (engine.transport.name !== 'websocket')
          await once(engine as unknown as NodeJS.EventEmitter, 'upgrade')
      }
      expect(await client.emitWithAck('note', 'later')).toBe('later')
      const page = await fetch(origin, { headers: { cookie: cookie! } })
      expect(await page.json()).toBe('later')
    },
  )

  /** As the examples of ws have it: the session is asked for with an empty object for a response. */
  async function withWs(
    middleware: SessionMiddleware,
    makeResponse: (request: IncomingMessage, socket: Socket) => object,
  ) {
    const nexts: unknown[] = []
    const server: HttpServer = createServer((request, response) => {
      middleware(request, response, () => {
        const bag = bagOf(request)
        if (request.method === 'POST') bag.seen = 'signed up'
        response.end(JSON.stringify(bag.seen ?? null))
      })
    })
    const sockets = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, duplex, head) => {
      const socket = duplex as Socket
      const response = makeResponse(request, socket) as ServerResponse
      middleware(request, response, (error) => {
        nexts.push(error)
        const bag = bagOf(request) as Bag | undefined
        if (bag?.seen !== undefined) {
          return sockets.handleUpgrade(request, socket, head, (webSocket) =>
            sockets.emit('connection', webSocket, request),
          )
        }
        if (response instanceof ServerResponse && bag) {
          Object.assign(bag, { tries: 1 })
          response.writeHead(401).end('no')
        } else socket.write('HTTP/1.1 401 Unauthorized\r\n\r\n')
        socket.destroy()
      })
    })
    sockets.on('connection', (webSocket, request) => {
      webSocket.on('message', (text) => {
        const bag = bagOf(request)
        bag.seen = String(text as Buffer)
        bag.save((error) => webSocket.send(error ? 'failed' : 'stored'))
      })
    })
    const origin = await served(server)
    onTestFinished(() => sockets.close())
    return { origin, nexts }
  }

  test.each<[string, (request: IncomingMessage, socket: Socket) => object]>([
    ['{}', () => ({})],
    [
      'a raw ServerResponse',
      (request, socket) => {
        const response = new ServerResponse(request)
        response.assignSocket(socket)
        return response
      },
    ],
  ])('with ws and %s', async (kind, makeResponse) => {
    const store = new CommandedStore()
    const { origin, nexts } = await withWs(makeSession({ store }), makeResponse)
    const refusal = await openSocket(origin)
    expect(refusal.status).toBe(401)
    // What the answer tells is stored, and nobody cut it off.
    expect(await store.stored()).toHaveLength(kind === '{}' ? 0 : 1)
    expect(refusal.cookie === undefined).toBe(kind === '{}')

    const signedUp = await fetch(origin, { method: 'POST' })
    const cookie = pairOf(signedUp.headers.getSetCookie())!
    const webSocket = new WebSocket(origin.replace('http', 'ws'), { headers: { cookie } })
    onTestFinished(() => webSocket.terminate())
    await once(webSocket, 'open')
    webSocket.send('from the socket')
    const [answer] = (await once(webSocket, 'message')) as [Buffer]
    expect(answer.toString()).toBe('stored')
    expect(await (await fetch(origin, { headers: { cookie } })).json()).toBe('from the socket')

    store.down.add('find')
    expect((await openSocket(origin, cookie)).status).toBe(401)
    expect(nexts).toEqual([undefined, undefined, expect.objectContaining({ status: 503 })])
  })

  // `rolling` and `saveUninitialized` are options of the other form.
  describe.runIf(form === 'session(options)')('beside the original express-session,', () => {
    const settings = [false, true].flatMap((saveUninitialized) =>
      [false, true].map((rolling) => ({ saveUninitialized, rolling })),
    )
    describe.each(settings)('%o', (options) => {
      test.each(
        Object.keys(transports).flatMap((transport) =>
          Object.keys(guards).map((how) => [transport, how] as const),
        ),
      )('a handshake by %s whose middleware %s gives the client the same', async (transport, how) => {
        const open = transports[transport as keyof typeof transports]
        const results: unknown[] = []
        for (const make of [original, makeSession]) {
          const { origin } = await withEngine(make({ store: new CommandedStore(), ...options }), guards[how]!)
          const first = await open(origin)
          // Not the cookie of a WebSocket: the original has stored nothing that it would lead to.
          const second = await open(origin, (await transports.polling(origin)).cookie)
          // Where the original has something to store, engine.io's response lacks what it calls, and that is a 400.
          const statuses = [first, second].map(({ status }) => (status === 400 ? 'closed' : status))
          results.push([statuses, first.cookie !== undefined, second.cookie !== undefined])
        }
        expect(results[1]).toEqual(results[0])
      })
    })
  })
})
