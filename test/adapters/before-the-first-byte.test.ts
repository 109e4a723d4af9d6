import { setImmediate as turn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { express5Framework, frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve, settle, Wire } from './serve.ts'

const having =
  (answer: Middleware): Middleware =>
  (request, response, next) => {
    request.session.seen = 'yes'
    return answer(request, response, next)
  }

describe.each(frameworks)('in $name,', (framework) => {
  test.each<[string, Middleware]>([
    ['end', (_, response) => response.end('body')],
    ['write', (_, response) => response.write('body')],
    ['writeHead', (_, response) => response.writeHead(200, { 'X-A': 'b' }).end('body')],
    ['flushHeaders', (_, response) => response.flushHeaders()],
    ['pipe', (_, response) => Readable.from(['body']).pipe(response)],
    ['a redirect', (_, response) => response.writeHead(302, { Location: '/' }).end('body')],
  ])('%s puts no byte on the wire before the store has answered', async (_, answer) => {
    const { port, store } = await serve({ framework, handler: having(answer) })
    const gate = store.hold('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    await settle()
    expect(wire.received).toBe('')
    gate.open()
    await wire.until('\r\n\r\n')
    expect(wire.received).toContain('Set-Cookie: sid=s')
  })

  test('a client that leaves before the answer still has its change stored', async () => {
    const gone = Promise.withResolvers<void>()
    const { port, store, errors } = await serve({
      framework,
      handler: having(async (request, response) => {
        request.socket.once('close', () => gone.resolve())
        wire.socket.destroy()
        await gone.promise
        await turn()
        response.end('to nobody')
      }),
    })
    const gate = store.hold('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    await gate.reached
    gate.open()
    await settle()
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
    expect(errors).toEqual([])
  })

  test.each(['opens', 'fails'] as const)(
    'a client that leaves while a commit is under way that %s',
    async (end) => {
      const gone = Promise.withResolvers<void>()
      const { port, url, store, errors } = await serve({
        framework,
        handler: having((request, response) => {
          request.socket.once('close', () => gone.resolve())
          response.write('to ')
          response.end('nobody')
        }),
      })
      const gate = store.hold('write')
      const wire = new Wire(port)
      wire.send('GET', '/')
      await gate.reached
      // A reset, because one that merely closes its side may still be reading.
      wire.socket.resetAndDestroy()
      await gone.promise
      await settle()
      if (end === 'opens') gate.open()
      else gate.fail()
      await settle()
      expect(await store.stored()).toEqual(end === 'opens' ? [{ seen: 'yes' }] : [])
      expect(errors).toEqual([])
      expect((await fetch(url)).status).toBe(200) // and the server goes on
    },
  )

  test('a handler that answers twice fails as it would without sessions', async () => {
    const answerTwice: Middleware = (_, response) => {
      response.setHeader('Content-Type', 'text/plain')
      response.end('first')
      response.setHeader('Content-Type', 'text/html')
      response.end('second')
    }
    const withSession = await serve({ framework, handler: having(answerTwice) })
    const without = await serve({ framework, handler: answerTwice })
    for (const { url, errors } of [withSession, without]) {
      const response = await fetch(url)
      expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/plain'])
      expect(await response.text()).toBe('first')
      expect(errors).toEqual([expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' })])
    }
  })

  test.each<[string, Middleware]>([
    ['setHeader', (_, response) => response.setHeader('X-Late', '1')],
    ['appendHeader', (_, response) => response.appendHeader('X-Late', '1')],
    ['removeHeader', (_, response) => response.removeHeader('X-Late')],
    ['writeHead', (_, response) => response.writeHead(500)],
  ])('%s throws ERR_HTTP_HEADERS_SENT after end, while the answer is held', async (_, act) => {
    const { url, errors, store } = await serve({
      framework,
      handler: having((request, response, next) => {
        response.end('held')
        expect([response.headersSent, response.writableEnded]).toEqual([true, true])
        act(request, response, next)
      }),
    })
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([200, 'held'])
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_HTTP_HEADERS_SENT' })])
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
  })

  test('a second end is harmless, and what it says is not sent', async () => {
    const called = Promise.withResolvers<void>()
    const { url } = await serve({
      framework,
      handler: having((_, response) => {
        response.end('first')
        response.end('second', () => called.resolve())
      }),
    })
    expect(await (await fetch(url)).text()).toBe('first')
    await called.promise
  })

  test('a status that is set while the answer is held does not change it', async () => {
    const { url } = await serve({
      framework,
      handler: having((_, response) => {
        response.statusCode = 201
        response.end('held')
        response.statusCode = 500
      }),
    })
    expect((await fetch(url)).status).toBe(201)
  })

  test.each<[string, Middleware, string]>([
    [
      'a chunk of the wrong type',
      (_, response) => response.end(42 as unknown as string),
      'ERR_INVALID_ARG_TYPE',
    ],
    ['a status that is none', (_, response) => response.writeHead(99).end(), 'ERR_HTTP_INVALID_STATUS_CODE'],
    [
      'a header with a line break',
      (_, response) => response.writeHead(200, { 'X-A': 'a\r\nSet-Cookie: b' }).end(),
      'ERR_INVALID_CHAR',
    ],
  ])('%s is an error of the handler, not of the process', async (_, answer, code) => {
    const { url, errors } = await serve({ framework, handler: having(answer) })
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([500, `app error page: ${code}`])
    expect(cookieOf(response)).toMatch(/^sid=s/) // the session was stored: its browser must hear of it
    expect(errors).toEqual([expect.objectContaining({ code })])
  })
})

test('a method of the response that someone replaced is theirs again after the commit', async () => {
  const headers: string[] = []
  const { url } = await serve({
    framework: express5Framework,
    before: [
      (_, response, next) => {
        const { setHeader } = response
        response.setHeader = function (name, value) {
          headers.push(name)
          return setHeader.call(this, name, value)
        }
        next()
      },
    ],
    handler: having(async (_, response) => {
      response.write('held')
      await new Promise((resolve) => response.once('drain', resolve))
      expect(Object.hasOwn(response, 'setHeader')).toBe(true)
      response.end()
    }),
  })
  const response = await fetch(url)
  expect([response.status, await response.text(), cookieOf(response)]).toEqual([
    200,
    'held',
    expect.stringMatching(/^sid=/),
  ])
  expect(headers).toContain('Cache-Control')
})
