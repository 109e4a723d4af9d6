import { describe, expect, test } from 'vitest'
import session from 'coatcheck/express'
import { type ErrorMiddleware, express5Framework, frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, listen, secret, serve, type Served } from './serve.ts'

const unavailable = expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
const plainAnswer = 'The session could not be stored. Please try again.\n'

/** Changes the session at `/`, and shows it at `/session`. */
const changing: Middleware = (request, response) => {
  if (request.url === '/session') return response.end(JSON.stringify(request.session))
  request.session.changed = 'yes'
  return response.end('done')
}

/** An error handler that says so in the session, and shows it on the next page. */
const flashing: ErrorMiddleware = (_error, request, response) => {
  request.session.flash = 'sorry'
  response.writeHead(302, { Location: '/session' }).end()
}

const circle = { of: [] as unknown[] }
circle.of.push(circle)

const get = (url: string, cookie?: string) =>
  fetch(url, { redirect: 'manual', headers: cookie === undefined ? {} : { cookie } })

async function textAt({ url }: Served, cookie: string): Promise<string> {
  return await (await get(`${url}/session`, cookie)).text()
}

describe.each(frameworks)('in $name, after a commit that failed,', (framework) => {
  test('what the error handler puts into the session is on the next page', async () => {
    const served = await serve({
      framework,
      sessions: { sessionsPerUser: { most: 1, whenFull: 'refuse' } },
      handler: async (request, response) => {
        if (request.url === '/session') return response.end(JSON.stringify(request.session))
        await request.session.signIn('ada')
        return response.end('signed in')
      },
      onError: flashing,
    })
    expect((await get(served.url)).status).toBe(200)
    const response = await get(served.url)
    expect([response.status, response.headers.get('location')]).toEqual([302, '/session'])
    expect(served.errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_LIMIT', status: 403 })])
    expect(await textAt(served, cookieOf(response))).toBe('{"flash":"sorry"}')
    expect(await served.sessions.user('ada').list()).toHaveLength(1)
  })

  test('what could not be stored can be taken out', async () => {
    const served = await serve({
      framework,
      handler: (request, response, next) => {
        request.session.big = 1n
        if (request.url === '/session') delete request.session.big
        return changing(request, response, next)
      },
      onError: (error, request, response, next) => {
        delete request.session.big
        return flashing(error, request, response, next)
      },
    })
    const response = await get(served.url)
    expect([response.status, served.errors]).toEqual([
      302,
      [expect.objectContaining({ code: 'ERR_SESSION_DATA' })],
    ])
    expect(await textAt(served, cookieOf(response))).toBe('{"changed":"yes","flash":"sorry"}')
  })

  test('a store that is back keeps what both handlers put there, in one session', async () => {
    const served = await serve({ framework, handler: changing, onError: flashing })
    const gate = served.store.hold('write')
    const answering = get(served.url)
    await gate.reached
    gate.fail()
    const response = await answering
    expect([response.status, served.errors]).toEqual([302, [unavailable]])
    expect(await textAt(served, cookieOf(response))).toBe('{"changed":"yes","flash":"sorry"}')
    expect(await served.store.stored()).toHaveLength(1)
  })

  test.each([200, 302, 404])(
    'an answer of %i that counts on a store which is still away is a plain 503',
    async (status) => {
      const { url, store, errors } = await serve({
        framework,
        handler: changing,
        onError: (_error, request, response) => {
          request.session.flash = 'sorry'
          response.writeHead(status, { Location: '/', 'Set-Cookie': 'theirs=1' }).end('of the error handler')
        },
      })
      store.down.add('write')
      const response = await get(url)
      expect([response.status, await response.text()]).toEqual([503, plainAnswer])
      expect([response.headers.get('location'), cookieOf(response)]).toEqual([null, ''])
      expect(errors).toEqual([unavailable])
      expect(store.writes).toHaveLength(2)
    },
  )

  test('a stream that counts on it is a plain 503, too', async () => {
    const { url, store, errors } = await serve({
      framework,
      handler: changing,
      onError: (_error, request, response) => {
        request.session.flash = 'sorry'
        response.writeHead(200).write('a part')
      },
    })
    store.down.add('write')
    const response = await get(url)
    expect(response.status).toBe(503)
    expect(await response.text()).toBe(plainAnswer)
    expect(errors).toEqual([unavailable])
  })

  test('an error page of 500 or more goes out, whatever it left in the session', async () => {
    const { url, store, errors } = await serve({
      framework,
      handler: changing,
      onError: (_error, request, response) => {
        request.session.flash = 'sorry'
        response.writeHead(502, { 'X-Own': 'a' }).end('an own error page')
      },
    })
    store.down.add('write')
    const response = await get(url)
    expect([response.status, await response.text()]).toEqual([502, 'an own error page'])
    expect([response.headers.get('x-own'), cookieOf(response)]).toEqual(['a', ''])
    expect(errors).toEqual([unavailable])
    expect(store.writes).toHaveLength(2)
  })

  test.each([200, 302, 404, 503])(
    'an answer of %i that only reads the session goes out, and the store is not asked again',
    async (status) => {
      const { url, store, errors } = await serve({
        framework,
        handler: changing,
        onError: (_error, request, response) =>
          response.writeHead(status, { Location: '/' }).end(JSON.stringify(request.session)),
      })
      store.down.add('write')
      const response = await get(url)
      expect([response.status, await response.text()]).toEqual([status, '{"changed":"yes"}'])
      expect([response.headers.get('location'), cookieOf(response)]).toEqual(['/', ''])
      expect(errors).toEqual([unavailable])
      expect(store.writes).toHaveLength(1)
    },
  )

  test('so does a stream that only reads it', async () => {
    const { url, store } = await serve({
      framework,
      handler: changing,
      onError: (_error, request, response) => {
        response.writeHead(404).write('a part ')
        response.end(String(request.session.changed))
      },
    })
    store.down.add('write')
    const response = await get(url)
    expect([response.status, await response.text()]).toEqual([404, 'a part yes'])
    expect(store.writes).toHaveLength(1)
  })

  test.each<[string, () => unknown]>([
    ['a bigint', () => 1n],
    ['a circle', () => circle],
  ])('so it does where the session holds %s, which cannot be stored', async (kind, value) => {
    const { url, errors } = await serve({
      framework,
      handler: (request, response) => {
        request.session.bad = value()
        response.end('done')
      },
      onError: (_error, _request, response) => response.writeHead(404).end(`no ${kind} here`),
    })
    const response = await get(url)
    expect([response.status, await response.text()]).toEqual([404, `no ${kind} here`])
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_DATA' })])
  })

  test.each<[string, () => unknown]>([
    ['a bigint', () => 1n],
    ['a circle', () => circle],
  ])('not so a redirect that leaves something beside %s', async (_, value) => {
    const { url, errors } = await serve({
      framework,
      handler: (request, response) => {
        request.session.bad = value()
        response.end('done')
      },
      onError: flashing,
    })
    const response = await get(url)
    expect([response.status, await response.text()]).toEqual([500, plainAnswer])
    expect(errors).toEqual([expect.objectContaining({ code: 'ERR_SESSION_DATA' })])
  })

  test.each([
    ['stored', 'save', /^sid=s/, [{ changed: 'yes' }]],
    ['ended', 'signOut', /^sid=$/, []],
  ] as const)(
    'a session that the error handler %s itself is told to the browser',
    async (_, method, told, stored) => {
      const { url, store } = await serve({
        framework,
        handler: (request, response) => {
          request.session.changed = request.url
          response.end('done')
        },
        onError: async (_error, request, response) => {
          store.down.clear()
          request.session.changed = 'yes'
          await request.session[method]()
          response.writeHead(302, { Location: '/session' }).end()
        },
      })
      const cookie = method === 'save' ? undefined : cookieOf(await get(url))
      store.down.add('write')
      const response = await get(`${url}/again`, cookie)
      expect([response.status, cookieOf(response)]).toEqual([302, expect.stringMatching(told)])
      expect(await store.stored()).toEqual(stored)
    },
  )

  test.each(['that it waits for', 'that it does not wait for'])(
    'a sign-in of the error handler %s is stored, and its token told',
    async (how) => {
      const served = await serve({
        framework,
        handler: changing,
        onError: async (_error, request, response) => {
          served.store.down.clear()
          const signingIn = request.session.signIn('guest')
          if (how === 'that it waits for') await signingIn
          response.writeHead(302, { Location: '/session' }).end()
        },
      })
      served.store.down.add('write')
      expect(cookieOf(await get(served.url))).toMatch(/^sid=s/)
      expect(await served.sessions.user('guest').list()).toHaveLength(1)
    },
  )
})

test('after an answer that Node refused, too, what the error handler puts into the session is stored', async () => {
  const served = await serve({
    framework: express5Framework,
    handler: (request, response, next) => {
      if (request.url === '/session') return changing(request, response, next)
      request.session.changed = 'yes'
      return response.writeHead(200, { 'X-Own': 'a\nb' }).end()
    },
    onError: flashing,
  })
  const response = await get(served.url)
  expect([response.status, served.errors]).toEqual([
    302,
    [expect.objectContaining({ code: 'ERR_INVALID_CHAR' })],
  ])
  expect(response.headers.getSetCookie()).toHaveLength(1)
  expect(await textAt(served, cookieOf(response))).toBe('{"changed":"yes","flash":"sorry"}')
})

test('with session(options), null in the place of the session is a change as well', async () => {
  const store = new session.MemoryStore()
  const { set } = store
  const middleware = session({ store, secret, unset: 'destroy', resave: false, saveUninitialized: false })
  const { url } = await listen(
    express5Framework.listener(
      [
        middleware as unknown as Middleware,
        (request, response) => {
          request.session.path = request.url
          response.end('done')
        },
      ],
      (_error, request, response, _next) => {
        Object.assign(request, { session: null })
        response.writeHead(302, { Location: '/' }).end()
      },
    ),
  )
  const cookie = cookieOf(await get(url))
  expect(Object.keys(store.sessions)).toHaveLength(1)
  store.set = (_id, _session, callback) => callback?.(new Error('the disk is full'))
  expect((await get(`${url}/again`, cookie)).status).toBe(302)
  store.set = set
  expect(store.sessions).toEqual({})
})
