// An app on the old table: on the incumbents or on coatcheck, by the packages that MODULES names. The rest is the same.
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Pool } from 'mysql2/promise'
import type { Handler, SessionModule } from './express-session-types.ts'

const require = createRequire(import.meta.url)
const [sessionModule, storeModule] = process.env['MODULES']!.split(' ') as [string, string]
const session = require(sessionModule) as SessionModule
const Store = (
  require(storeModule) as (
    session: SessionModule,
  ) => new (options: object, pool: Pool) => { onReady(): Promise<void> }
)(session)
const { createPool } = require('mysql2/promise') as typeof import('mysql2/promise')

const app = express()
const store = new Store({}, createPool(process.env['DATABASE_URL']!))
app.use(
  session({
    store,
    secret: 'the secret of both apps',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000 },
  }) as never,
)

const signIn: Handler = (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error)
    request.session['user'] = request.url!.split('/').at(-1)
    request.session['changes'] = {}
    return request.session.save((failure) => (failure ? next(failure) : response.end('signed in')))
  })
}
const change: Handler = (request, response) => {
  const [key, value] = request.url!.split('/').slice(-2) as [string, string]
  if (!request.session['user']) {
    response.statusCode = 401
    return response.end('sign in first')
  }
  const changes = request.session['changes'] as Record<string, string>
  changes[key] = value
  return request.session.save(() => response.end('changed'))
}
const signOut: Handler = (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.end('signed out')))
}
const look: Handler = (request, response) => {
  const { user = null, changes = null } = request.session
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ user, changes }))
}
app.post('/sign-in/:user', signIn as never)
app.post('/change/:key/:value', change as never)
app.post('/sign-out', signOut as never)
app.get('/look', look as never)

await store.onReady()
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`)
})
process.once('SIGTERM', () => process.exit())
