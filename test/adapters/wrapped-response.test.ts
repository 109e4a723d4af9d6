import { Readable, Transform } from 'node:stream'
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve } from './serve.ts'

type Method = (...parameters: unknown[]) => unknown

/**
 * Wraps a response as the compression package does: `write`, `end` and `on` are replaced, the body goes through a
 * stream that is made as the head is written, and those who wait for 'drain' are moved to that stream.
 */
const shouting: Middleware = (_, response, next) => {
  const methods = response as unknown as Record<'write' | 'end' | 'on', Method>
  const { write, end, on } = methods
  let waiting: [string, Method][] = []
  let stream: Transform | undefined
  let ended = false

  onHead(response, () => {
    response.setHeader('Content-Encoding', 'shouting')
    response.removeHeader('Content-Length')
    stream = new Transform({
      highWaterMark: 65_536,
      transform: (chunk: Buffer, _encoding, done) => done(null, chunk.toString().toUpperCase()),
    })
    for (const [event, listener] of waiting) stream.on(event, listener)
    waiting = []
    stream.on('data', (chunk) => {
      if (write.call(response, chunk) === false) stream!.pause()
    })
    stream.on('end', () => end.call(response))
    on.call(response, 'drain', () => stream!.resume())
  })

  methods.write = (chunk) => {
    if (ended) return false
    if (!response.headersSent) response.writeHead(response.statusCode)
    return stream!.write(chunk)
  }
  methods.end = (chunk) => {
    if (ended) return response
    if (!response.headersSent) response.writeHead(response.statusCode)
    ended = true
    if (chunk === undefined) stream!.end()
    else stream!.end(chunk)
    return response
  }
  methods.on = (event, listener) => {
    if (event !== 'drain') return on.call(response, event, listener)
    if (stream) stream.on('drain', listener as Method)
    else waiting.push(['drain', listener as Method])
    return response
  }
  next()
}

/** Calls a listener right before the head is written, as the on-headers package does. */
function onHead(response: ServerResponse, listener: () => void): void {
  const { writeHead } = response as unknown as { writeHead: Method }
  let called = false
  const wrapped: Method = (...parameters) => {
    if (!called) {
      called = true
      listener()
    }
    return writeHead.apply(response, parameters)
  }
  Object.assign(response, { writeHead: wrapped })
}

/** Opens the session before whoever wraps the response later. */
const opening: Middleware = (request, _, next) => {
  void request.session
  next()
}

const places = [
  ['before the session middleware', { before: [shouting] }],
  ['after the session middleware', { after: [shouting] }],
  ['after the session was opened', { after: [opening, shouting] }],
] as const

describe.each(frameworks)('in $name,', (framework) => {
  describe.each(places)('a response that was wrapped %s', (place, stack) => {
    const ways: Record<string, Middleware> = {
      end: (_, response) => response.end('hello'),
      'write and end': (_, response) => {
        response.write('hel')
        response.end('lo')
      },
      'writeHead and end': (_, response) =>
        response.writeHead(200, { 'Content-Type': 'text/plain' }).end('hello'),
      pipe: (_, response) => Readable.from(['h', 'e', 'l', 'l', 'o']).pipe(response),
    }

    test.each(Object.entries(ways))('answers by %s, after the commit', async (_, answer) => {
      const { url, store } = await serve({
        framework,
        ...stack,
        handler: (request, response, next) => {
          request.session.seen = 'yes'
          return answer(request, response, next)
        },
      })
      const response = await fetch(url)
      expect(response.headers.get('content-encoding')).toBe('shouting')
      expect(await response.text()).toBe('HELLO')
      expect(cookieOf(response)).toMatch(/^sid=s/)
      expect(await store.stored()).toEqual([{ seen: 'yes' }])
    })

    test('sends a big stream whole', async () => {
      const chunk = 'a'.repeat(50_000)
      const { url, store } = await serve({
        framework,
        ...stack,
        handler: (request, response) => {
          request.session.seen = 'yes'
          Readable.from(Array.from({ length: 40 }, () => chunk)).pipe(response)
        },
      })
      const gate = store.hold('write')
      const answering = fetch(url)
      await gate.reached
      gate.open()
      const text = await (await answering).text()
      expect([text.length, /^A+$/.test(text)]).toEqual([2_000_000, true])
    })

    test('is a 503 that can be read if the store fails', async () => {
      const { url, store } = await serve({
        framework,
        ...stack,
        handler: (request, response) => {
          request.session.seen = 'yes'
          response.setHeader('ETag', '"1"')
          response.end('hello')
        },
      })
      store.down.add('write')
      const response = await fetch(url)
      expect([response.status, cookieOf(response), response.headers.get('etag')]).toEqual([503, '', null])
      // What wraps from outside wrapped the answer that was taken back; what lies between us and Node stays.
      const shouts = place === 'before the session middleware'
      expect(response.headers.get('content-encoding')).toBe(shouts ? 'shouting' : null)
      expect(await response.text()).toMatch(
        shouts ? /^APP ERROR PAGE/ : /^app error page|^The session could not/,
      )
    })
  })

  test('a header that is set as the head is written goes along with our cookie', async () => {
    const { url } = await serve({
      framework,
      after: [
        (_, response, next) => {
          onHead(response, () => response.setHeader('X-Response-Time', '1'))
          next()
        },
      ],
      handler: (request, response) => {
        request.session.seen = 'yes'
        response.end('hello')
      },
    })
    const response = await fetch(url)
    expect(response.headers.get('x-response-time')).toBe('1')
    expect(cookieOf(response)).toMatch(/^sid=s/)
  })

  test('a response whose state is plain properties, as stand-ins have, is answered once all is stored', async () => {
    const { url, store, errors } = await serve({
      framework,
      before: [
        (_, response, next) => {
          const end = response.end.bind(response) as (...parameters: unknown[]) => typeof response
          Object.defineProperty(response, 'writableEnded', {
            value: false,
            writable: true,
            configurable: true,
          })
          response.end = ((...parameters: unknown[]) => {
            Object.assign(response, { writableEnded: true })
            return end(...parameters)
          }) as typeof response.end
          next()
        },
      ],
      handler: (request, response) => {
        request.session.seen = 'yes'
        response.end('hello')
      },
    })
    expect(await (await fetch(url)).text()).toBe('hello')
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
    expect(errors).toEqual([])
  })
})
