import '../faked-timers.ts'
import type { ServerResponse } from 'node:http'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import { listen, secret, settle, Wire } from './serve.ts'

beforeAll(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterAll(() => {
  vi.useRealTimers()
})

describe('an error that the session middleware passes on after the handler has answered', () => {
  /** A server that waits for the session as a promise, as serverless frameworks do. */
  async function serveAwaiting(onError: (error: unknown, response: ServerResponse) => void, answers = false) {
    const store = new CommandedStore()
    const sessions = createSessions({ store, secret, sweep: false })
    sessions.on('storeError', () => undefined)
    const middleware = session(sessions)
    const gone = Promise.withResolvers<void>()
    const served = await listen((request, response) => {
      request.socket.once('close', () => gone.resolve())
      const begun = new Promise<void>((resolve) => {
        middleware(request, response, (error) => {
          if (error === undefined) return resolve()
          onError(error, response)
          if (answers) response.writeHead(500).end('of the app')
        })
      })
      void begun.then(() => {
        Object.assign((request as unknown as { session: object }).session, { seen: 'yes' })
        response.end('hello')
      })
    })
    return { ...served, store, gone: gone.promise }
  }

  test('is answered with a plain 503 in place of an app that never does', async () => {
    const passedOn = Promise.withResolvers<unknown>()
    const { port, store } = await serveAwaiting(passedOn.resolve)
    store.down.add('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    expect(await passedOn.promise).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    vi.advanceTimersByTime(1_999)
    await settle()
    expect(wire.received).toBe('')
    vi.advanceTimersByTime(1)
    await wire.closed
    expect(wire.received).toMatch(/^HTTP\/1.1 503 [^]*The session could not be stored. Please try again.\n$/)
  })

  test('is answered by an app to nobody after that, and nothing throws at its error handler', async () => {
    const late = Promise.withResolvers<ServerResponse>()
    const { port, store } = await serveAwaiting((_error, response) => late.resolve(response))
    store.down.add('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    const response = await late.promise
    vi.advanceTimersByTime(2_000)
    await wire.closed
    response.statusCode = 500
    response.setHeader('X-Own', 'a').appendHeader('X-Own', 'b').removeHeader('X-Own')
    response.writeHead(500, { 'X-Own': 'c' }).end('of the app')
    expect(response.headersSent).toBe(true)
    expect(wire.received).toMatch(/^HTTP\/1.1 503 [^]*The session could not be stored. Please try again.\n$/)
  })

  test('is left to an app that answers it', async () => {
    const passedOn = Promise.withResolvers<unknown>()
    const { port, store } = await serveAwaiting(passedOn.resolve, true)
    store.down.add('write')
    const wire = new Wire(port)
    wire.send('GET', '/', { Connection: 'close' })
    await passedOn.promise
    vi.advanceTimersByTime(20_000)
    await wire.closed
    expect(wire.received).toMatch(/^HTTP\/1.1 500 [^]*of the app/)
  })

  test('is answered to nobody once the client has gone', async () => {
    const passedOn = Promise.withResolvers<unknown>()
    const { port, store, gone } = await serveAwaiting(passedOn.resolve)
    store.down.add('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    await passedOn.promise
    wire.socket.resetAndDestroy()
    await gone
    vi.advanceTimersByTime(2_000)
    const next = new Wire(port)
    store.down.clear()
    next.send('GET', '/')
    await next.until('hello')
    expect(wire.received).toBe('')
  })
  // @fastify/middie does, whose state has gone to another request by then.
  describe('where next() throws,', () => {
    const thrown = new Error('of next')

    async function serveThrowing(answer: (response: ServerResponse) => void) {
      const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
      onTestFinished(() => warn.mockRestore())
      const { port, store } = await serveAwaiting((_error, response) => {
        answer(response)
        throw thrown
      })
      store.down.add('write')
      const wire = new Wire(port)
      wire.send('GET', '/', { Connection: 'close' })
      await wire.closed
      expect(warn.mock.calls).toEqual([['of next', expect.objectContaining({ type: 'Error' })]])
      return wire.received
    }

    test('is answered with the plain 503 at once', async () => {
      expect(await serveThrowing(() => undefined)).toMatch(
        /^HTTP\/1.1 503 [^]*The session could not be stored. Please try again.\n$/,
      )
    })

    test('leaves an answer that it ended before as it is', async () => {
      const received = await serveThrowing((response) => response.writeHead(500).end('of the app'))
      expect(received).toMatch(/^HTTP\/1.1 500 [^]*of the app/)
    })

    test('cuts off an answer that it began before', async () => {
      const received = await serveThrowing((response) => response.writeHead(500).write('a part'))
      expect(received).not.toMatch(/0\r\n\r\n$/)
    })
  })
})
