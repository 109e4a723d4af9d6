import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as ask } from 'node:http'
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { createSessions, MemoryStore, type SessionError } from 'coatcheck'
import csrf from 'coatcheck/csrf'
import session from 'coatcheck/express'
import methodOverride from 'method-override'
import supertest from 'supertest'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { findProgram, installDebianPackages } from '../servers/programs.ts'
import { checkedApp, type CheckedApp, expectRefused } from './checked-app.ts'

// Programs that are no browsers, or half of one: what the check does to them, what their developer sees, and the cure.

const run = promisify(execFile)

/** A request with these very headers: `fetch` would add some, and refuse others. */
async function send(
  url: string,
  headers: Readonly<Record<string, string>>,
  method = 'POST',
  body = '',
): Promise<readonly [number, string]> {
  const request = ask(url, { method, headers, agent: false }).end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  return [response.statusCode!, text]
}

const post = ({ url }: CheckedApp, headers: Readonly<Record<string, string>>) =>
  send(`${url}/change`, headers)

describe('supertest', () => {
  test('posts to an Express app, and to a listener without a framework', async () => {
    const { app } = await checkedApp()
    const agent = supertest.agent(app)
    expect((await agent.post('/login')).status).toBe(200)
    await agent.post('/change').type('form').send({ amount: 1 }).expect(200, 'changed by POST for ada')
    await supertest(app).put('/change').send({ amount: 1 }).expect(200, 'changed by PUT for a visitor')

    const sessions = createSessions({
      store: new MemoryStore(),
      secret: 'the secret of a listener',
      sweep: false,
    })
    onTestFinished(() => sessions.close())
    const middleware = session(sessions)
    const listener = createServer((request, response) => {
      middleware(request, response, (error) => {
        response.statusCode = (error as SessionError | undefined)?.status ?? 200
        response.end(error ? (error as SessionError).code : 'changed')
      })
    })
    await supertest(listener).post('/change').expect(200, 'changed')
    await supertest(listener)
      .post('/change')
      .set('Origin', 'http://localhost:3000')
      .expect(403, 'ERR_SESSION_FORGED')
  })

  test('with an Origin of its own is refused, until that is the own one of the tests, or none', async () => {
    const asked = (checked: CheckedApp) =>
      supertest(checked.app).post('/change').set('Origin', 'http://localhost:3000')
    const checked = await checkedApp()
    const { status, text } = await asked(checked)
    expect(status).toBe(403)
    expectRefused(checked, text, 'otherOrigin', "csrf: { own: ['http://localhost:3000'] }")
    expect(checked.changes()).toBe(0)
    const cured = await checkedApp({ sessions: { csrf: { own: ['http://localhost:3000'] } } })
    await asked(cured).expect(200)
    await supertest(checked.app).post('/change').expect(200)
  })
})

describe('curl', () => {
  let curl: string
  beforeAll(async () => {
    const find = () => findProgram('curl')
    const found = (await find()) ?? ((await installDebianPackages('curl')) ? await find() : undefined)
    if (found === undefined) throw new Error('These tests need curl: install it, and run them again.')
    curl = found
  })

  /** @returns the status, and the text */
  async function curled(...args: string[]): Promise<readonly [number, string]> {
    const { stdout } = await run(curl, ['--silent', '--show-error', '--write-out', '\n%{http_code}', ...args])
    const lines = stdout.split('\n')
    return [Number(lines.at(-1)), lines.slice(0, -1).join('\n')]
  }

  test('posts forms and JSON, and keeps its cookie', async () => {
    const { url, arrived } = await checkedApp()
    // Without a file, curl keeps cookies for as long as it runs: one command, two requests.
    const [, texts] = await curled('--cookie', '', '-d', 'user=ada', `${url}/login`, `${url}/change`)
    expect(texts).toContain('changed by POST for ada')
    const json = ['--json', '{"amount":1}']
    expect(await curled(...json, `${url}/change`)).toEqual([200, 'changed by POST for a visitor'])
    expect(arrived.map(({ site, origin }) => [site, origin])).toEqual(
      Array.from({ length: 3 }, () => [undefined, undefined]),
    )
  })

  test('as copied from the tools of a browser, it has the headers of that page, and passes where that did', async () => {
    const { url } = await checkedApp()
    const copied = (site: string, origin: string) =>
      curled('-H', `Origin: ${origin}`, '-H', `Sec-Fetch-Site: ${site}`, '--data-raw', 'a=1', `${url}/change`)
    expect((await copied('same-origin', url))[0]).toBe(200)
    expect((await copied('cross-site', 'https://other.example'))[0]).toBe(403)
  })

  test('without any of the headers is refused where withoutHeaders is deny, until it sends an Origin', async () => {
    const checked = await checkedApp({ sessions: { csrf: { withoutHeaders: 'deny' } } })
    const [status, text] = await curled('-d', 'a=1', `${checked.url}/change`)
    expect(status).toBe(403)
    expectRefused(checked, text, 'withoutHeaders', "curl -H 'Origin: …'")
    expect((await curled('-d', 'a=1', '-H', `Origin: ${checked.url}`, `${checked.url}/change`))[0]).toBe(200)
  })
})

test('the fetch of Node sends neither Sec-Fetch-Site nor Origin, and passes', async () => {
  const { url, arrived } = await checkedApp()
  const posted = await fetch(`${url}/change`, { method: 'POST', body: new URLSearchParams({ amount: '1' }) })
  expect(posted.status).toBe(200)
  expect(arrived).toMatchObject([{ site: undefined, origin: undefined }])
})

describe('a webhook', () => {
  const sent = ({ url }: CheckedApp) =>
    send(`${url}/webhook`, { 'content-type': 'application/json' }, 'POST', '{}')

  test('has none of the headers and no cookie, and passes', async () => {
    expect(await sent(await checkedApp())).toEqual([200, 'changed by POST for a visitor'])
  })

  test('is refused where withoutHeaders is deny, and passes if its path accepts anybody', async () => {
    const denying = await checkedApp({ sessions: { csrf: { withoutHeaders: 'deny' } } })
    const [status, text] = await sent(denying)
    expect(status).toBe(403)
    expectRefused(denying, text, 'withoutHeaders', "csrf.withoutHeaders is 'deny'")
    const accepting = { withoutHeaders: 'deny', accept: { '/webhook': '*' } } as const
    expect((await sent(await checkedApp({ sessions: { csrf: accepting } })))[0]).toBe(200)
  })
})

// What React Native sends, by its source: native networking adds no Origin and no Sec-Fetch-Site to `fetch`, and its
// WebSockets have the origin of their own address (WebSocketModule.kt; SRHTTPConnectMessage.m of SocketRocket on iOS).
describe('React Native', () => {
  test('its fetch passes', async () => {
    expect((await post(await checkedApp(), { 'user-agent': 'okhttp/4.12.0' }))[0]).toBe(200)
  })

  test('its WebSocket passes, also where a proxy ends TLS', async () => {
    const { sessions, url } = await checkedApp()
    const server = createServer()
    const sockets = new WebSocketServer({ noServer: true })
    const check = csrf(sessions)
    server.on('upgrade', (request, socket, head) => {
      void check.refusal(request).then((refusal) => {
        if (refusal) socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
        else sockets.handleUpgrade(request, socket, head, (opened) => opened.close())
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const opens = async (origin: string) => {
      const socket = new WebSocket(`ws://${host}`, { origin })
      const opened = once(socket, 'open').then(() => true)
      const isOpen = await Promise.race([opened, once(socket, 'unexpected-response').then(() => false)])
      socket.terminate()
      return isOpen
    }
    expect(await opens(`http://${host}`)).toBe(true)
    expect(await opens(`https://${host}`)).toBe(true)
    expect(await opens(url)).toBe(false)
  })

  // Local files have `null` in Android's WebView and `file://` in that of iOS (react-native-webview, issue 3666).
  test.each([
    ['null', 'Never list null'],
    ['file://', "It has the Origin 'file://'"],
  ])(
    'a page from a file in a WebView sends %s, and is refused, until it has a base address',
    async (origin, words) => {
      const checked = await checkedApp({ sessions: { sites: ['https://app.example.com'] } })
      const [status, text] = await post(checked, { origin })
      expect(status).toBe(403)
      expectRefused(checked, text, 'otherOrigin', words)
      await expect(checkedApp({ sessions: { sites: [origin] } })).rejects.toMatchObject({
        code: 'ERR_SESSION_OPTION',
      })
      // <WebView source={{ html, baseUrl: 'https://app.example.com' }} />
      expect((await post(checked, { origin: 'https://app.example.com' }))[0]).toBe(200)
    },
  )

  test('is not told to list file://, which sites refuses at start-up', async () => {
    const [, text] = await post(await checkedApp(), { origin: 'file://' })
    expect(text).not.toContain("sites: ['file://']")
  })

  test('debugged in a browser, it is a page of the bundler, and passes once sites lists that', async () => {
    const headers = { origin: 'http://localhost:8081', 'sec-fetch-site': 'cross-site' }
    const checked = await checkedApp()
    const [status, text] = await post(checked, headers)
    expect(status).toBe(403)
    expectRefused(checked, text, 'otherSite', "sites: ['http://localhost:8081']")
    const cured = await checkedApp({ sessions: { sites: ['http://localhost:8081'] } })
    expect((await post(cured, headers))[0]).toBe(200)
  })
})

describe('method-override', () => {
  const overriding = methodOverride('_method', { methods: ['GET', 'POST'] })
  const foreign = { origin: 'https://other.example', 'sec-fetch-site': 'cross-site' }
  const open = (where: 'before' | 'after') => checkedApp({ [where]: [overriding] })
  const asked = ({ url }: CheckedApp, method: string, to: string, headers: Record<string, string>) =>
    send(`${url}/change?_method=${to}`, headers, method)

  test('before the session, the less safe of both methods is judged', async () => {
    const checked = await open('before')
    const own = { origin: checked.url, 'sec-fetch-site': 'same-origin' }
    for (const [method, to] of [
      ['GET', 'DELETE'],
      ['POST', 'DELETE'],
      ['POST', 'GET'],
    ] as const) {
      const [status, text] = await asked(checked, method, to, foreign)
      expect([method, to, status]).toEqual([method, to, 403])
      expectRefused(checked, text, 'otherSite', "sites: ['https://other.example']")
      expect(await asked(checked, method, to, own)).toEqual([200, `changed by ${to} for a visitor`])
    }
    expect((await asked(checked, 'GET', 'GET', foreign))[0]).toBe(200)
  })

  test('after the session, a GET that it makes a DELETE was judged as a GET', async () => {
    const checked = await open('after')
    expect(await asked(checked, 'GET', 'DELETE', foreign)).toEqual([200, 'changed by DELETE for a visitor'])
    expect((await asked(checked, 'POST', 'DELETE', foreign))[0]).toBe(403)
  })
})

test('over HTTP/2, the own origin is that of :authority, whatever the Host header says', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret: 'the secret of HTTP/2', sweep: false })
  const middleware = session(sessions)
  const server = createHttp2Server((request, response) => {
    middleware(request as never, response as never, (error) => {
      response.statusCode = (error as SessionError | undefined)?.status ?? 200
      response.end(error ? (error as SessionError).message : 'changed')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(async () => {
    client.destroy()
    server.close()
    await sessions.close()
  })
  const asked = async (headers: Record<string, string>): Promise<readonly [unknown, string]> => {
    const stream = client.request({ ':method': 'POST', ':authority': 'app.example.com', ...headers })
    stream.end()
    const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
    let text = ''
    for await (const chunk of stream.setEncoding('utf8')) text += String(chunk)
    return [head[':status'], text]
  }
  const foreign = 'https://other.example'
  expect(await asked({})).toEqual([200, 'changed'])
  expect(await asked({ origin: 'https://app.example.com' })).toEqual([200, 'changed'])
  const [status, text] = await asked({ origin: foreign })
  expect(status).toBe(403)
  expect(text).toContain("came to 'app.example.com' by HTTP")
  expect((await asked({ origin: foreign, host: 'other.example' }))[0]).toBe(403)
})
