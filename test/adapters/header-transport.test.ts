import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as ask, type ServerResponse } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { createSessions, MemoryStore, type SessionsOptions } from 'coatcheck'
import session from 'coatcheck/express'
import cors from 'coatcheck/cors'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { CommandedStore } from './commanded-store.ts'
import { express5Framework, frameworks, type Framework, type Middleware } from './frameworks.ts'
import { cookieOf, secret, serve, type ServeOptions, Wire } from './serve.ts'

/** One action a path. */
const app: Middleware = async (request, response) => {
  const path = request.url ?? ''
  if (path === '/unopened') return response.end('{}')
  const { session } = request
  if (path.startsWith('/set/')) session[path.slice('/set/'.length)] = 'yes'
  if (path === '/sign-in') await session.signIn('ada')
  if (path === '/sign-in/keep') await session.signIn('ada', { keep: ['cart'] })
  if (path === '/sign-out') await session.signOut()
  if (path === '/destroy') await session.destroy()
  if (path === '/rotate') await session.rotate()
  if (path === '/late') {
    response.write('{}')
    session.late = 'yes'
    return response.end()
  }
  return response.end(JSON.stringify({ ...request.session, user: request.session?.userId }))
}

/** How a client sends its token, and where it finds the next one. */
interface Client {
  readonly name: string
  readonly options: Partial<SessionsOptions>
  /** @param token `undefined`: the client has none yet */
  headers(token?: string): Record<string, string>
  /** The next token: '' to drop it, `undefined` to keep it. */
  given(response: Response): string | undefined
  readonly vary: string
}

const cookieClient: Client = {
  name: 'the cookie',
  options: {},
  headers: (token) => (token === undefined ? {} : { cookie: `sid=${token}` }),
  given: (response) => /^sid=([^;]*)/.exec(response.headers.getSetCookie()[0] ?? '')?.[1],
  vary: 'Cookie',
}
const bearerClient: Client = {
  name: 'Authorization: Bearer',
  options: { header: true },
  headers: (token = 'new') => ({ authorization: `Bearer ${token}` }),
  given: (response) => response.headers.get('session-token') ?? undefined,
  vary: 'Authorization, Cookie',
}
const namedClient: Client = {
  name: 'X-Session alone',
  options: { header: { name: 'X-Session', response: 'X-Session', cookie: false } },
  headers: (token) => (token === undefined ? {} : { 'x-session': token }),
  given: (response) => response.headers.get('x-session') ?? undefined,
  vary: 'X-Session',
}

const open = (framework: Framework, { options }: Client, more: Partial<ServeOptions> = {}) =>
  serve({ framework, handler: app, ...more, sessions: { ...options, ...more.sessions } })

/** A client that keeps its token, as a browser keeps its cookie. */
function clientOf(client: Client, url: string, token?: string) {
  let mine = token
  return {
    get token() {
      return mine
    },
    async get(path: string): Promise<Response> {
      const response = await fetch(url + path, { headers: client.headers(mine), method: 'POST' })
      const given = client.given(response)
      if (given !== undefined) mine = given === '' ? undefined : given
      return response
    },
    async json(path: string): Promise<unknown> {
      return (await this.get(path)).json()
    },
  }
}

describe.each([cookieClient, bearerClient, namedClient])('by $name', (client) => {
  describe.each(frameworks)('in $name,', (framework) => {
    test('a session begins with its first data, and its token is given once', async () => {
      const { url, store } = await open(framework, client)
      const visitor = clientOf(client, url)
      for (const path of ['/read', '/unopened', '/sign-out', '/destroy', '/rotate']) {
        const response = await visitor.get(path)
        expect([path, response.status, client.given(response)]).toEqual([path, 200, undefined])
      }
      expect(store.writes).toEqual([])
      const first = await visitor.get('/set/seen')
      expect(client.given(first)).toMatch(/coat_[\w-]{48}\./)
      expect(first.headers.get('cache-control')).toBe('no-store')
      for (const path of ['/read', '/unopened', '/set/seen']) {
        const response = await visitor.get(path)
        expect([path, client.given(response)]).toEqual([path, undefined])
      }
      expect(await visitor.json('/read')).toEqual({ seen: 'yes' })
      expect(store.writes.map(({ type }) => type)).toEqual(['insert'])
    })

    test('a response whose handler has read the session says what it depends on', async () => {
      const { url } = await open(framework, client)
      const visitor = clientOf(client, url)
      expect((await visitor.get('/read')).headers.get('vary')).toBe(client.vary)
      expect((await visitor.get('/set/seen')).headers.get('vary')).toBe(client.vary)
      expect((await visitor.get('/read')).headers.get('vary')).toBe(client.vary)
      expect((await visitor.get('/unopened')).headers.get('vary')).toBe(null)
    })

    test.each(['/sign-in', '/rotate'])('%s gives another token, and the one before is void', async (path) => {
      const { url } = await open(framework, client, { sessions: { rotationGrace: false } })
      const visitor = clientOf(client, url)
      await visitor.get('/set/cart')
      const before = visitor.token
      await visitor.get(path)
      expect(visitor.token).not.toBe(before)
      expect(await clientOf(client, url, before).json('/read')).toEqual({})
      expect(await visitor.json('/read')).toEqual(path === '/rotate' ? { cart: 'yes' } : { user: 'ada' })
    })

    test('nothing of a session that somebody planted survives a sign-in unless it is kept by name', async () => {
      const { url } = await open(framework, client)
      const attacker = clientOf(client, url)
      for (const path of ['/set/csrf', '/set/cart']) await attacker.get(path)
      const victim = clientOf(client, url, attacker.token)
      expect(await victim.json('/sign-in/keep')).toEqual({ cart: 'yes', user: 'ada' })
      expect(await attacker.json('/read')).toEqual({ csrf: 'yes', cart: 'yes' }) // by the grace: never the user
      expect(await victim.json('/read')).toEqual({ cart: 'yes', user: 'ada' })
    })

    test('in the grace after a rotation, the old token works and gets none', async () => {
      const { url } = await open(framework, client)
      const visitor = clientOf(client, url)
      await visitor.get('/set/cart')
      const slow = clientOf(client, url, visitor.token)
      await visitor.get('/rotate')
      for (const path of ['/read', '/set/more', '/unopened']) {
        expect([path, client.given(await slow.get(path))]).toEqual([path, undefined])
      }
      expect(await visitor.json('/read')).toEqual({ cart: 'yes', more: 'yes' })
    })

    test.each(['/sign-out', '/destroy'])('%s takes the token back and ends the session', async (path) => {
      const { url, store } = await open(framework, client)
      const visitor = clientOf(client, url)
      await visitor.get('/sign-in')
      const before = visitor.token
      const left = await visitor.get(path)
      expect([client.given(left), left.headers.get('cache-control')]).toEqual(['', 'no-store'])
      expect(await store.stored()).toEqual([])
      expect(await clientOf(client, url, before).json('/read')).toEqual({})
    })

    test('revokeAll ends the sessions of all devices', async () => {
      const { url, sessions } = await open(framework, client)
      const devices = [clientOf(client, url), clientOf(client, url)]
      for (const device of devices) await device.get('/sign-in')
      await sessions.user('ada').revokeAll()
      for (const device of devices) expect(await device.json('/read')).toEqual({})
    })

    test('a secret is replaced without signing anybody out: the next response has the new signature', async () => {
      const store = new CommandedStore()
      const old = 'an old secret that is retired'
      const [before, between, after] = await Promise.all(
        [old, [secret, old], secret].map((given) =>
          open(framework, client, { store, sessions: { secret: given } }),
        ),
      )
      const visitor = clientOf(client, before!.url)
      await visitor.get('/sign-in')
      const stale = visitor.token
      const renewing = clientOf(client, between!.url, stale)
      const renewed = await renewing.get('/unopened')
      expect(renewed.headers.get('cache-control')).toBe('no-store')
      expect(renewing.token).not.toBe(stale)
      expect(client.given(await renewing.get('/unopened'))).toBeUndefined()
      expect(await clientOf(client, after!.url, renewing.token).json('/read')).toEqual({ user: 'ada' })
      expect(await clientOf(client, after!.url, stale).json('/read')).toEqual({})
    })

    test('what could not be stored gives no token: a 503 in place of the answer', async () => {
      const { url, store } = await open(framework, client)
      const visitor = clientOf(client, url)
      store.down.add('write')
      const refused = await visitor.get('/set/seen')
      expect([refused.status, client.given(refused)]).toEqual([503, undefined])
      store.down.delete('write')
      await visitor.get('/set/seen')
      store.down.add('find')
      expect((await visitor.get('/read')).status).toBe(503)
      store.down.delete('find')
      expect(await visitor.json('/read')).toEqual({ seen: 'yes' })
    })

    test('a session that begins after the first byte is an error, and one that began before is stored', async () => {
      const { url, store, errors } = await open(framework, client)
      const visitor = clientOf(client, url)
      await expect(visitor.get('/late').then((response) => response.text())).rejects.toThrow(TypeError)
      expect(errors).toMatchObject([{ code: 'ERR_SESSION_HEADERS_SENT' }])
      expect(await store.stored()).toEqual([])
      await visitor.get('/set/seen')
      await (await visitor.get('/late')).text()
      expect(await visitor.json('/read')).toEqual({ seen: 'yes', late: 'yes' })
    })

    test('a hundred requests at once change one session, and lose nothing', async () => {
      const { url } = await open(framework, client)
      const visitor = clientOf(client, url)
      await visitor.get('/sign-in')
      const names = Array.from({ length: 100 }, (_, at) => `n${at}`)
      await Promise.all(names.map((name) => clientOf(client, url, visitor.token).get(`/set/${name}`)))
      expect(Object.keys((await visitor.json('/read')) as object)).toHaveLength(101)
    })
  })
})

const edges = frameworks.filter(({ name }) => name === express5Framework.name || name === 'node:http')

describe.each(edges)('in $name, beside the cookie,', (framework) => {
  /** Raw requests, since `fetch` refuses some headers and joins others. */
  async function send(url: string, headers: readonly string[], method = 'POST') {
    const { hostname, port, pathname } = new URL(url)
    const request = ask({
      hostname,
      port,
      path: pathname,
      method,
      agent: false,
      headers: ['Host', 'test', ...headers],
    })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    return { status: response.statusCode, headers: response.headers, text }
  }

  async function signedIn(url: string) {
    const cookie = cookieOf(await fetch(`${url}/sign-in`))
    const response = await fetch(`${url}/sign-in`, { headers: { authorization: 'Bearer new' } })
    return { cookie, token: response.headers.get('session-token')! }
  }

  test('a request with the header ignores the cookie, and never gets one', async () => {
    const { url } = await open(framework, bearerClient)
    const { cookie, token } = await signedIn(url)
    for (const value of [
      'Bearer new',
      'Bearer',
      'bearer ',
      'BEARER \t',
      `Bearer ${token}x`,
      `Bearer x ${token}`,
    ]) {
      for (const path of ['/read', '/set/seen', '/sign-out', '/rotate']) {
        const { text, headers } = await send(url + path, ['Authorization', value, 'Cookie', cookie])
        expect([value, path, JSON.parse(text), headers['set-cookie']]).toEqual([
          value,
          path,
          path === '/set/seen' ? { seen: 'yes' } : {},
          undefined,
        ])
      }
    }
    const { headers } = await send(`${url}/sign-out`, ['Authorization', `Bearer ${token}`, 'Cookie', cookie])
    expect([headers['set-cookie'], headers['session-token']]).toEqual([undefined, ''])
    // The session of the cookie goes on.
    expect(await (await fetch(`${url}/read`, { headers: { cookie } })).json()).toEqual({ user: 'ada' })
  })

  test('a request with another scheme, or without the header, uses the cookie', async () => {
    const { url } = await open(framework, bearerClient)
    const { cookie, token } = await signedIn(url)
    for (const headers of [
      [],
      ['Authorization', 'Basic YTpi'],
      ['Authorization', token],
      ['Authorization', ''],
    ]) {
      const { text } = await send(`${url}/read`, [...headers, 'Cookie', cookie])
      expect([headers, JSON.parse(text)]).toEqual([headers, { user: 'ada' }])
    }
  })

  test('what signs one of them in is nothing in the other', async () => {
    const { url } = await open(framework, bearerClient)
    const { cookie, token } = await signedIn(url)
    const value = cookie.slice('sid='.length)
    const decoded = decodeURIComponent(value)
    const bare = decoded.slice('s:'.length)
    const urlSafe = bare.replaceAll('+', '-').replaceAll('/', '_')
    for (const text of [value, decoded, bare, urlSafe, `s:${urlSafe}`, `~${urlSafe}`]) {
      const answer = await send(`${url}/read`, ['Authorization', `Bearer ${text}`])
      expect([text, JSON.parse(answer.text)]).toEqual([text, {}])
    }
    for (const text of [token, `s:${token}`, `s%3A${token}`, `Bearer ${token}`, `~${token}`]) {
      const answer = await send(`${url}/read`, ['Cookie', `sid=${text}`])
      expect([text, JSON.parse(answer.text)]).toEqual([text, {}])
    }
    for (const headers of [
      ['Authorization', `Bearer ${token}`],
      ['Cookie', cookie],
    ])
      expect(JSON.parse((await send(`${url}/read`, headers)).text)).toEqual({ user: 'ada' })
  })

  test('the check against forged requests does not apply to the header, and still does to the cookie', async () => {
    const { url, store, errors } = await open(framework, bearerClient)
    const { cookie, token } = await signedIn(url)
    const forged = ['Sec-Fetch-Site', 'cross-site', 'Origin', 'https://evil.example']
    for (const value of [`Bearer ${token}`, 'Bearer new', 'Bearer']) {
      const { status } = await send(`${url}/read`, [...forged, 'Authorization', value, 'Cookie', cookie])
      expect([value, status]).toEqual([value, 200])
    }
    const writes = store.writes.length
    for (const headers of [
      ['Cookie', cookie],
      ['Authorization', 'Basic YTpi', 'Cookie', cookie],
      ['Authorization', token, 'Cookie', cookie],
      ['Authorization', 'Basic YTpi', 'Authorization', `Bearer ${token}`, 'Cookie', cookie],
      ['X-Session', token, 'Cookie', cookie],
      [],
    ]) {
      expect([headers, (await send(`${url}/set/seen`, [...forged, ...headers])).status]).toEqual([
        headers,
        403,
      ])
    }
    expect(errors).toHaveLength(6)
    expect(store.writes).toHaveLength(writes)
  })

  test('values that are no token are nobody, and harm nothing', async () => {
    const { url, store } = await open(framework, bearerClient)
    const { cookie, token } = await signedIn(url)
    store.down.add('find') // nothing of this may reach the store
    const bearer = `Bearer ${token}`
    for (const headers of [
      ['Authorization', bearer, 'Authorization', bearer],
      ['Authorization', bearer, 'authorization', 'Bearer other'],
      ['Authorization', 'Bearer other', 'AUTHORIZATION', bearer],
      ['Authorization', `${bearer}, ${bearer}`],
      ['Authorization', `Bearer "${token}"`],
      ['Authorization', `Bearer token=${token}`],
      ['Authorization', `${bearer}=`],
      ['Authorization', `Bearer \u00a0${token}`],
      ['Authorization', `${bearer}\u00a0`],
      ['Authorization', `Bearer ${'é'.repeat(100)}`],
      ['Authorization', `Bearer ${token.toUpperCase()}`],
      ['Authorization', `Bearer ${token.split('.')[0]!}`],
      ['Authorization', `Bearer ${token.split('.')[0]!}.`],
      ['Authorization', `Bearer .${token.split('.')[1]!}`],
    ]) {
      const { status, text, headers: answered } = await send(`${url}/read`, [...headers, 'Cookie', cookie])
      expect([headers, status, text]).toEqual([headers, 200, '{}'])
      expect([answered['set-cookie'], answered['session-token']]).toEqual([undefined, undefined])
    }
  })

  test.each([
    ['only if cors exposes it', ['Session-Token'], 'Session-Token'],
    ['never by default', [], null],
  ])('a page of another origin may read the token %s', async (_when, exposedHeaders, exposed) => {
    const origin = 'https://app.example.com'
    const store = new MemoryStore()
    const sessions = createSessions({ store, secret, sweep: false, header: true, sites: [origin] })
    const { url } = await serve({
      framework,
      handler: app,
      before: [cors(sessions, { exposedHeaders }) as unknown as Middleware],
      sessions: { store, header: true, sites: [origin] },
    })
    const response = await fetch(`${url}/sign-in`, { headers: { origin, authorization: 'Bearer new' } })
    expect(response.headers.get('session-token')).toMatch(/^coat_/)
    expect(response.headers.get('access-control-expose-headers')).toBe(exposed)
    const preflight = await fetch(`${url}/sign-in`, {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    })
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization')
  })
})

/** The app, behind a middleware without a framework. */
const answering = (request: IncomingMessage, response: ServerResponse) => (error?: unknown) => {
  if (error === undefined) void app(request as Parameters<Middleware>[0], response, () => undefined)
  else response.writeHead(500).end()
}

test('a header of 64 KiB is nobody, where the server takes it at all', async () => {
  const store = new CommandedStore()
  const sessions = createSessions({ store, secret, sweep: false, header: true })
  const middleware = session(sessions)
  const server = createServer({ maxHeaderSize: 256 * 1024 }, (request, response) => {
    middleware(request, response, answering(request, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  store.down.add('find')
  const { port } = server.address() as AddressInfo
  for (const filling of ['A', '.', '~', 'coat_', '=', ' ', '\u00e9']) {
    const wire = new Wire(port)
    const value = filling.repeat(65_536 / filling.length)
    wire.send('GET', '/read', { Authorization: `Bearer ${value}x`, Connection: 'close' })
    await wire.closed
    expect([filling, wire.received]).toEqual([
      filling,
      expect.stringMatching(/^HTTP\/1\.1 200 OK\r\n.*\r\n\{\}(?:\r\n0\r\n\r\n)?$/s) as string,
    ])
  }
})

test('over HTTP/2 the header does the same', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret, sweep: false, header: true })
  const middleware = session(sessions)
  const server = createHttp2Server((incoming, outgoing) => {
    const [request, response] = [
      incoming as unknown as IncomingMessage,
      outgoing as unknown as ServerResponse,
    ]
    middleware(request, response, answering(request, response))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  const get = async (path: string, authorization: string) => {
    const stream = client.request({
      ':path': path,
      ':method': 'POST',
      authorization,
      'sec-fetch-site': 'cross-site',
      origin: 'https://evil.example',
    })
    stream.setEncoding('utf8')
    let text = ''
    stream.on('data', (chunk: string) => (text += chunk))
    const [headers] = (await once(stream, 'response')) as [Record<string, string | undefined>]
    await once(stream, 'close')
    return { text, token: headers['session-token'], cookie: headers['set-cookie'], vary: headers['vary'] }
  }
  const { token, cookie } = await get('/sign-in', 'Bearer new')
  expect(cookie).toBeUndefined()
  expect(await get('/read', `Bearer ${token}`)).toEqual({
    text: '{"user":"ada"}',
    token: undefined,
    cookie: undefined,
    vary: 'Authorization, Cookie',
  })
  expect(await get('/sign-out', `Bearer ${token}`)).toMatchObject({ token: '', cookie: undefined })
  expect(await get('/read', `Bearer ${token}`)).toMatchObject({ text: '{}' })
})

test('curl signs in, keeps its token in a shell variable, and signs out', async () => {
  const { url } = await open(express5Framework, bearerClient)
  const script = `
    token=$(curl -s -o /dev/null -D - -X POST -H 'Authorization: Bearer new' ${url}/sign-in | tr -d '\\r' | sed -n 's/^Session-Token: //ip')
    curl -s -H "Authorization: Bearer $token" ${url}/read; echo
    curl -s -o /dev/null -D - -X POST -H "Authorization: Bearer $token" ${url}/sign-out | tr -d '\\r' | grep -i '^session-token'
    curl -s -H "Authorization: Bearer $token" ${url}/read`
  const { stdout } = await promisify(execFile)('sh', ['-c', script])
  expect(stdout.split('\n').map((line) => line.trim())).toEqual(['{"user":"ada"}', 'Session-Token:', '{}'])
})

test('a WebSocket of a native client is known by the header, whatever Origin it has', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret, sweep: false, header: true })
  const withSession = session(sessions)
  const server = createServer((request, response) => {
    withSession(request, response, answering(request, response))
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    withSession(request, {} as ServerResponse, (error) => {
      if (error !== undefined) return void socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      const { userId } = (request as Parameters<Middleware>[0]).session
      sockets.handleUpgrade(request, socket, head, (opened) => opened.send(String(userId)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    sockets.close()
    server.closeAllConnections()
    server.close()
  })
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const signIn = await fetch(`http://${address}/sign-in`, { headers: { authorization: 'Bearer new' } })
  const token = signIn.headers.get('session-token')!
  const greeted = async (headers: Record<string, string>) => {
    const socket = new WebSocket(`ws://${address}`, { origin: 'https://elsewhere.example', headers })
    const greeting = once(socket, 'message').then(([data]) => String(data))
    const refusal = once(socket, 'unexpected-response').then(([, { statusCode }]) => String(statusCode))
    const answer = await Promise.race([greeting, refusal])
    socket.terminate()
    return answer
  }
  expect(await greeted({ Authorization: `Bearer ${token}` })).toBe('ada')
  expect(await greeted({ Authorization: 'Bearer new' })).toBe('undefined')
  expect(await greeted({})).toBe('403')
})

test('two apps on one store share the session of a header', async () => {
  const store = new CommandedStore()
  const [one, other] = await Promise.all([
    open(express5Framework, bearerClient, { store }),
    open(express5Framework, bearerClient, { store }),
  ])
  const device = clientOf(bearerClient, one.url)
  await device.get('/sign-in')
  const elsewhere = clientOf(bearerClient, other.url, device.token)
  expect(await elsewhere.json('/read')).toEqual({ user: 'ada' })
  await elsewhere.get('/sign-out')
  expect(await device.json('/read')).toEqual({})
})
