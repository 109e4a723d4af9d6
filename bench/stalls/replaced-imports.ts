import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import session from 'coatcheck/express'
import type { Middleware, SessionRequest } from '../apps/session-kinds.ts'

type Handler = (session: object) => unknown

/** An app written for express-session, with its imports replaced, over HTTP: it has no other face. It ends with the process. */
export class ReplacedImports {
  readonly #handlers: Handler[] = []
  #port = 0

  static async serve(): Promise<ReplacedImports> {
    const app = new ReplacedImports()
    const secret = 'a secret of the bench, and of no app'
    const store = new session.MemoryStore()
    const options = { secret, store, resave: false, saveUninitialized: false }
    const middleware = session(options) as unknown as Middleware
    const listener: RequestListener = (plain, response) => {
      const asked = plain as IncomingMessage & SessionRequest
      middleware(asked, response, (error) => {
        if (error) response.statusCode = 500
        else app.#handlers[Number(plain.url!.slice(1))]!(asked.session)
        response.end((error as { code?: string } | undefined)?.code ?? '')
      })
    }
    const server = createServer(listener)
    server.listen(0, '127.0.0.1').unref()
    await once(server, 'listening')
    app.#port = (server.address() as AddressInfo).port
    return app
  }

  /** Sends a request to a handler. @returns how it ended, and the cookie that it gave */
  async request(handler: Handler, cookie?: string): Promise<{ outcome: string; cookie: string }> {
    const path = `/${this.#handlers.push(handler) - 1}`
    const headers = cookie ? { cookie } : {}
    const asked = request({ port: this.#port, path, headers, agent: false }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response) text += String(chunk)
    return {
      outcome: response.statusCode === 200 ? 'stored' : text || `${response.statusCode}`,
      cookie: response.headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '',
    }
  }
}
