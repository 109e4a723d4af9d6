// An app whose pages all say that shared caches may keep them, and an app for each mistake that gives its visitors away.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createSessions, MemoryStore } from 'coatcheck'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express, { type Request, type RequestHandler, type Response } from 'express'

export const listed = ['https://shop.example.com', 'https://partner.test']

const cdnHeaders = { 'X-Accel-Expires': '600', 'Surrogate-Control': 'max-age=600' }

/** What a middleware does to the headers as they leave, by the first part of an address. */
const mistakes = {
  none: () => undefined,
  'no-vary': (response: Response) => response.removeHeader('Vary'),
  'no-no-store': (response: Response) => response.setHeader('Cache-Control', 'public, max-age=600'),
  // Before Cache-Control: nginx goes by the first of the two until version 1.23.
  'cdn-headers': (response: Response) => {
    const caching = response.getHeader('Cache-Control')!
    response.removeHeader('Cache-Control')
    response.set(cdnHeaders).setHeader('Cache-Control', caching)
  },
}

export type Mistake = keyof typeof mistakes

/** Serves them all. Each page answers with how many have been answered before it, and for whom. */
export async function servePages(): Promise<{ port: number; close(): Promise<void> }> {
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'a secret of this test only',
    sweep: false,
    sites: listed,
  })
  let answers = 0
  const answer = (response: Response, user?: string): void => {
    response.setHeader('Cache-Control', 'public, max-age=600')
    response.send(`answer ${++answers} for ${user ?? 'nobody'}`)
  }
  const app = express()
  app.get('/ready', (_request, response) => void response.send('ready'))
  for (const [name, spoil] of Object.entries(mistakes)) {
    const pages = express.Router()
    pages.use(onHeaders(spoil), cors(sessions), session(sessions))
    pages.get('/public', (_request, response) => answer(response))
    pages.get('/me', ({ session: { userId } }, response) => answer(response, userId))
    pages.get('/visit', (request: Request, response) => {
      if (request.session.userId === undefined) Object.assign(request.session, { visited: true })
      response.set(cdnHeaders)
      answer(response, request.session.userId)
    })
    pages.post('/sign-in/:user', async (request, response) => {
      await request.session.signIn(request.params.user)
      response.send('signed in')
    })
    app.use(`/${name}`, pages)
  }
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await sessions.close()
  }
  return { port: (server.address() as AddressInfo).port, close }
}

/** Calls `spoil` when all others have set their headers. */
function onHeaders(spoil: (response: Response) => unknown): RequestHandler {
  return (_request, response, next) => {
    const writeHead = response.writeHead.bind(response) as (...head: unknown[]) => Response
    response.writeHead = (...head: unknown[]) => {
      spoil(response)
      return writeHead(...head)
    }
    next()
  }
}
