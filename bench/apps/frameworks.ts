import { createServer, type Server } from 'node:http'
import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import express from 'express'
import Fastify from 'fastify'
import { raceApp } from '../race/app.ts'
import type { Routes } from './routes.ts'
import type { Middleware, SessionRequest } from './session-kinds.ts'

/** Makes a server with the routes of the bench. */
export type Framework = (routes: Routes, middleware: Middleware) => Server | Promise<Server>

export const frameworks = {
  express({ read, change, logIn, logOut }, middleware) {
    const app = express()
    app.use(middleware as unknown as express.RequestHandler)
    app.get('/read', (request, response) => {
      response.json(read(request as SessionRequest))
    })
    app.post('/change', async (request, response) => {
      response.json(await change(request as SessionRequest))
    })
    app.post('/login', async (request, response) => {
      response.json(await logIn(request as SessionRequest))
    })
    app.post('/logout', async (request, response) => {
      response.json(await logOut(request as SessionRequest))
    })
    return createServer(app)
  },

  http({ read, change, logIn }, middleware) {
    return createServer((plain, response) => {
      const request = plain as typeof plain & SessionRequest
      const send = (body: object): void => {
        response.setHeader('Content-Type', 'application/json')
        response.end(JSON.stringify(body))
      }
      const fail = (error: unknown): void => {
        response.statusCode = 500
        response.end(String(error))
      }
      void middleware(request, response, (error?: unknown) => {
        if (error) return fail(error)
        if (request.url === '/read') return send(read(request))
        const act = request.url === '/change' ? change : logIn
        act(request).then(send, fail)
      })
    })
  },

  fastify: (routes) => fastifyApp(routes, false),
  fastifyWithSession: (routes) => fastifyApp(routes, true),

  // Express, with more routes, for `npm run race`.
  race: raceApp,
} satisfies Record<string, Framework>

async function fastifyApp({ read, change, logIn }: Routes, withSession: boolean): Promise<Server> {
  const app = Fastify()
  if (withSession) {
    await app.register(fastifyCookie)
    const secret = 'a secret of the bench, and of no app'
    await app.register(fastifySession, { secret, saveUninitialized: false, cookie: { secure: false } })
  } else {
    app.addHook('onRequest', async (request) => {
      ;(request as unknown as SessionRequest).session = {}
    })
  }
  app.get('/read', (request, reply) => reply.send(read(request as unknown as SessionRequest)))
  app.post('/change', (request) => change(request as unknown as SessionRequest))
  app.post('/login', (request) => logIn(request as unknown as SessionRequest))
  await app.ready()
  return app.server
}
