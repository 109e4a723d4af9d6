import { styleText } from 'node:util'
import { SessionError } from 'coatcheck'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { origins, type AppName } from './addresses.ts'
import { prefersJson } from './api-pages.ts'
import { html } from './html.ts'
import { sendPage } from './page.ts'

/** The page for an address that does not exist, with a way back. */
export function showMissing(app: AppName): RequestHandler {
  return async (req, res) => {
    res.status(404)
    if (app === 'api' && prefersJson(req)) {
      res.json({ error: `There is nothing at ${req.path}.`, start: `${origins.api}/` })
      return
    }
    const main = html`<h1>Page not found</h1>
      <p class="lead">There is no page at <code>${req.path}</code>.</p>
      <p><a class="button" href="/">Go to the start</a></p>`
    await sendPage(res, { app, title: 'Not found', session: req.session, main })
  }
}

/** The page for an error. */
export function showErrors(app: AppName): ErrorRequestHandler {
  return async (error, req, res, next) => {
    if (res.headersSent) return next(error)
    const isDatabaseDown = error instanceof SessionError && error.status === 503
    const status = Number((error as { status?: unknown }).status) || 500
    if (isDatabaseDown) console.error(styleText('yellow', `${app.padEnd(9)} ${error.message}`))
    else if (status >= 500) console.error(error)
    const { title, text } = explain(error as Error, isDatabaseDown, status)
    res.status(status)
    if (isDatabaseDown) res.set('Retry-After', '10')
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

function explain(error: Error, isDatabaseDown: boolean, status: number): { title: string; text: string } {
  if (isDatabaseDown) {
    const text = 'The database cannot be reached. Your session is safe: try again in a minute.'
    return { title: 'Not available right now', text }
  }
  if (error instanceof SessionError && error.code.startsWith('ERR_SESSION_HANDOFF_'))
    return { title: 'Sign-in not completed', text: error.message }
  if (status === 403) return { title: 'Request rejected', text: error.message } // it says why, and what to set
  const title = status >= 500 ? 'Something went wrong' : 'Invalid request'
  return { title, text: 'Nothing was changed. Go back and try again.' }
}
