import { createServer, type Server } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import express from 'express'
import type { Routes } from '../apps/routes.ts'
import type { BenchSession, Middleware, SessionRequest } from '../apps/session-kinds.ts'

/** Where a request waits in its handler until another one lets it go on. */
class Gate {
  readonly reached = Promise.withResolvers<void>()
  readonly opened = Promise.withResolvers<void>()
}

/**
 * The app that is raced, the same for every kind of session. `POST /login`, `POST /logout`, `GET /session` answers with all
 * that is in it, `POST /keys/KEY/VALUE` puts something into it, `POST /count` counts one up, `POST /slow/GATE` does so and waits at a gate of that name:
 * `GET /gates/GATE` is answered once it is there, `POST /gates/GATE` lets it go on.
 */
export function raceApp({ logIn, logOut }: Routes, middleware: Middleware): Server {
  const app = express()
  const gates = new Map<string, Gate>()
  const gateOf = (name: string): Gate => {
    const gate = gates.get(name) ?? new Gate()
    gates.set(name, gate)
    return gate
  }
  // Before the sessions: who works a gate is no visitor.
  app.get('/gates/:gate', async (request, response) => {
    await gateOf(request.params.gate).reached.promise
    response.json({})
  })
  app.post('/gates/:gate', (request, response) => {
    gateOf(request.params.gate).opened.resolve()
    response.json({})
  })

  app.use(middleware as unknown as express.RequestHandler)
  app.get('/session', (request, response) => {
    response.json((request as SessionRequest).session)
  })
  app.post('/login', async (request, response) => {
    response.json(await logIn(request as SessionRequest))
  })
  app.post('/logout', async (request, response) => {
    response.json(await logOut(request as SessionRequest))
  })
  app.post('/keys/:key/:value', async (request, response) => {
    await put(request as SessionRequest, request.params.key, request.params.value)
    response.json({})
  })
  app.post('/count', async (request, response) => {
    await countUp(request as SessionRequest)
    response.json({})
  })
  app.post('/slow/:gate', async (request, response) => {
    await put(request as SessionRequest, 'slow', 'yes')
    const gate = gateOf(request.params.gate)
    gate.reached.resolve()
    await gate.opened.promise
    response.json({})
  })
  return createServer(app)
}

/** Changes a session a turn of the event loop after it was opened, as a handler does that asks a database between. */
async function put({ session }: SessionRequest, key: string, value: string): Promise<void> {
  await setImmediate()
  Object.assign(session, { [key]: value })
}

/** Counts, with a turn of the event loop between reading and writing; or by the method that is made for it, where there is one. */
async function countUp({ session }: SessionRequest): Promise<void> {
  const from = (counted: BenchSession): number => (counted as { count?: number }).count ?? 0
  if (session.update) return session.update((fresh) => void Object.assign(fresh, { count: from(fresh) + 1 }))
  const before = from(session)
  await setImmediate()
  Object.assign(session, { count: before + 1 })
}
