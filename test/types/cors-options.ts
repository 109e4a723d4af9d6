// Checked by `npm run check`, never run: what compiles with @types/cors compiles with coatcheck/cors.
import type { IncomingMessage, ServerResponse } from 'node:http'
import type connect from 'connect'
import type incumbent from 'cors'
import cors, { type CorsOptions, type CorsOptionsDelegate, type CorsRequest } from 'coatcheck/cors'
import type express from 'express'

declare const theirOptions: incumbent.CorsOptions
declare const theirDelegate: incumbent.CorsOptionsDelegate
declare const theirExpressDelegate: incumbent.CorsOptionsDelegate<express.Request>
declare const theirRequest: incumbent.CorsRequest
declare const app: express.Express
declare const connectApp: connect.Server
declare const list: string[]

export const takesTheirTypes = () => {
  cors(theirOptions)
  cors(theirDelegate)
  app.use(cors(theirExpressDelegate))
  const options: CorsOptions = theirOptions
  const delegate: CorsOptionsDelegate = theirDelegate
  const request: CorsRequest = theirRequest
  return [options, delegate, request]
}

export const namesOfTheNamespace = () => {
  const options: cors.CorsOptions = { origin: list, credentials: true }
  const delegate: cors.CorsOptionsDelegate<express.Request> = (request, callback) =>
    callback(request.ip ? null : new Error('no address'), options)
  const origin = (request: cors.CorsRequest): string | undefined => request.headers.origin
  return [delegate, origin]
}

export const optionsMayChange = () => {
  const options: CorsOptions = {}
  options.origin = /example/
  options.origin = [...list, /example/, true]
  options.methods = list
  options.optionsSuccessStatus = 200
  delete options.maxAge
  return options
}

export const originFunctions = () => {
  const annotated = (
    origin: string | undefined,
    callback: (error: Error | null, allow?: boolean) => void,
  ): void => callback(null, origin !== undefined && list.includes(origin))
  const options: CorsOptions[] = [
    { origin: annotated },
    { origin: (origin, callback) => callback(null, origin) },
    { origin: (_origin, callback) => setTimeout(() => callback(new Error('no')), 1) },
    { origin: async (_origin, callback) => callback(null, [/example/, 'null']) },
    { origin: (origin: string | undefined) => origin === 'https://app.example.com' },
  ]
  return options
}

export const middleware = (request: IncomingMessage, response: ServerResponse) => {
  app.use(cors())
  app.options('/path', cors<express.Request>())
  connectApp.use(cors({ origin: list }))
  cors()(request, response, () => undefined)
  cors()(
    { method: 'GET', headers: {} },
    { statusCode: undefined, setHeader() {}, end() {} },
    (_error?: unknown) => {},
  )
  // @ts-expect-error no such option, as there
  cors({ optionSuccessStatus: 200 })
}
