import { once } from 'node:events'
import { createServer, type IncomingMessage, request as httpRequest, type RequestListener } from 'node:http'
import { createServer as createTlsServer, request as tlsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { unsign } from 'cookie-signature'
import { onTestFinished } from 'vitest'
import {
  type ErrorMiddleware,
  express5Framework,
  type Framework,
  type Middleware,
} from '../adapters/frameworks.ts'
import type { Handler } from './express-session-types.ts'
import { fromNow, Ids, type RowStore } from './row-store.ts'

export interface ServeExtras {
  readonly before?: readonly unknown[]
  readonly after?: readonly unknown[]
  readonly framework?: Framework
  /** Whether the server speaks TLS itself. */
  readonly tls?: boolean
}

export interface Ask {
  readonly method?: string
  /** An answer whose cookies come along, or a Cookie header as it is to be. */
  readonly cookie?: Answer | string
  readonly headers?: Record<string, string>
}

export interface Answer {
  readonly status: number
  readonly body: string
  /** Set-Cookie headers in readable form: ids by name, the moment of Expires relative to Date. */
  readonly cookies: readonly string[]
  /** All headers but those that name moments, connections and the framing of the body. */
  readonly headers: Readonly<Record<string, string>>
  /** The headers as they came. */
  readonly raw: IncomingMessage
  /** What a browser sends back: the `Cookie` header that these Set-Cookie headers lead to. */
  readonly jar: string
  /** Whether the body came whole. */
  readonly complete: boolean
}

export interface Served {
  readonly url: URL
  /** The messages of what reached the app's error handler. */
  readonly errors: string[]
  /** Fulfilled by the first error that reaches the app's error handler: one may follow the answer. */
  readonly firstError: Promise<void>
  get(path: string, ask?: Ask): Promise<Answer>
}

/** Framing differs because a save that comes before the headers leaves the length of the body known. */
const leftOut = new Set([
  'date',
  'connection',
  'keep-alive',
  'set-cookie',
  'content-length',
  'transfer-encoding',
])

// TLS without a certificate to make or to trust: both ends share a key.
const sharedKey = Buffer.alloc(32, 7)
const tls = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const

/** All that one side showed while a test's body ran. */
export class Visited {
  readonly ids = new Ids()
  readonly stores: RowStore[] = []
  readonly #answers: Answer[] = []
  readonly #served: Served[] = []
  readonly #neverCached: boolean

  constructor({ neverCached }: { neverCached: boolean }) {
    this.#neverCached = neverCached
  }

  all(): unknown {
    const answers = this.#answers.map(({ status, body, cookies, headers, complete }) => {
      return { status, body, cookies, headers, complete }
    })
    return {
      answers,
      rows: this.stores.map((store) => store.readable()),
      errors: this.#served.map(({ errors }) => errors),
    }
  }

  async serve(stack: readonly unknown[], extras: ServeExtras & { secret?: unknown }): Promise<Served> {
    const errors: string[] = []
    let heard: () => void
    const firstError = new Promise<void>((resolve) => (heard = resolve))
    // Express tells error handlers by their four parameters.
    const onError: ErrorMiddleware = (error, _request, response, _next) => {
      const message = error instanceof Error ? error.message : String(error)
      errors.push(message)
      heard()
      if (response.headersSent) return
      response.statusCode = (error as { status?: number }).status ?? 500
      response.end(`error: ${message}`)
    }
    const framework = extras.framework ?? express5Framework
    const url = await listen(framework.listener(stack as Middleware[], onError), extras.tls === true)
    const secrets = [extras.secret].flat() as string[]
    const served = {
      url,
      errors,
      firstError,
      get: async (path: string, ask: Ask = {}) => {
        const answer = this.#answer(await send(url, path, ask), secrets)
        this.#answers.push(answer)
        return answer
      },
    }
    this.#served.push(served)
    return served
  }

  #answer(
    { response, body }: { response: IncomingMessage; body: string },
    secrets: readonly string[],
  ): Answer {
    const setCookies = response.headers['set-cookie'] ?? []
    const date = new Date(response.headers.date ?? Date.now())
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(response.headers)) {
      if (!leftOut.has(name)) headers[name] = String(value)
    }
    // The one difference that would show in every test; the tests of differences state it.
    if (this.#neverCached && setCookies.length > 0 && headers['cache-control'] === 'no-store') {
      delete headers['cache-control']
    }
    return {
      status: response.statusCode!,
      body,
      cookies: setCookies.map((cookie) => this.#readable(cookie, secrets, date)),
      headers,
      raw: response,
      jar: jarOf(setCookies),
      complete: response.complete,
    }
  }

  #readable(setCookie: string, secrets: readonly string[], date: Date): string {
    const [pair, ...attributes] = setCookie.split('; ') as [string, ...string[]]
    const timed = attributes.map((attribute) => {
      if (!attribute.startsWith('Expires=')) return attribute
      const expires = new Date(attribute.slice('Expires='.length))
      return expires.valueOf() <= 0 ? 'Expires=1970' : `Expires=${fromNow(expires, date)}`
    })
    return [this.#readablePair(pair, secrets), ...timed].join('; ')
  }

  #readablePair(pair: string, secrets: readonly string[]): string {
    const [name, value] = [
      pair.slice(0, pair.indexOf('=')),
      decodeURIComponent(pair.slice(pair.indexOf('=') + 1)),
    ]
    if (!value.startsWith('s:')) return pair
    for (const [index, secret] of secrets.entries()) {
      const id = unsign(value.slice(2), secret)
      if (id !== false) return `${name}=${this.ids.name(id)}${index === 0 ? '' : ` by secret ${index + 1}`}`
    }
    return `${name}=not signed by any secret`
  }
}

/** `handlers` by the path of the request. */
export function routes(handlers: Record<string, Handler>): Handler {
  return (request, response, next) => {
    const handler = handlers[request.url!.split('?', 1)[0]!]
    return handler ? handler(request, response, next) : next()
  }
}

function jarOf(setCookies: readonly string[]): string {
  const jar = new Map<string, string>()
  for (const cookie of setCookies) {
    const pair = cookie.split(';', 1)[0]!
    jar.set(pair.slice(0, pair.indexOf('=')), pair)
  }
  return [...jar.values()].join('; ')
}

async function listen(listener: RequestListener, encrypted: boolean): Promise<URL> {
  const server = encrypted
    ? createTlsServer({ ...tls, pskCallback: () => sharedKey }, listener)
    : createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return new URL(`http${encrypted ? 's' : ''}://127.0.0.1:${(server.address() as AddressInfo).port}`)
}

async function send(url: URL, path: string, ask: Ask): Promise<{ response: IncomingMessage; body: string }> {
  const cookie = typeof ask.cookie === 'object' ? ask.cookie.jar : ask.cookie
  const headers = { ...ask.headers, ...(cookie ? { cookie } : undefined) }
  const to = {
    host: url.hostname,
    port: url.port,
    path,
    method: ask.method ?? 'GET',
    headers,
    agent: false,
  } as const
  const client =
    url.protocol === 'https:'
      ? tlsRequest({
          ...to,
          ...tls,
          ...({ pskCallback: () => ({ psk: sharedKey, identity: 'test' }) } as object),
          checkServerIdentity: () => undefined,
        })
      : httpRequest(to)
  client.end()
  const [response] = (await once(client, 'response')) as [IncomingMessage]
  let body = ''
  response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk))
  response.on('error', () => undefined) // a body that is cut short shows as `complete`
  await new Promise((resolve) => response.once('close', resolve))
  return { response, body }
}
