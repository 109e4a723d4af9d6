import { join } from 'node:path'
import { styleText } from 'node:util'
import { SessionError, type Sessions } from 'coatcheck'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import { origins, ports, portsTaken, type AppName } from './addresses.ts'
import { html } from './html.ts'
import { sendPage } from './page.ts'

/** The stylesheet and the scripts: in front of everything else, since they need no session. */
export const files: RequestHandler = express.static(join(import.meta.dirname, 'public'))

/** Pages that show a session are for this moment only: after signing out, going back must not show them again. */
export const neverKept: RequestHandler = (_req, res, next) => {
  res.set('Cache-Control', 'no-store')
  next()
}

/** One line a request. Of the session it tells who it belongs to, never the token. */
export function logRequests(app: AppName): RequestHandler {
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

/** Browsers ask for HTML. Whoever takes anything, as curl and fetch do, gets JSON from the API. */
export function prefersJson(req: Request): boolean {
  req.res!.vary('Accept')
  return req.accepts(['json', 'html']) !== 'html'
}

/** What a visitor sees at an address that does not exist, with a way back. */
export function showMissing(app: AppName): RequestHandler {
  return async (req, res) => {
    res.status(404)
    if (app === 'api' && prefersJson(req)) {
      res.json({ error: `There is nothing at ${req.path}.`, start: `${origins.api}/` })
      return
    }
    const main = html`<h1>Nothing hangs here</h1>
      <p class="lead">There is no page at <code>${req.path}</code>.</p>
      <p><a class="button" href="/">Go to the start</a></p>`
    await sendPage(res, { app, title: 'Not found', session: req.session, main })
  }
}

/** The last thing in each app: what a visitor sees when something went wrong. */
export function showErrors(app: AppName): ErrorRequestHandler {
  return async (error, req, res, next) => {
    if (res.headersSent) return next(error)
    const away = error instanceof SessionError && error.status === 503
    const status = Number((error as { status?: unknown }).status) || 500
    if (away) console.error(styleText('yellow', `${app.padEnd(9)} ${error.message}`))
    else if (status >= 500) console.error(error)
    const { title, text } = explained(error as Error, away, status)
    res.status(status)
    if (away) res.set('Retry-After', '10')
    if (app === 'api' && prefersJson(req)) {
      res.json({ error: text })
      return
    }
    const main = html`<h1>${title}</h1>
      <p class="lead">${text}</p>
      <p><a class="button" href="/">Try again</a></p>`
    await sendPage(res, { app, title, main })
  }
}

function explained(error: Error, away: boolean, status: number): { title: string; text: string } {
  if (away) {
    const text =
      'The cloakroom cannot reach its shelves. Your coat is safe and you are still signed in: try again in a minute.'
    return { title: 'One moment, please', text }
  }
  if (error instanceof SessionError && error.code.startsWith('ERR_SESSION_HANDOFF_'))
    return { title: 'You are not signed in', text: error.message }
  // Its message says why, and what to set.
  if (status === 403) return { title: 'That was refused', text: error.message }
  const title = status >= 500 ? 'That went wrong' : 'That cannot be read'
  return { title, text: 'Nothing was changed. Go back and try once more.' }
}

/** Listens until the launcher, or Ctrl-C, ends it. */
export function serve(name: AppName, app: Express, sessions: Sessions): void {
  const server = app.listen(ports[name], '127.0.0.1', (error) => {
    if (error === undefined) return void process.send?.({ ready: true })
    const taken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
    const message = taken ? portsTaken([name]) : `The ${name} app cannot listen: ${error.message}.`
    // The launcher tells it, once for all apps, and ends them; an app that was started by hand tells it itself.
    if (process.send) return void process.send(taken ? { taken } : { failed: message })
    console.error(message)
    process.exit(1)
  })

  let stopping = false
  const stop = (): void => {
    if (stopping) return
    stopping = true
    // Requests that are under way are answered first. Connections that a browser opened and has not used would wait.
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
