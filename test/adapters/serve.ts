import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { createSessions, type Sessions, type SessionsOptions, SessionError } from 'coatcheck'
import session, { type ExpressSessionOptions } from 'coatcheck/express'
import { CommandedStore } from './commanded-store.ts'
import type { ErrorMiddleware, Framework, Middleware } from './frameworks.ts'

export const secret = 'a secret that only these tests use'

/** A server on loopback, with a store to command. It is stopped when the test is over. */
export interface Served {
  readonly url: string
  readonly port: number
  readonly store: CommandedStore
  readonly sessions: Sessions
  /** What reached the error handler. */
  readonly errors: unknown[]
}

export interface ServeOptions {
  readonly framework: Framework
  readonly handler: Middleware
  readonly before?: readonly Middleware[]
  readonly after?: readonly Middleware[]
  readonly onError?: ErrorMiddleware
  readonly sessions?: Partial<SessionsOptions>
  readonly session?: ExpressSessionOptions
  /** Two servers on one store are two apps. */
  readonly store?: CommandedStore
  /** Whether a connection takes more than one request. Default `false`. */
  readonly keepAlive?: boolean
}

/** Serves `before`, the session middleware, `after` and the handler, in this order. */
export async function serve(options: ServeOptions): Promise<Served> {
  const { framework, handler, before = [], after = [] } = options
  const store = options.store ?? new CommandedStore()
  const sessions = createSessions({ store, secret, sweep: false, ...options.sessions })
  sessions.on('storeError', () => undefined) // without a listener each is a process warning
  const errors: unknown[] = []
  const onError: ErrorMiddleware = (error, request, response, next) => {
    errors.push(error)
    return (options.onError ?? answerWithError)(error, request, response, next)
  }
  const middleware = session(sessions, options.session) as unknown as Middleware
  const served = await listen(
    framework.listener([...before, middleware, ...after, handler], onError),
    options,
  )
  onTestFinished(() => sessions.close())
  return { ...served, store, sessions, errors }
}

/** What an app's own error handler does. */
export const answerWithError: ErrorMiddleware = (error, _request, response) => {
  if (response.headersSent) return
  response.statusCode = error instanceof SessionError ? error.status : 500
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  response.end(`app error page: ${String(code)}`)
}

export async function listen(
  listener: RequestListener,
  { keepAlive = false }: Pick<ServeOptions, 'keepAlive'> = {},
): Promise<{ url: string; port: number }> {
  const server = createServer(listener)
  // fetch would use a connection that is kept alive for the next server that gets this port.
  if (!keepAlive) server.maxRequestsPerSocket = 1
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port }
}

/** A connection that shows every byte as it comes. */
export class Wire {
  readonly socket: Socket
  received = ''
  readonly closed: Promise<void>

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.setEncoding('latin1').on('data', (chunk: string) => (this.received += chunk))
    this.socket.on('error', () => undefined) // a reset shows as `closed` too
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    onTestFinished(() => void this.socket.destroy())
  }

  send(method: string, path: string, headers: Record<string, string> = {}): void {
    const lines = Object.entries({ Host: 'test', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`)
  }

  /** Resolves when `text` has come; rejects if the connection closes before. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      const more = await Promise.race([
        once(this.socket, 'data').then(() => true),
        this.closed.then(() => false),
      ])
      if (!more && !this.received.includes(text))
        throw new Error(`closed before ${JSON.stringify(text)} came`)
    }
  }
}

/** Lets everything happen that is under way in this process, sockets included. */
export async function settle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** What a browser would send back of a response's cookies: `name=value`. */
export function cookieOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(';', 1)[0]!)
    .join('; ')
}
