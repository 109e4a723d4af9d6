import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve, Wire } from './serve.ts'

const get = (url: string, init?: RequestInit) => fetch(url, { redirect: 'manual', ...init })

/** Sets a value of the session, then answers in some way. */
function having(answer: Middleware): Middleware {
  return (request, response, next) => {
    if (request.url === '/read') return void response.end(String(request.session.seen))
    request.session.seen = 'yes'
    return answer(request, response, next)
  }
}

/** 3 MB, of chunks of many sizes. */
function* bigChunks(): Generator<Buffer> {
  for (let size = 1; size < 250_000; size = Math.ceil(size * 1.1)) yield Buffer.alloc(size, size % 251)
}

describe.each(frameworks)('in $name, a session is stored by every way of answering:', (framework) => {
  const ways: Record<string, { answer: Middleware; body: string; status?: number }> = {
    'end without a body': { answer: (_, response) => response.end(), body: '' },
    'end with a body': { answer: (_, response) => response.end('hello'), body: 'hello' },
    'end with an encoding': { answer: (_, response) => response.end('aGVsbG8=', 'base64'), body: 'hello' },
    'write and end': {
      answer: (_, response) => {
        response.write('one ')
        response.write('two ')
        response.end('three')
      },
      body: 'one two three',
    },
    'write and end in later turns': {
      answer: async (_, response) => {
        response.write('one ')
        await new Promise((resolve) => setImmediate(resolve))
        response.write('two')
        await new Promise((resolve) => setImmediate(resolve))
        response.end()
      },
      body: 'one two',
    },
    'writeHead and end': {
      answer: (_, response) => response.writeHead(201).end('made'),
      body: 'made',
      status: 201,
    },
    '204': { answer: (_, response) => response.writeHead(204).end(), body: '', status: 204 },
    '304': {
      answer: (_, response) => {
        response.statusCode = 304
        response.setHeader('ETag', '"1"')
        response.end()
      },
      body: '',
      status: 304,
    },
    'flushHeaders and end': {
      answer: (_, response) => {
        response.flushHeaders()
        response.end('flushed')
      },
      body: 'flushed',
    },
    pipe: { answer: (_, response) => Readable.from(['a', 'b', 'c']).pipe(response), body: 'abc' },
    pipeline: { answer: (_, response) => pipeline(Readable.from(['a', 'b', 'c']), response), body: 'abc' },
    'pipeline of a generator': {
      answer: (_, response) =>
        pipeline(async function* () {
          yield 'a'
          yield 'b'
        }, response),
      body: 'ab',
    },
  }

  test.each(Object.entries(ways))('%s', async (_, { answer, body, status = 200 }) => {
    const { url } = await serve({ framework, handler: having(answer) })
    const response = await get(url)
    expect(response.status).toBe(status)
    expect(await response.text()).toBe(body)
    expect(cookieOf(response)).toMatch(/^sid=s/)
    const next = await get(`${url}/read`, { headers: { cookie: cookieOf(response) } })
    expect(await next.text()).toBe('yes')
  })

  test('an answer to HEAD has the cookie, the headers and no body', async () => {
    const { url, store } = await serve({
      framework,
      handler: having((_, response) => {
        response.setHeader('Content-Length', 5)
        response.end('hello')
      }),
    })
    const response = await get(url, { method: 'HEAD' })
    expect(response.headers.get('content-length')).toBe('5')
    expect(cookieOf(response)).toMatch(/^sid=s/)
    expect(await response.text()).toBe('')
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
  })

  test('the callbacks of write and end are called once each, after the answer has gone', async () => {
    const calls: string[] = []
    const { url } = await serve({
      framework,
      handler: having((_, response) => {
        response.write('a', () => calls.push('write'))
        response.end('b', () => calls.push('end'))
        calls.push('handler')
      }),
    })
    expect(await (await get(url)).text()).toBe('ab')
    expect(calls).toEqual(['handler', 'write', 'end'])
  })

  test('a body given to end alone keeps its Content-Length', async () => {
    const { url } = await serve({ framework, handler: having((_, response) => response.end('hello')) })
    expect((await get(url)).headers.get('content-length')).toBe('5')
  })

  test.each(['pipe', 'pipeline'] as const)('a big stream by %s arrives byte for byte', async (way) => {
    const expected = createHash('sha256')
      .update(Buffer.concat([...bigChunks()]))
      .digest('hex')
    const { url, store } = await serve({
      framework,
      handler: having((_, response) => {
        const source = Readable.from(bigChunks(), { objectMode: false, highWaterMark: 65_536 })
        return way === 'pipe' ? source.pipe(response) : pipeline(source, response)
      }),
    })
    const gate = store.hold('write')
    const answering = get(url)
    await gate.reached
    gate.open()
    const response = await answering
    const hash = createHash('sha256').update(Buffer.from(await response.arrayBuffer()))
    expect(hash.digest('hex')).toBe(expected)
  })

  test('a stream pauses while its session is being stored', async () => {
    let chunksRead = 0
    const source = Readable.from(
      (function* () {
        for (; chunksRead < 50; chunksRead++) yield Buffer.alloc(65_536)
      })(),
    )
    const { url, store } = await serve({ framework, handler: having((_, response) => source.pipe(response)) })
    const gate = store.hold('write')
    const answering = get(url)
    await gate.reached
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(chunksRead).toBeLessThan(40)
    gate.open()
    expect((await (await answering).arrayBuffer()).byteLength).toBe(50 * 65_536)
  })

  test('of server-sent events the first waits for the commit, and the later ones leave at once', async () => {
    const later = Promise.withResolvers<void>()
    const { url, store } = await serve({
      framework,
      handler: having(async (_, response) => {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' })
        response.flushHeaders()
        response.write('data: first\n\n')
        await later.promise
        response.write('data: second\n\n')
      }),
    })
    const gate = store.hold('write')
    let answered = false
    const answering = get(url).finally(() => (answered = true))
    await gate.reached
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(answered).toBe(false)
    gate.open()
    const response = await answering
    expect(cookieOf(response)).toMatch(/^sid=s/)
    const events = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    expect((await events.read()).value).toBe('data: first\n\n')
    later.resolve()
    expect((await events.read()).value).toBe('data: second\n\n')
    await events.cancel()
  })

  test.each([
    ['an object', { 'Set-Cookie': 'theirs=1', 'X-Own': 'a' }],
    ['an object with a list', { 'set-cookie': ['theirs=1'], 'X-Own': 'a' }],
    ['a flat array', ['Set-Cookie', 'theirs=1', 'X-Own', 'a']],
  ])('our cookie comes after those that writeHead was given in %s', async (_, headers) => {
    const { url } = await serve({
      framework,
      handler: having((_request, response) => {
        response.setHeader('Set-Cookie', 'replaced=1')
        response.writeHead(202, 'Fine', headers as string[]).end()
      }),
    })
    const response = await get(url)
    expect([response.status, response.statusText, response.headers.get('x-own')]).toEqual([202, 'Fine', 'a'])
    const cookies = response.headers.getSetCookie()
    expect(cookies).toHaveLength(2)
    expect(cookies[0]).toBe('theirs=1')
    expect(cookies[1]).toMatch(/^sid=s/)
  })

  test('our cookie comes after those that were set before, also twice the same name in a flat array', async () => {
    const { url } = await serve({
      framework,
      handler: having((request, response) => {
        if (request.url === '/flat')
          return response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']).end()
        response.setHeader('Set-Cookie', ['a=1', 'b=2'])
        return response.end()
      }),
    })
    for (const path of ['/flat', '/set']) {
      const names = (await get(url + path)).headers.getSetCookie().map((cookie) => cookie.split('=', 1)[0])
      expect(names).toEqual(['a', 'b', 'sid'])
    }
  })

  test('HTTP/1.0 is answered too', async () => {
    const { port, store } = await serve({ framework, handler: having((_, response) => response.end('old')) })
    const wire = new Wire(port)
    wire.socket.write('GET / HTTP/1.0\r\n\r\n')
    await wire.closed
    expect(wire.received).toMatch(/\r\nSet-Cookie: sid=s[^]*\r\n\r\nold$/)
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
  })

  test('requests on one connection are answered in order', async () => {
    const { port } = await serve({
      framework,
      keepAlive: true,
      handler: having((request, response) => response.end(`answer to ${request.url}`)),
    })
    const wire = new Wire(port)
    wire.send('GET', '/1')
    wire.send('GET', '/2')
    await wire.until('answer to /2')
    expect(wire.received.indexOf('answer to /1')).toBeLessThan(wire.received.indexOf('answer to /2'))
  })

  test('a request body can be read before and after the session is opened', async () => {
    const { port } = await serve({
      framework,
      handler: async (request, response) => {
        let length = 0
        for await (const chunk of request) length += (chunk as Buffer).length
        request.session.length = length
        response.end(String(length))
      },
    })
    const sent = httpRequest({ port, host: '127.0.0.1', method: 'POST' }).end(Buffer.alloc(300_000))
    const [response] = (await once(sent, 'response')) as [Readable]
    expect(await response.setEncoding('utf8').toArray()).toEqual(['300000'])
  })
})
