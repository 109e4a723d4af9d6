import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { createSessions } from 'coatcheck'
import session, { ExpressStore } from 'coatcheck/express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import { express5Framework, frameworks, type Middleware, type SessionRequest } from './frameworks.ts'
import { answerWithError, listen, secret, settle, Wire } from './serve.ts'

/** Both forms of the middleware, on a store to command. */
const forms: Record<string, (store: CommandedStore) => Middleware> = {
  'session(sessions)': (store) => {
    const sessions = createSessions({ store, secret, sweep: false })
    sessions.on('storeError', () => undefined)
    return session(sessions) as unknown as Middleware
  },
  'session(options)': (store) =>
    session({
      store: new ExpressStore(store),
      secret,
      resave: false,
      saveUninitialized: false,
    }) as unknown as Middleware,
}

/** What answers a request, the same each time. */
const bodies: Record<string, { method?: string; answer: (response: ServerResponse) => void }> = {
  'a few bytes': { answer: (response) => response.end('hello') },
  'many chunks': {
    answer: (response) => {
      for (let part = 0; part < 50; part++) response.write(`part ${part}\n`)
      response.end('the last part')
    },
  },
  // More than the system takes at once from a client that does not read.
  'many megabytes': { answer: (response) => response.end('a'.repeat(8 * 2 ** 20)) },
  'a HEAD': { method: 'HEAD', answer: (response) => response.setHeader('Content-Length', 5).end() },
  'a 304': { answer: (response) => response.writeHead(304, { ETag: '"1"' }).end() },
  'a writeHead': {
    answer: (response) => response.writeHead(201, { 'Content-Length': 5, 'X-Own': 'a' }).end('hello'),
  },
}

/** What a client gets of each without a session, to compare. */
const plainAnswers = new Map<(typeof bodies)[string], Promise<string>>()

const serverOf = (request: SessionRequest) => (request.socket as Socket & { server: Server }).server

/** Ways to close the connection of a request whose answer was ended just now. */
const closings: Record<string, (request: SessionRequest, response: ServerResponse) => unknown> = {
  'req.socket.destroy()': (request) => request.socket.destroy(),
  'req.socket.destroy(error)': (request) => {
    request.socket.on('error', () => undefined)
    request.socket.destroy(new Error('of the app'))
  },
  'req.socket.destroySoon()': (request) => request.socket.destroySoon(),
  'req.socket.end()': (request) => request.socket.end(),
  'res.destroy()': (_, response) => response.destroy(),
  'req.destroy()': (request) => request.destroy(),
  'server.closeAllConnections()': (request) => serverOf(request).closeAllConnections(),
  'server.close() and closeIdleConnections()': (request) => {
    serverOf(request).close()
    serverOf(request).closeIdleConnections()
  },
  'a timeout of the server': async (request) => {
    serverOf(request).setTimeout(1)
    request.socket.setTimeout(1)
    await once(request.socket, 'timeout')
    request.socket.setTimeout(0)
  },
  'a timeout of the response': async (request, response) => {
    response.setTimeout(1)
    await once(request.socket, 'timeout')
    request.socket.setTimeout(0)
  },
  // Node answers those itself, unless an answer is on its way: here by the very path that it takes.
  'a request timeout of the server': (request) => {
    const error = new Error('Request timeout')
    request.socket.emit('error', Object.assign(error, { code: 'ERR_HTTP_REQUEST_TIMEOUT' }))
  },
  'a request that cannot be read': (request) => {
    const error = new Error('Parse Error: Expected HTTP/')
    request.socket.emit('error', Object.assign(error, { code: 'HPE_INVALID_CONSTANT', bytesParsed: 9 }))
  },
}

/** Without what differs from one answer to the next, is the session's or the framework's, or is about the connection. */
const comparable = (received: string) =>
  received.replace(/^(Date|Set-Cookie|Cache-Control|Vary|X-Powered-By|Connection|Keep-Alive):.*\r\n/gim, '')

function expectedAnswer(body: (typeof bodies)[string]): Promise<string> {
  if (!plainAnswers.has(body)) plainAnswers.set(body, plainAnswer(body))
  return plainAnswers.get(body)!
}

/** What a client gets of the answer where there is no session and nobody closes anything. */
async function plainAnswer({ method = 'GET', answer }: (typeof bodies)[string]): Promise<string> {
  const handler: Middleware = (_, response) => answer(response)
  const { port } = await listen(express5Framework.listener([handler], answerWithError))
  const wire = new Wire(port)
  wire.send(method, '/', { Connection: 'close' })
  await wire.closed
  return comparable(wire.received)
}

describe.each(Object.entries(forms))('with %s,', (_form, makeSession) => {
  /** A server whose handler changes its session, and a store that holds that change back. */
  async function held(handler: Middleware, framework = express5Framework, onError = answerWithError) {
    const store = new CommandedStore()
    const changing: Middleware = (request, response, next) => {
      request.session.seen = 'yes'
      return handler(request, response, next)
    }
    const served = await listen(
      framework.listener([makeSession(store), changing], (error, request, response, next) =>
        onError(error, request, response, next),
      ),
    )
    return { ...served, store, gate: store.hold('write') }
  }

  // A plain server has no error handler but the app's.
  describe.each(frameworks.filter(({ name }) => name !== 'node:http'))('in $name,', (framework) => {
    test.each(Object.entries(bodies))(
      'an error handler that answers and calls next(error) too: %s',
      async (_, body) => {
        const destroyed = Promise.withResolvers<void>()
        const { port, gate } = await held(
          (_request, _response, next) => next(new Error('of the handler')),
          framework,
          (error, request, response, next) => {
            body.answer(response)
            const destroy = request.socket.destroy.bind(request.socket)
            request.socket.destroy = (cause) => {
              destroyed.resolve()
              return destroy(cause)
            }
            next(error)
          },
        )
        const wire = new Wire(port)
        wire.send(body.method ?? 'GET', '/')
        await gate.reached
        await destroyed.promise // by the framework
        gate.open()
        await wire.closed
        expect(comparable(wire.received)).toBe(await expectedAnswer(body))
      },
    )
  })

  describe.each(Object.entries(closings))('%s after end', (closing, close) => {
    test.each(Object.entries(bodies))('cuts nothing off: %s', async (_, body) => {
      const closed = Promise.withResolvers<void>()
      const { port, gate, store } = await held(async (request, response) => {
        body.answer(response)
        await close(request, response)
        closed.resolve()
      })
      const wire = new Wire(port)
      wire.socket.pause()
      // Closing a server leaves it to the client to close what is in use.
      const connection = closing.startsWith('server.close()') ? 'close' : 'keep-alive'
      wire.send(body.method ?? 'GET', '/', { Connection: connection })
      await gate.reached
      await closed.promise
      await settle()
      gate.open()
      await settle()
      wire.socket.resume()
      await wire.closed
      expect(comparable(wire.received)).toBe(await expectedAnswer(body))
      expect(await store.stored()).toHaveLength(1)
    })
  })

  test('what an app sends last on the connection, after its answer, goes out once', async () => {
    const faults: Error[] = []
    const { port, gate } = await held((request, response) => {
      serverOf(request).on('clientError', (error: Error) => faults.push(error))
      response.end('hello')
      request.socket.end('goodbye')
    })
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    gate.open()
    await wire.closed
    expect(wire.received).toMatch(/\r\n\r\nhellogoodbye$/)
    expect(faults).toEqual([])
  })

  describe.each(['destroy', 'destroySoon', 'end'] as const)(
    'two requests sent at once, the first of which calls req.socket.%s() after its answer:',
    (close) => {
      const long = 'a'.repeat(8 * 2 ** 20)

      test.each<[string, readonly [first: number, second: number]]>([
        ['the first is stored last', [1, 0]],
        ['the second is stored last', [0, 1]],
      ])('both get theirs whole where %s', async (_, order) => {
        const store = new CommandedStore()
        const gates = [store.hold('write'), store.hold('write')]
        const answering: Middleware = async (request, response) => {
          request.session.seen = request.url
          const isFirst = request.url === '/first'
          // Not in one batch with the first.
          if (!isFirst) await gates[0]!.reached
          response.end(`${request.url}${long}`)
          if (isFirst) request.socket[close]()
        }
        const { port } = await listen(
          express5Framework.listener([makeSession(store), answering], answerWithError),
          { keepAlive: true },
        )
        const wire = new Wire(port)
        for (const path of ['/first', '/second']) wire.send('GET', path)
        await Promise.all(gates.map(({ reached }) => reached))
        for (const index of order) gates[index]!.open()
        await wire.closed
        // Not the texts themselves: what differs would be shown.
        expect(wire.received.includes(`/first${long}HTTP/1.1 200 OK`)).toBe(true)
        expect(wire.received.endsWith(`/second${long}`)).toBe(true)
      })
    },
  )

  // What of an answer a reset throws away at the client is up to TCP, so what the server wrote is looked at.
  test('a connection that is reset after end carries the answer first', async () => {
    const reset = Promise.withResolvers<Socket>()
    const { port, gate } = await held((request, response) => {
      response.end('hello')
      request.socket.resetAndDestroy()
      reset.resolve(request.socket)
    })
    const wire = new Wire(port)
    const failed = once(wire.socket, 'error')
    wire.send('GET', '/')
    await gate.reached
    const socket = await reset.promise
    expect([socket.destroyed, socket.bytesWritten]).toEqual([false, 0])
    gate.open()
    expect(await failed).toMatchObject([{ code: 'ECONNRESET' }])
    expect(socket.bytesWritten).toBeGreaterThan('HTTP/1.1 200 OK\r\n\r\nhello'.length)
  })

  test('a connection that is closed while the rest of a stream is held carries all of it', async () => {
    const { port, store, gate } = await held(async (request, response) => {
      response.write('the first part, ')
      await once(response, 'drain')
      late = store.hold('write')
      request.session.more = 'yes'
      response.end('the last')
      request.socket.destroy()
    })
    let late = gate
    gate.open()
    const wire = new Wire(port)
    wire.send('GET', '/')
    await wire.until('the first part')
    await late.reached
    await settle()
    late.open()
    await wire.closed
    expect(wire.received).toMatch(/the last\r\n0\r\n\r\n$/)
    expect(JSON.stringify(await store.stored())).toContain('"more":"yes"')
  })

  test('a client that closes its side while the answer is held gets it whole', async () => {
    const ended = Promise.withResolvers<void>()
    const { port, gate } = await held((request, response) => {
      request.socket.once('end', () => ended.resolve())
      response.end('hello')
    })
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    wire.socket.end()
    await ended.promise
    gate.open()
    await wire.closed
    expect(wire.received).toMatch(/hello$/)
  })

  test('what cannot be read behind a request takes nothing from its answer', async () => {
    const { port, gate } = await held((_, response) => response.end('hello'))
    const wire = new Wire(port)
    wire.send('GET', '/')
    wire.socket.write('this is no request\r\n\r\n')
    await gate.reached
    await settle()
    gate.open()
    await wire.closed
    expect(wire.received).toMatch(/^HTTP\/1.1 200 [^]*\r\n\r\nhello$/)
  })

  test('an error page in place of an answer whose commit failed goes out whole, and then the connection closes', async () => {
    const { port, gate } = await held((request, response) => {
      response.end('hello')
      request.socket.destroy()
    })
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    gate.fail()
    await wire.closed
    expect(wire.received).toMatch(/^HTTP\/1.1 503 [^]*app error page: ERR_SESSION_STORE_UNAVAILABLE$/)
  })

  test('an answer that was not ended is cut off at once', async () => {
    const { port, gate } = await held((request, response) => {
      response.write('hello')
      request.socket.destroy()
    })
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    await wire.closed
    expect(wire.received).toBe('')
    gate.open()
  })

  test('a client that does not read keeps no connection from being closed again', async () => {
    const socket = Promise.withResolvers<Socket>()
    const { port, gate } = await held((request, response) => {
      response.end('a'.repeat(16 * 2 ** 20))
      request.socket.destroy()
      socket.resolve(request.socket)
    })
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    gate.open()
    await wire.until('HTTP/1.1 200 OK')
    wire.socket.pause()
    const connection = await socket.promise
    expect(connection.destroyed).toBe(false)
    connection.destroy()
    expect(connection.destroyed).toBe(true)
  })

  test('a connection that nobody closes takes the next request', async () => {
    const store = new CommandedStore()
    const answering: Middleware = (request, response) => {
      request.session.seen = request.url
      response.end(`this is ${request.url}.`)
    }
    const { port } = await listen(
      express5Framework.listener([makeSession(store), answering], answerWithError),
      { keepAlive: true },
    )
    const wire = new Wire(port)
    onTestFinished(() => void wire.socket.destroy())
    for (const path of ['/one', '/two', '/three']) {
      wire.send('GET', path)
      await wire.until(`this is ${path}.`)
    }
    // Sent at once: their answers wait for each other as well.
    for (const path of ['/four', '/five']) wire.send('GET', path)
    await wire.until('this is /five.')
    expect(await store.stored()).toHaveLength(5)
  })
})
