import { createServer } from 'node:http'
import express from 'express'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { describe, expect, onTestFinished, test } from 'vitest'
import { forms, served, Visitor } from './served.ts'

type Bag = { name?: string } & Record<'reload' | 'save', (done: (error?: unknown) => void) => void>

describe.each(Object.entries(forms))('%s', (_form, makeSession) => {
  test('socket.io: a socket has the session of the browser, reads it afresh, and stores what it changes', async () => {
    const session = makeSession()
    const app = express()
    app.use(session)
    app.post('/name/:name', (request, response) => {
      Object.assign(request.session, { name: request.params.name })
      response.end()
    })
    app.get('/name', (request, response) => {
      response.json((request.session as Bag).name ?? null)
    })
    const server = createServer(app)
    const sockets = new Server(server)
    sockets.engine.use(session)
    sockets.on('connection', (socket) => {
      const { session: bag } = socket.request as unknown as { session: Bag }
      socket.on('look', (answer: (name: unknown) => void) => {
        bag.reload((error) => answer(error ? 'failed' : (bag.name ?? null)))
      })
      socket.on('rename', (name: string, answer: (error?: unknown) => void) => {
        bag.reload(() => {
          bag.name = name
          bag.save((error) => answer(error ? 'failed' : null))
        })
      })
    })
    const origin = await served(server)
    onTestFinished(() => sockets.close())

    const visitor = new Visitor(origin)
    await visitor.ask('/name/Ada', { method: 'POST' })
    const socket = io(origin, { extraHeaders: { cookie: visitor.cookie }, reconnection: false })
    onTestFinished(() => void socket.close())
    expect(await socket.emitWithAck('look')).toBe('Ada')
    await visitor.ask('/name/Grace', { method: 'POST' })
    expect(await socket.emitWithAck('look')).toBe('Grace')
    expect(await socket.emitWithAck('rename', 'Edsger')).toBeNull()
    expect(await (await visitor.ask('/name')).json()).toBe('Edsger')
  })
})
