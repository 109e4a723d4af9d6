import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { frameworks } from './frameworks.ts'
import { cookieOf, serve, settle } from './serve.ts'

describe.each(frameworks)('in $name,', (framework) => {
  test('changes made after the first byte of a stream are stored before it ends', async () => {
    const { url, store } = await serve({
      framework,
      handler: async (request, response) => {
        request.session.step = 1
        response.write('first ')
        await once(response, 'drain')
        request.session.step = 2
        response.end('last')
      },
    })
    const response = await fetch(url)
    expect(await response.text()).toBe('first last')
    expect(await store.stored()).toEqual([{ step: 2 }])
    const gate = store.hold('write')
    let ended = false
    const again = fetch(url, { headers: { cookie: cookieOf(response) } })
      .then((stream) => stream.text())
      .finally(() => (ended = true))
    await gate.reached
    gate.open()
    const late = store.hold('write')
    await late.reached
    await settle()
    expect(ended).toBe(false)
    late.open()
    expect(await again).toBe('first last')
  })

  test('what a handler does after it has ended the stream changes nothing', async () => {
    const called = Promise.withResolvers<void>()
    const { url, store } = await serve({
      framework,
      handler: async (request, response) => {
        request.session.step = 1
        response.write('first ')
        await once(response, 'drain')
        request.session.step = 2
        const gate = store.hold('write')
        response.end('last')
        await gate.reached
        response.write(' not this')
        response.end('nor this', () => called.resolve())
        response.flushHeaders()
        gate.open()
      },
    })
    expect(await (await fetch(url)).text()).toBe('first last')
    expect(await store.stored()).toEqual([{ step: 2 }])
    await called.promise
  })

  test('a stream whose last changes cannot be stored is cut short, and the app is told', async () => {
    const { url, store, errors } = await serve({
      framework,
      handler: async (request, response) => {
        request.session.step = 1
        response.write('first ')
        await once(response, 'drain')
        request.session.step = 2
        store.down.add('write')
        response.end('last')
      },
    })
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow(/terminated|fetch failed/)
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })])
    expect(await store.stored()).toEqual([{ step: 1 }])
  })

  test.each(['opened before', 'opened after'])(
    'a session that begins after the first byte, %s it, cuts the response short',
    async (opened) => {
      const { url, errors } = await serve({
        framework,
        handler: async (request, response) => {
          if (opened === 'opened before') void request.session
          response.write('first ')
          await settle()
          request.session.step = 1
          response.end('last')
        },
      })
      const response = await fetch(url)
      expect(cookieOf(response)).toBe('')
      await expect(response.text()).rejects.toThrow('terminated')
      expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_HEADERS_SENT' })])
    },
  )

  test('a stored session may be opened and changed after the first byte', async () => {
    const { url, store } = await serve({
      framework,
      handler: async (request, response) => {
        if (request.headers.cookie === undefined) request.session.step = 1
        response.write('first ')
        await settle()
        request.session.step = Number(request.session.step) + 1
        response.end('last')
      },
    })
    const first = await fetch(url)
    expect(await first.text()).toBe('first last')
    const second = await fetch(url, { headers: { cookie: cookieOf(first) } })
    expect(await second.text()).toBe('first last')
    expect(await store.stored()).toEqual([{ step: 3 }])
  })

  test('a handler that ignores back-pressure past 16 MiB gets a 503', async () => {
    const told = Promise.withResolvers<unknown>()
    const { url, store } = await serve({
      framework,
      handler: (request, response) => {
        request.session.seen = 'yes'
        const chunk = Buffer.alloc(2 ** 20)
        for (let count = 0; count < 20; count++) response.write(chunk)
        response.end()
      },
      onError: (error) => told.resolve(error),
    })
    const gate = store.hold('write')
    const response = await fetch(url)
    expect([response.status, cookieOf(response)]).toEqual([503, ''])
    await response.text()
    expect(await told.promise).toEqual(
      expect.objectContaining({ code: 'ERR_SESSION_RESPONSE_BUFFER', status: 503 }),
    )
    gate.open()
    await settle()
  })

  test('one large end, or one large write, is within the limit', async () => {
    const { url, store } = await serve({
      framework,
      handler: (request, response) => {
        request.session.seen = 'yes'
        const body = Buffer.alloc(20 * 2 ** 20)
        if (request.url === '/write') response.write(body)
        response.end(request.url === '/write' ? undefined : body)
      },
    })
    for (const path of ['/end', '/write']) {
      const gate = store.hold('write')
      const answering = fetch(url + path)
      await gate.reached
      gate.open()
      expect((await (await answering).arrayBuffer()).byteLength).toBe(20 * 2 ** 20)
    }
  })
})
