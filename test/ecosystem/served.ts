import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { createSessions, MemoryStore } from 'coatcheck'
import session, { type SessionMiddleware } from 'coatcheck/express'
import { onTestFinished } from 'vitest'

const secret = 'the secret of these tests'
const required = createRequire(import.meta.url)('coatcheck/express') as typeof session

/** The two forms of the middleware; the other packages must get along with both. */
export const forms: Readonly<Record<string, () => SessionMiddleware>> = {
  'session(sessions)': () => session(createSessions({ store: new MemoryStore(), secret, sweep: false })),
  'session(options)': () => required({ secret, resave: false, saveUninitialized: false }),
}

/** Serves an app for the test. @returns its origin */
export async function served(listener: RequestListener | Server): Promise<string> {
  const server = typeof listener === 'function' ? createServer(listener) : listener
  // fetch would use a connection that is kept alive for the next server that gets this port.
  server.maxRequestsPerSocket = 1
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Asks as a browser that keeps its cookies. */
export class Visitor {
  readonly #origin: string
  readonly #jar = new Map<string, string>()

  constructor(origin: string) {
    this.#origin = origin
  }

  get cookie(): string {
    return [...this.#jar.values()].join('; ')
  }

  async ask(path: string, options: RequestInit = {}): Promise<Response> {
    const headers = { ...(options.headers as Record<string, string>), cookie: this.cookie }
    const response = await fetch(this.#origin + path, { redirect: 'manual', ...options, headers })
    for (const each of response.headers.getSetCookie()) {
      const pair = each.split(';', 1)[0]!
      this.#jar.set(pair.slice(0, pair.indexOf('=')), pair)
    }
    return response
  }
}
