import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createSecureServer, type ServerOptions } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createSessions, MemoryStore, SessionError, type Sessions, type SessionsOptions } from 'coatcheck'
import session, { type ExpressSessionOptions } from 'coatcheck/express'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { afterAll, beforeAll, expect, onTestFinished, vi } from 'vitest'

// An app with the check against forged requests, and what its developer sees of each request.

export interface CheckedOptions {
  readonly sessions?: Partial<SessionsOptions>
  readonly session?: ExpressSessionOptions
  /** What comes before the session, and after it. */
  readonly before?: readonly RequestHandler[]
  readonly after?: readonly RequestHandler[]
  /** Adds routes before the session: pages that need none. */
  readonly pages?: (app: Express) => void
  /** Adds routes after it. */
  readonly routes?: (app: Express) => void
  /** Serves HTTPS. */
  readonly certificate?: ServerOptions
}

/** A request that was no page, no picture and no script: what the check went by, and what was answered. */
export interface Arrived {
  readonly method: string
  readonly path: string
  readonly site: string | undefined
  readonly origin: string | undefined
  readonly hasCookie: boolean
  readonly status: number
}

export interface CheckedApp {
  readonly app: Express
  readonly sessions: Sessions
  /** With this machine's address. */
  readonly url: string
  readonly port: number
  readonly arrived: Arrived[]
  /** The rules and origins of its events `forged`. */
  readonly told: { readonly rule: string; readonly path: string; readonly origin: string | undefined }[]
  /** How often something was changed. */
  changes(): number
}

/** Serves an app, for one test. `/login` signs in, and `/change` changes something, by whatever method. */
export async function checkedApp(options: CheckedOptions = {}): Promise<CheckedApp> {
  const { before = [], after = [] } = options
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'the secret of an app that is checked',
    sweep: false,
    ...options.sessions,
  })
  const told: CheckedApp['told'] = []
  sessions.on('forged', ({ rule, path, origin }) => void told.push({ rule, path, origin }))
  let changes = 0
  const arrived: Arrived[] = []
  const app = express()
  // Browsers ask for it of their own accord.
  app.get('/favicon.ico', (_req, res) => void res.sendStatus(404))
  options.pages?.(app)
  app.use((req, res, next) => {
    const facts = factsOf(req)
    res.on('finish', () => {
      if (facts.method !== 'GET' || facts.path === '/change')
        arrived.push({ ...facts, status: res.statusCode })
    })
    next()
  })
  for (const each of before) app.use(each)
  app.use(session(sessions, options.session) as RequestHandler)
  for (const each of after) app.use(each)
  app.all('/login', async (req, res) => {
    await req.session.signIn('ada')
    res.send('signed in')
  })
  options.routes?.(app)
  app.use((req, res) => {
    changes++
    res.type('text').send(`changed by ${req.method} for ${req.session?.userId ?? 'a visitor'}`)
  })
  app.use(answerWithMessage)
  const server = options.certificate ? createSecureServer(options.certificate, app) : createServer(app)
  // fetch would use a connection that is kept alive for the next server that gets this port.
  server.maxRequestsPerSocket = 1
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await sessions.close()
  })
  const { port } = server.address() as AddressInfo
  const url = `${options.certificate ? 'https' : 'http'}://127.0.0.1:${port}`
  return { app, sessions, url, port, arrived, told, changes: () => changes }
}

/** As Express's own handler does in development: the status of the error, and its words. */
const answerWithMessage: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  if (!(error instanceof SessionError)) throw error
  res.status(error.status).type('text').send(`${error.code}: ${error.message}`)
}

function factsOf({ method = '', url = '', headers }: IncomingMessage): Omit<Arrived, 'status'> {
  return {
    method,
    path: url.split('?', 1)[0]!,
    site: headers['sec-fetch-site'] as string | undefined,
    origin: headers.origin,
    hasCookie: headers.cookie?.includes('sid=') ?? false,
  }
}

/** The warnings COATCHECK_FORGED of this test file. */
const warnings: string[] = []

let watch: { mockRestore(): void }
beforeAll(() => {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void
  const heard = (...args: unknown[]): void => {
    const [message, options] = args as [string, { code?: string } | undefined]
    if (options?.code === 'COATCHECK_FORGED') warnings.push(message)
    else emit(...args)
  }
  watch = vi.spyOn(process, 'emitWarning').mockImplementation(heard as typeof process.emitWarning)
})
afterAll(() => watch.mockRestore())

/**
 * That the last request was refused, as its developer sees it: by the event, by the words of the error, and by a warning
 * with such words, once for each rule.
 *
 * @param text what the app answered
 * @param words that the error has to have
 */
export function expectRefused(app: CheckedApp, text: string, rule: string, ...words: string[]): void {
  expect(app.told.at(-1)?.rule).toBe(rule)
  for (const each of ['ERR_SESSION_FORGED', `(rule: ${rule})`, ...words]) expect(text).toContain(each)
  // As the words of each rule begin. The rest of them depends on the request.
  const [begin] =
    /It has none|It has no |It has the|Its Sec-Fetch-Site is none|Its Sec-Fetch-Site is \S*site/.exec(text)!
  const same = begin.endsWith('site') ? /Its Sec-Fetch-Site is \S*site/ : new RegExp(begin)
  expect(warnings.filter((warning) => same.test(warning))).toHaveLength(1)
}
