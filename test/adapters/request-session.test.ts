import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import session from 'coatcheck/express'
import { createSessions } from 'coatcheck'
import { CommandedStore } from './commanded-store.ts'
import { express5Framework, frameworks, type Middleware, type SessionRequest } from './frameworks.ts'
import { cookieOf, listen, secret, serve, settle } from './serve.ts'

/** Runs `body` in a handler, and gives what it returned. */
async function inRequest<Answer>(
  framework: (typeof frameworks)[number],
  body: (request: SessionRequest, response: ServerResponse) => Answer | Promise<Answer>,
): Promise<Answer> {
  const { url, errors } = await serve({
    framework,
    handler: async (request, response) => {
      answer = await body(request, response)
      response.end()
    },
  })
  let answer: Answer
  await fetch(url)
  if (errors.length > 0) throw errors[0]
  return answer!
}

describe.each(frameworks)('in $name,', (framework) => {
  test('the keys of req.session are its data and nothing else', async () => {
    const seen = await inRequest(framework, (request) => {
      request.session.cart = ['tea']
      request.session.name = 'Ada'
      const inLoop: string[] = []
      for (const name in request.session) inLoop.push(name)
      return { keys: Object.keys(request.session), inLoop, json: JSON.stringify(request.session) }
    })
    expect(seen).toEqual({
      keys: ['cart', 'name'],
      inLoop: ['cart', 'name'],
      json: '{"cart":["tea"],"name":"Ada"}',
    })
  })

  test('req.sessionID is the token that the cookie carries', async () => {
    const { url } = await serve({
      framework,
      handler: (request, response) => {
        request.session.seen = 'yes'
        response.end(`${request.sessionID} ${request.session.id}`)
      },
    })
    const response = await fetch(url)
    const token = decodeURIComponent(cookieOf(response)).slice('sid=s:'.length).split('.', 1)[0]
    expect(await response.text()).toBe(`${token} ${token}`)
  })

  test('req.session is undefined after destroy, and the old one cannot be used', async () => {
    await inRequest(framework, async (request) => {
      const before = request.session
      await before.destroy()
      expect(request.session).toBe(undefined)
      await expect(before.save()).rejects.toMatchObject({ code: 'ERR_SESSION_REPLACED' })
    })
  })

  test('req.session = null ends the session with the answer', async () => {
    const { url, store } = await serve({
      framework,
      handler: (request, response) => {
        if (request.headers.cookie === undefined) request.session.seen = 'yes'
        else Object.assign(request, { session: null })
        response.end(request.session === undefined ? 'gone' : 'there')
      },
    })
    const cookie = cookieOf(await fetch(url))
    const response = await fetch(url, { headers: { cookie } })
    expect([response.status, await response.text(), cookieOf(response)]).toEqual([200, 'gone', 'sid='])
    expect(await store.stored()).toEqual([])
  })

  test('an object cannot be put in the place of req.session', async () => {
    const put = inRequest(framework, (request) => Object.assign(request, { session: { mine: true } }))
    await expect(put).rejects.toThrow(TypeError)
  })

  test('a method that takes a callback calls it once, in a turn of its own', async () => {
    const calls = await inRequest(framework, async (request) => {
      const seen: unknown[] = []
      request.session.seen = 'yes'
      await new Promise<void>((resolve) => {
        request.session.save((error) => {
          seen.push(error)
          resolve()
        })
        seen.push('returned')
      })
      return seen
    })
    expect(calls).toEqual(['returned', undefined])
  })

  test('two sessions on one request are an error, for one would hide the other', async () => {
    const second = createSessions({ store: new CommandedStore(), secret, sweep: false })
    const { url, errors } = await serve({
      framework,
      after: [session(second) as unknown as Middleware],
      handler: (_request, response) => response.end('unreached'),
    })
    const response = await fetch(url)
    expect(response.status).toBe(500)
    expect(errors).toMatchObject([{ code: 'ERR_SESSION_OPTION' }])
    await second.close()
  })

  test('a request that is skipped has no session, and nothing is read', async () => {
    const { url, store } = await serve({
      framework,
      session: { skip: (request) => request.url === '/healthz' },
      handler: (request, response) => {
        if (request.url !== '/healthz') request.session.seen = 'yes'
        response.end(String('session' in request && request.session !== undefined))
      },
    })
    const cookie = cookieOf(await fetch(url))
    store.down.add('find')
    const response = await fetch(`${url}/healthz`, { headers: { cookie } })
    expect([response.status, await response.text()]).toEqual([200, 'false'])
  })

  test.each(['end', 'write'] as const)(
    'a session that is first opened in what is given to %s is stored, and the browser is told',
    async (method) => {
      const { url, store } = await serve({
        framework,
        handler: (request, response) => {
          // JavaScript looks the method up before it evaluates what is given to it.
          response[method](String((request.session.visits = 1)))
          if (method === 'write') response.end()
        },
      })
      const response = await fetch(url)
      expect(await response.text()).toBe('1')
      expect(cookieOf(response)).toMatch(/^sid=s/)
      expect(await store.stored()).toEqual([{ visits: 1 }])
    },
  )

  test.each(['destroy', 'signOut', 'regenerate', 'save'] as const)(
    'the response waits for a %s that nobody awaited',
    async (method) => {
      const { url, store } = await serve({
        framework,
        handler: (request, response) => {
          if (request.url === '/set') request.session.seen = 'yes'
          else {
            if (method === 'save') request.session.seen = 'again'
            void request.session[method]()
          }
          response.end()
        },
      })
      const cookie = cookieOf(await fetch(`${url}/set`))
      const gate = store.hold('write')
      let answered = false
      const answering = fetch(url, { headers: { cookie } }).finally(() => (answered = true))
      await gate.reached
      await settle()
      expect(answered).toBe(false)
      gate.open()
      expect((await answering).status).toBe(200)
      expect(await store.stored()).toEqual(method === 'save' ? [{ seen: 'again' }] : [])
    },
  )

  test.each([
    ['throws before it opens its session', false],
    ['throws after it changed its session', true],
  ])('a handler that %s fails as it would without sessions', async (_, changes) => {
    const { url, store, errors } = await serve({
      framework,
      handler: (request) => {
        if (changes) request.session.seen = 'yes'
        throw new Error('the handler failed')
      },
    })
    const response = await fetch(url)
    expect([response.status, await response.text()]).toEqual([500, 'app error page: undefined'])
    expect(errors).toEqual([new Error('the handler failed')])
    // The error page is a response like any other: what was changed before it is stored.
    expect(await store.stored()).toEqual(changes ? [{ seen: 'yes' }] : [])
    expect(cookieOf(response) !== '').toBe(changes)
  })

  test('so does one that throws later, and one that calls next with an error', async () => {
    const { url, errors } = await serve({
      framework,
      handler: async (request, _, next) => {
        request.session.seen = 'yes'
        await settle(1)
        if (request.url === '/next') return next(new Error('next'))
        throw new Error('later')
      },
    })
    expect((await fetch(url)).status).toBe(500)
    expect((await fetch(`${url}/next`)).status).toBe(500)
    expect(errors).toEqual([new Error('later'), new Error('next')])
  })

  test('an error handler can use the session', async () => {
    const { url, store } = await serve({
      framework,
      handler: () => {
        throw new Error('the handler failed')
      },
      onError: (_error, request, response) => {
        request.session.flash = 'sorry'
        response.writeHead(302, { Location: '/' }).end()
      },
    })
    expect((await fetch(url, { redirect: 'manual' })).status).toBe(302)
    expect(await store.stored()).toEqual([{ flash: 'sorry' }])
  })
})

describe('session()', () => {
  const sessions = createSessions({ store: new CommandedStore(), secret, sweep: false })

  test.each<[string, () => unknown, RegExp]>([
    ['something else than sessions or options', () => session('sessions' as never), /createSessions/],
    [
      'sessions of another copy of the package',
      () => session({ loadAs: () => 0 } as never),
      /createSessions/,
    ],
    ['an option that it does not have', () => session(sessions, { skipp: () => true } as never), /skipp/],
    ['a skip that is no function', () => session(sessions, { skip: '/healthz' as never }), /skip/],
    [
      'another whenUnavailable',
      () => session(sessions, { whenUnavailable: 'ignore' as never }),
      /'error' or 'anonymous'/,
    ],
  ])('refuses %s at start-up', (_, make, message) => {
    expect(make).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }) as Error)
    expect(make).toThrow(message)
  })

  test('after sessions.close() a request with a cookie is a typed 503', async () => {
    const {
      url,
      sessions: closing,
      errors,
    } = await serve({
      framework: express5Framework,
      handler: (request, response) => {
        request.session.seen = 'yes'
        response.end()
      },
    })
    const cookie = cookieOf(await fetch(url))
    await closing.close()
    expect((await fetch(url, { headers: { cookie } })).status).toBe(503)
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_CLOSED' })])
  })
})

test('two request objects that were given one response both store their sessions before it leaves', async () => {
  const stores = [new CommandedStore(), new CommandedStore()] as const
  const [first, second] = stores.map((store) => session(createSessions({ store, secret, sweep: false })))
  const { url } = await listen((request, response) => {
    const { headers, socket, url: path, method } = request
    const other = { headers, socket, url: path, method } as IncomingMessage & SessionRequest
    first!(request, response, () => {
      second!(other, response, () => {
        ;(request as SessionRequest).session.seen = 'first'
        other.session.seen = 'second'
        response.end('hello')
      })
    })
  })
  expect(await (await fetch(url)).text()).toBe('hello')
  expect(await Promise.all(stores.map((store) => store.stored()))).toEqual([
    [{ seen: 'first' }],
    [{ seen: 'second' }],
  ])
})
