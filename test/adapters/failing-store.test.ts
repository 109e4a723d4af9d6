import { setImmediate as turn } from 'node:timers/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { SessionError } from 'coatcheck'
import { express4Framework, express5Framework, frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve, Wire } from './serve.ts'

const changed =
  (answer: Middleware): Middleware =>
  (request, response, next) => {
    request.session.seen = 'yes'
    return answer(request, response, next)
  }

const unavailable = expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
const unavailablePage = 'app error page: ERR_SESSION_STORE_UNAVAILABLE'

/** A cookie of a session that holds `{ seen: 'yes' }`. */
const signedUp = async (url: string) => cookieOf(await fetch(url))

describe.each(frameworks)('in $name, when the store fails to save,', (framework) => {
  test.each<[string, Middleware]>([
    ['end', (_, response) => response.end('done')],
    ['writeHead', (_, response) => response.writeHead(201, { Location: '/made', 'X-Own': 'a' }).end('done')],
    [
      'write and end',
      (_, response) => {
        response.write('do')
        response.end('ne')
      },
    ],
    ['a redirect', (_, response) => response.writeHead(302, 'Found', { Location: '/' }).end()],
  ])('an answer by %s is taken back, and the app answers with the error', async (_, answer) => {
    const { url, store, errors } = await serve({
      framework,
      before: [
        (_request, response, next) => {
          response.setHeader('Access-Control-Allow-Origin', 'https://app.example.com')
          response.setHeader('Content-Security-Policy', "default-src 'self'")
          response.setHeader('Vary', 'Origin')
          next()
        },
      ],
      handler: changed((request, response, next) => {
        for (const name of ['Content-Type', 'ETag', 'Location', 'Content-Encoding', 'Last-Modified']) {
          response.setHeader(name, 'of the answer taken back')
        }
        response.setHeader('Content-Length', 4)
        response.setHeader('Cache-Control', 'public, max-age=60')
        response.setHeader('Set-Cookie', 'theirs=1')
        return answer(request, response, next)
      }),
    })
    store.down.add('write')
    const response = await fetch(url, { redirect: 'manual' })
    expect(response.status).toBe(503)
    expect(response.statusText).toBe('Service Unavailable')
    expect(await response.text()).toBe(unavailablePage)
    expect(errors).toEqual([unavailable])
    expect(errors[0]).toBeInstanceOf(SessionError)
    const headers = Object.fromEntries(response.headers)
    expect(headers).toMatchObject({
      'access-control-allow-origin': 'https://app.example.com',
      'content-security-policy': "default-src 'self'",
      vary: 'Origin, Cookie',
    })
    expect(JSON.stringify(headers)).not.toMatch(/taken back|max-age|set-cookie|theirs/)
    expect(await store.stored()).toEqual([])
  })

  test('the connection stays usable after the error answer', async () => {
    const { port, store } = await serve({
      framework,
      keepAlive: true,
      handler: changed((_, response) => {
        response.setHeader('Content-Length', 4)
        response.end('done')
      }),
    })
    store.down.add('write')
    const wire = new Wire(port)
    wire.send('GET', '/')
    await wire.until(unavailablePage)
    store.down.clear()
    wire.send('GET', '/')
    await wire.until('\r\n\r\ndone')
    expect(wire.received.match(/^HTTP.*/gm)).toEqual(['HTTP/1.1 503 Service Unavailable', 'HTTP/1.1 200 OK'])
  })

  test('Node takes the answer for sent while it is held, and not any more once it was taken back', async () => {
    const flags: unknown[] = []
    const flagOf = (response: object): unknown => (response as { _headerSent?: unknown })._headerSent
    const { url, store } = await serve({
      framework,
      handler: changed((_, response) => {
        flags.push(flagOf(response))
        response.end('done')
        flags.push(flagOf(response))
      }),
      onError: (_error, _request, response) => {
        flags.push(flagOf(response))
        response.end('sorry')
      },
    })
    store.down.add('write')
    expect(await (await fetch(url)).text()).toBe('sorry')
    // By it Node decides whether a request that takes too long still gets a 408.
    expect(flags).toEqual([false, true, false])
  })

  test('an error handler that sets no status does not claim success', async () => {
    const { url, store } = await serve({
      framework,
      handler: changed((_, response) => response.writeHead(201).end('done')),
      onError: (_error, _request, response) => response.end('sorry'),
    })
    store.down.add('write')
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([503, 'sorry'])
  })

  test('a handler that is still writing gives a plain 503, and the app is told', async () => {
    const told = Promise.withResolvers<unknown>()
    const { url, store } = await serve({
      framework,
      handler: changed((_, response) => void response.writeHead(200, { ETag: '"1"' }).write('a part')),
      onError: (error) => told.resolve(error),
    })
    store.down.add('write')
    const response = await fetch(url)
    expect([response.status, response.headers.get('etag')]).toEqual([503, null])
    expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(await response.text()).toBe('The session could not be stored. Please try again.\n')
    expect(cookieOf(response)).toBe('')
    expect(await told.promise).toEqual(unavailable)
  })

  test('HEAD of a stream gives a plain 503 too', async () => {
    const { url, store } = await serve({
      framework,
      handler: changed((_, response) => void response.write('a part')),
    })
    store.down.add('write')
    expect((await fetch(url, { method: 'HEAD' })).status).toBe(503)
  })

  test.each(['a stream', 'a generator'])('a pipeline from %s lets go of its source', async (kind) => {
    const released = Promise.withResolvers<void>()
    const { url, store } = await serve({
      framework,
      handler: changed((_, response) => {
        async function* endless() {
          try {
            while (true) {
              yield Buffer.alloc(65_536)
              await turn()
            }
          } finally {
            released.resolve()
          }
        }
        const source = kind === 'a stream' ? Readable.from(endless()) : endless
        pipeline(source as () => AsyncIterable<Buffer>, response).catch(() => undefined)
      }),
    })
    store.down.add('write')
    expect((await fetch(url)).status).toBe(503)
    await released.promise
  })

  test.each([500, 502])('an answer of %i goes out as it is, without a cookie', async (status) => {
    const { url, store, errors } = await serve({
      framework,
      handler: changed((_, response) =>
        response.writeHead(status, { 'X-Own': 'a' }).end('an own error page'),
      ),
    })
    store.down.add('write')
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([status, 'an own error page'])
    expect([response.headers.get('x-own'), cookieOf(response)]).toEqual(['a', ''])
    expect(errors).toEqual([])
  })

  test('a handler that awaits save() gets the error, and its app answers once', async () => {
    const { url, store, errors } = await serve({
      framework,
      handler: changed(async (request, response) => {
        await request.session.save()
        response.end('done')
      }),
    })
    store.down.add('write')
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([503, unavailablePage])
    expect(errors).toEqual([unavailable])
  })

  test('data that cannot be stored is the 500 of whoever put it there', async () => {
    const { url, errors } = await serve({
      framework,
      handler: (request, response) => {
        request.session.big = 1n
        response.end('done')
      },
    })
    expect((await fetch(url)).status).toBe(500)
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_DATA' })])
  })

  test('a request that only reads is not failed by a touch that fails', async () => {
    const { url, store } = await serve({
      framework,
      sessions: { lifetime: { idle: '1h' }, touchAfter: 1 },
      handler: (request, response) => {
        request.session.seen ??= 'yes'
        response.end(String(request.session.seen))
      },
    })
    const cookie = await signedUp(url)
    // Past touchAfter, by the store's clock.
    vi.useFakeTimers({ now: Date.now() + 5, toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    store.down.add('write')
    const response = await fetch(url, { headers: { cookie } })
    expect([response.status, await response.text()]).toEqual([200, 'yes'])
    expect(store.writes.map(({ type }) => type)).toEqual(['insert', 'touch'])
  })
})

describe.each(frameworks)('in $name, when the store is down as a request comes,', (framework) => {
  test('the request is a typed 503, the handler is not reached, and the cookie works again later', async () => {
    let reached = 0
    const { url, store, errors } = await serve({
      framework,
      handler: changed((_, response) => {
        reached++
        response.end('done')
      }),
    })
    const cookie = await signedUp(url)
    store.down.add('find')
    const response = await fetch(url, { headers: { cookie } })
    expect([response.status, cookieOf(response), reached]).toEqual([503, '', 1])
    expect(errors).toEqual([unavailable])
    store.down.clear()
    expect((await fetch(url, { headers: { cookie } })).status).toBe(200)
  })

  test('the handler runs with an empty session if the app chose that, and nothing is forgotten', async () => {
    const { url, store, errors } = await serve({
      framework,
      session: { whenUnavailable: 'anonymous' },
      handler: (request, response) => {
        if (request.url === '/set') request.session.seen = 'yes'
        response.end(JSON.stringify(request.session))
      },
    })
    const cookie = await signedUp(`${url}/set`)
    store.down.add('find')
    const read = await fetch(url, { headers: { cookie } })
    expect([read.status, await read.text(), cookieOf(read)]).toEqual([200, '{}', ''])
    const write = await fetch(`${url}/set`, { headers: { cookie } })
    expect([write.status, cookieOf(write)]).toEqual([503, ''])
    expect(errors).toEqual([unavailable])
    store.down.clear()
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('{"seen":"yes"}')
    expect(store.writes).toHaveLength(1)
  })
})

describe.each([express5Framework, express4Framework])(
  'in $name without an error handler of the app',
  (framework) => {
    test('a failing store is a 503', async () => {
      const { url, store } = await serve({
        framework,
        handler: changed((_, response) => response.end('done')),
        onError: (error, _request, _response, next) => next(error),
      })
      store.down.add('write')
      expect((await fetch(url)).status).toBe(503)
    })
  },
)
