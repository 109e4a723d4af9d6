// What the four apps have in common around their routes.
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Sessions } from 'coatcheck'
import express, { type Express, type RequestHandler } from 'express'
import { ports, portsTaken, type AppName } from './addresses.ts'
import { showErrors, showMissing } from './error-pages.ts'
import { securityHeaders } from './security-headers.ts'
import { watch } from './watch.ts'

/**
 * An app with what all four have in front of their sessions.
 * @param withoutSession handles what needs no session, such as the documentation
 */
export function newApp(name: AppName, sessions: Sessions, ...withoutSession: RequestHandler[]): Express {
  const app = express()
  app.use(securityHeaders(name))
  app.use(express.static(join(import.meta.dirname, 'public')))
  app.use(logRequests(name))
  app.use(...withoutSession, neverStored)
  app.use(watch(name, sessions))
  return app
}

/** After a sign-out, the Back button must not show a page from before. */
const neverStored: RequestHandler = (_req, res, next) => {
  res.set('Cache-Control', 'no-store')
  next()
}

/** One line for each request, with the user's name and never the token. */
function logRequests(app: AppName): RequestHandler {
  return (req, res, next) => {
    const start = performance.now()
    const { method, path } = req
    res.once('finish', () => {
      const who = method === 'OPTIONS' ? 'preflight' : (req.session?.userId ?? 'anonymous')
      const time = `${(performance.now() - start).toFixed(0)} ms`
      const status = styleText(res.statusCode < 400 ? 'green' : 'yellow', String(res.statusCode))
      console.log(
        `${app.padEnd(9)} ${method.padEnd(7)} ${path.padEnd(28)} ${status} ${time.padStart(7)}  ${who}`,
      )
    })
    next()
  }
}

/** Adds the pages for errors, and listens until the launcher or Ctrl-C ends the app. */
export function serve(name: AppName, app: Express, sessions: Sessions): void {
  app.use(showMissing(name))
  app.use(showErrors(name))
  const server = app.listen(ports[name], '127.0.0.1', (error) => {
    if (error === undefined) return void process.send?.({ ready: true })
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const message = taken ? portsTaken([name]) : `The ${name} app cannot listen: ${error.message}.`
    // The launcher prints one message for all apps. An app that was started by hand prints its own.
    if (process.send) return void process.send(taken ? { taken } : { failed: message })
    console.error(message)
    process.exit(1)
  })

  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    // Requests in progress get their answers. A connection that the browser opened and never used would keep it open.
    setTimeout(() => server.closeAllConnections(), 1_000).unref()
    server.close(() => {
      sessions.close().then(
        () => process.exit(0),
        () => process.exit(1),
      )
    })
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect']) process.on(signal, stop)
}
