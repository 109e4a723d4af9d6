import { once } from 'node:events'
import { createServer, request as ask, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createSessions, MemoryStore } from 'coatcheck'
import csrf, { type CsrfMiddleware, type CsrfMiddlewareOptions } from 'coatcheck/csrf'
import session from 'coatcheck/express'
import { WebSocket, WebSocketServer } from 'ws'
import { type Framework, frameworks, type Middleware } from './frameworks.ts'
import { answerWithError, cookieOf, listen } from './serve.ts'

const site = 'https://shop.example.com'
const foreign = 'https://evil.example'

/** An app on the drop-in form: a visitor who posts has moved money. */
async function serveDropIn(framework: Framework, options: CsrfMiddlewareOptions) {
  const errors: unknown[] = []
  const stack = [
    csrf(options),
    session({ secret: 'a secret of the tests', resave: false, saveUninitialized: false }),
    (({ method, session: data }, response) => {
      if (method === 'POST') data.moved = Number(data.moved ?? 0) + 1
      response.end(String(data.moved))
    }) satisfies Middleware,
  ]
  const served = await listen(
    framework.listener(stack as unknown as Middleware[], (error, request, response, next) => {
      errors.push(error)
      return answerWithError(error, request, response, next)
    }),
    {},
  )
  return { ...served, errors }
}

async function statusOf(url: string, headers: Record<string, string>, method = 'POST'): Promise<number> {
  const request = ask(url, { method, headers, agent: false })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode!
}

describe.each(frameworks)('csrf() before session(options) in $name', (framework) => {
  test('refuses what a page of another origin sends, and nothing else', async () => {
    const { url, errors } = await serveDropIn(framework, { sites: [site] })
    const cookie = cookieOf(await fetch(url, { method: 'POST' }))
    for (const headers of [{ origin: foreign }, { origin: 'null' }, { 'sec-fetch-site': 'same-site' }])
      expect(await statusOf(url, { cookie, ...headers } as Record<string, string>)).toBe(403)
    expect(errors).toHaveLength(3)
    expect(errors[0]).toMatchObject({ code: 'ERR_SESSION_FORGED', status: 403 })
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('1')
    for (const origin of [site, url]) expect(await statusOf(url, { cookie, origin })).toBe(200)
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe('3')
  })

  test('asks a function of sites only with allSites', async () => {
    const decide = async (origin: string) => Promise.resolve(origin === site)
    const strict = await serveDropIn(framework, { sites: decide })
    expect(await statusOf(strict.url, { origin: site })).toBe(403)
    const { url } = await serveDropIn(framework, { sites: decide, allSites: true })
    expect(await statusOf(url, { origin: site })).toBe(200)
    expect(await statusOf(url, { origin: foreign })).toBe(403)
  })

  test('lets nothing pass if a function of sites fails', async () => {
    const failure = new Error('no database')
    const { url, errors } = await serveDropIn(framework, {
      sites: () => Promise.reject(failure),
      allSites: true,
    })
    expect(await statusOf(url, { origin: site })).toBe(500)
    expect(errors).toEqual([failure])
  })

  test.each([undefined, 'route', 0])(
    'lets nothing pass if a function of sites rejects with %o',
    async (reason) => {
      const { url, errors } = await serveDropIn(framework, {
        sites: () => Promise.reject(reason as never),
        allSites: true,
      })
      expect(await statusOf(url, { origin: site })).toBe(500)
      expect(errors).toMatchObject([{ code: 'ERR_SESSION_OPTION' }])
    },
  )

  test('lets the app make the error, and refuses whatever that does', async () => {
    const reasons: unknown[] = []
    const made = new Error('Please reload')
    const results = [() => made, () => undefined, () => 'no error', () => { throw made }, () => Promise.reject(made)] // prettier-ignore
    const seen: unknown[] = []
    for (const result of results) {
      const { url, errors } = await serveDropIn(framework, {
        deny: ({ method }, { rule, explanation }) => {
          reasons.push([method, rule, explanation.includes(foreign)])
          return result() as Error
        },
      })
      expect(await statusOf(url, { origin: foreign })).toBeGreaterThanOrEqual(400)
      seen.push(...errors)
    }
    expect(reasons).toEqual(results.map(() => ['POST', 'otherOrigin', true]))
    expect(seen).toEqual([
      made,
      expect.objectContaining({ code: 'ERR_SESSION_FORGED' }),
      expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
      made,
      expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
    ])
  })
})

describe('for the handshake of a WebSocket,', () => {
  async function greetedBy(check: CsrfMiddleware) {
    const server = createServer()
    const sockets = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, socket, head) => {
      const refuse = () => socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n')
      check.refusal(request).then((refusal) => {
        if (refusal) refuse()
        else sockets.handleUpgrade(request, socket, head, (opened) => opened.send('hello'))
      }, refuse)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      sockets.close()
      server.closeAllConnections()
      server.close()
    })
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    return async (origin: string | undefined) => {
      const socket = new WebSocket(`ws://${address}`, {
        origin: origin === 'own' ? `http://${address}` : origin!,
      })
      const greeting = once(socket, 'message').then(([data]) => String(data))
      const refused = once(socket, 'unexpected-response').then(([, { statusCode }]) => String(statusCode))
      const answer = await Promise.race([greeting, refused])
      socket.terminate()
      return answer
    }
  }

  const sessions = (sites: CsrfMiddlewareOptions['sites']) => {
    const made = createSessions({ store: new MemoryStore(), secret: 'a secret of the tests', sweep: false, sites, csrf: { allSites: true } }) // prettier-ignore
    onTestFinished(() => made.close())
    return made
  }

  test.each<[string, (sites: CsrfMiddlewareOptions['sites']) => CsrfMiddleware]>([
    ['csrf(options)', (sites) => csrf({ sites, allSites: true })],
    ['csrf(sessions)', (sites) => csrf(sessions(sites))],
  ])('%s.refusal() goes by the rules of unsafe methods', async (_name, make) => {
    for (const sites of [[site], async (origin: string) => Promise.resolve(origin === site)]) {
      const greeted = await greetedBy(make(sites))
      expect(await greeted('own')).toBe('hello')
      expect(await greeted(site)).toBe('hello')
      expect(await greeted(foreign)).toBe('403')
    }
    const failing = await greetedBy(make(() => Promise.reject(new Error('no database'))))
    expect(await failing(foreign)).toBe('403')
  })

  test('csrf(sessions) fires the event of its sessions', async () => {
    const made = sessions([site])
    const told: unknown[] = []
    made.on('forged', ({ rule }) => told.push(rule))
    expect(await (await greetedBy(csrf(made)))(foreign)).toBe('403')
    expect(told).toEqual(['otherOrigin'])
  })
})

test.each<[unknown, RegExp]>([
  [{ site: [] }, /csrf has no option "site"/],
  [['https://a.test'], /csrf\(\) was given an array/],
  [new MemoryStore(), /csrf\(\) was given a store/],
  [{ sites: ['*'] }, /would trust every site/],
  [{ proxy: true, report: 'yes' }, /csrf\.report must be true or false/],
  [null, /csrf\(\) was given nothing/],
])('refuses %o at start-up', (given, message) => {
  expect(() => csrf(given as never)).toThrow(
    expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringMatching(message) as string,
    }),
  )
})

test('refuses sessions whose check is off', () => {
  const made = createSessions({ store: new MemoryStore(), secret: 'a secret of the tests', sweep: false, csrf: false }) // prettier-ignore
  onTestFinished(() => made.close())
  expect(() => csrf(made)).toThrow(/csrf: false, so there is nothing to check/)
  expect(() => csrf(made, { skip: 1 } as never)).toThrow(/csrf\(sessions\) has no option "skip"/)
})
