import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import type { Session } from 'coatcheck'

/** A session as these tests use it: any data, and the methods. */
export type SessionBag = Session & Record<string, unknown>

/** A request that went through the session middleware. */
export type SessionRequest = IncomingMessage & { session: SessionBag; sessionID: string; secure?: boolean }

export type Next = (error?: unknown) => void
export type Middleware = (request: SessionRequest, response: ServerResponse, next: Next) => unknown
export type ErrorMiddleware = (
  error: unknown,
  request: SessionRequest,
  response: ServerResponse,
  next: Next,
) => unknown

/** One of the frameworks that the adapter serves, reduced to what they have in common. */
export interface Framework {
  readonly name: string
  /** A listener that runs middleware in order, and `onError` for what is thrown, rejected or passed to `next`. */
  listener(stack: readonly Middleware[], onError: ErrorMiddleware): RequestListener
}

export const express5Framework: Framework = {
  name: 'Express 5',
  listener(stack, onError) {
    const app = express()
    for (const middleware of stack) app.use(middleware as unknown as express.RequestHandler)
    app.use(onError as unknown as express.ErrorRequestHandler)
    return app
  },
}

export const express4Framework: Framework = {
  name: 'Express 4',
  listener(stack, onError) {
    const app = express4()
    for (const middleware of stack)
      app.use(passingRejections(middleware) as unknown as express.RequestHandler)
    app.use(onError as unknown as express.ErrorRequestHandler)
    return app
  },
}

const connectFramework: Framework = {
  name: 'connect',
  listener(stack, onError) {
    const app = connect()
    for (const middleware of stack)
      app.use(passingRejections(middleware) as unknown as connect.NextHandleFunction)
    // connect tells error handlers by their four parameters.
    app.use((error: unknown, request: IncomingMessage, response: ServerResponse, next: Next) => {
      void onError(error, request as SessionRequest, response, next)
    })
    return app
  },
}

const plainFramework: Framework = {
  name: 'node:http',
  listener(stack, onError) {
    const guarded = stack.map(passingRejections)
    return (request, response) => {
      let index = 0
      const next: Next = (error) => {
        if (error !== undefined) return void onError(error, request as SessionRequest, response, next)
        const middleware = guarded[index++]
        if (middleware) middleware(request as SessionRequest, response, next)
        else response.writeHead(404).end()
      }
      next()
    }
  },
}

export const frameworks: readonly Framework[] = [
  express5Framework,
  express4Framework,
  connectFramework,
  plainFramework,
]

/** What Express 5 does by itself: what a handler throws, and what its promise is rejected with, goes to `next`. */
function passingRejections(middleware: Middleware): Middleware {
  return (request, response, next) => {
    void (async () => middleware(request, response, next))().catch(next)
  }
}
