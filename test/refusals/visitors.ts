import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSessions, SessionError, type SessionStore } from 'coatcheck'
import session from 'coatcheck/express'
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express'
import { onTestFinished } from 'vitest'

const secret = 'a secret that only these tests use'

/** An app that keeps what a visitor says, and answers with what it keeps. An error is answered with its code. */
export interface App {
  readonly url: string
  /** What reached the error handler. */
  readonly errors: SessionError[]
}

/** One browser. */
export class Visitor {
  readonly #url: string
  #cookie = ''

  constructor(app: App) {
    this.#url = app.url
  }

  /** Stores a note in the session. @returns the note that is stored then, or status and code of the error */
  say(note: string): Promise<string> {
    return this.#ask('POST', note)
  }

  /** @returns the note that is stored, or status and code of the error */
  recall(): Promise<string> {
    return this.#ask('GET')
  }

  async #ask(method: string, body: string | null = null): Promise<string> {
    const response = await fetch(this.#url, { method, body, headers: { cookie: this.#cookie } })
    this.#cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? this.#cookie
    return response.text()
  }
}

/** `session(sessions)`. */
export function serveSessions(store: SessionStore): Promise<App> {
  const sessions = createSessions({ store, secret, sweep: false })
  sessions.on('storeError', () => undefined)
  onTestFinished(() => sessions.close())
  return serve(session(sessions))
}

/** `session(options)`, the drop-in form. */
export function serveDropIn(store: object): Promise<App> {
  return serve(session({ store, secret, resave: false, saveUninitialized: false } as never))
}

async function serve(middleware: RequestHandler): Promise<App> {
  const errors: SessionError[] = []
  const app = express()
  app.use(express.text({ type: () => true }), middleware)
  app.use((request, response) => {
    const data = request.session as unknown as { note?: string }
    if (request.method === 'POST') data.note = request.body as string
    response.send(data.note ?? 'nothing')
  })
  app.use((error: SessionError, _request: Request, response: Response, _next: NextFunction) => {
    errors.push(error)
    response.status(error.status).send(`${error.status} ${error.code}`)
  })
  const server = createServer({ keepAlive: false }, app)
  server.maxRequestsPerSocket = 1
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, errors }
}
