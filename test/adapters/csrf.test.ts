import { once } from 'node:events'
import { IncomingMessage, request as ask, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import methodOverride from 'method-override'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import session from 'coatcheck/express'
import { frameworks, type Framework, type Middleware, type SessionRequest } from './frameworks.ts'
import { cookieOf, serve, type ServeOptions } from './serve.ts'

/** A bank: whoever posts to it moves money, or signs in. */
const bank: Middleware = async (request, response) => {
  const { session } = request
  if (request.url?.startsWith('/login')) await session.signIn('ada')
  if (request.method === 'POST') session.moved = Number(session.moved ?? 0) + 1
  return response.end(JSON.stringify({ user: session.userId, moved: session.moved }))
}

const site = 'https://shop.example.com'
const foreign = 'https://evil.example'

const open = (framework: Framework, options: Partial<ServeOptions> = {}) =>
  serve({ framework, handler: bank, ...options, sessions: { sites: [site], ...options.sessions } })

interface Asked {
  readonly status: number
  readonly text: string
}

/** A request with these very headers: `fetch` would refuse to send some. */
async function send(
  url: string,
  headers: Readonly<Record<string, string | readonly string[]>> = {},
  method = 'POST',
): Promise<Asked> {
  const request = ask(url, { method, headers: headers as Record<string, string | string[]>, agent: false })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  return { status: response.statusCode!, text }
}

describe.each(frameworks)('in $name,', (framework) => {
  test('a page of another origin changes nothing, with and without a cookie, and the app gets the reason', async () => {
    const { url, store, errors, sessions } = await open(framework)
    const told: unknown[] = []
    sessions.on('forged', (event) => told.push(event))
    const cookie = cookieOf(await fetch(`${url}/login`))
    store.writes.length = 0
    for (const headers of [
      { 'sec-fetch-site': 'cross-site', origin: foreign },
      { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.com' },
      { 'sec-fetch-site': ['same-origin', 'same-origin'] },
      { origin: foreign },
      { origin: ['https://shop.example.com', foreign] },
      { origin: 'null' },
      { referer: `${foreign}/page?token=hidden` },
    ]) {
      for (const cookies of [{ cookie }, {}]) {
        const { status } = await send(`${url}/transfer`, { ...headers, ...cookies })
        expect([headers, status]).toEqual([headers, 403])
      }
    }
    expect(store.writes).toEqual([])
    expect(errors).toHaveLength(14)
    expect(errors[0]).toMatchObject({
      code: 'ERR_SESSION_FORGED',
      status: 403,
      message: expect.stringMatching(
        /another site may have sent it.*sites: \['https:\/\/evil\.example'\].*\(rule: otherSite\)/,
      ) as string,
    })
    expect(errors.map(String).join()).not.toContain('hidden')
    expect(told[0]).toEqual({ rule: 'otherSite', method: 'POST', path: '/transfer', origin: foreign })
    expect(await (await fetch(url, { headers: { cookie } })).json()).toEqual({ user: 'ada' })
  })

  test('a sign-in form of another site signs nobody in', async () => {
    const { url, store } = await open(framework)
    expect((await send(`${url}/login`, { 'sec-fetch-site': 'cross-site', origin: foreign })).status).toBe(403)
    expect(store.writes).toEqual([])
  })

  test('the own pages, those of sites, and programs that are no browsers pass', async () => {
    const { url } = await open(framework)
    for (const headers of [
      { 'sec-fetch-site': 'same-origin', origin: url },
      { origin: url },
      { origin: url.replace('http:', 'https:') },
      { 'sec-fetch-site': 'same-site', origin: site },
      { origin: site },
      {},
      { referer: `${url}/form` },
    ]) {
      expect([headers, (await send(`${url}/transfer`, headers)).status]).toEqual([headers, 200])
    }
    expect((await send(url, { 'sec-fetch-site': 'cross-site', origin: foreign }, 'GET')).status).toBe(200)
  })

  test('X-Forwarded-Host makes no origin the own one', async () => {
    const { url } = await open(framework, { session: { proxy: true } })
    const headers = { origin: foreign, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }
    expect((await send(`${url}/transfer`, headers)).status).toBe(403)
  })

  test('requests that get no session are checked too, and csrf: false checks none', async () => {
    const headers = { 'sec-fetch-site': 'cross-site', origin: foreign }
    const skipping = await open(framework, {
      session: { skip: () => true },
      handler: (_, response) => response.end(),
    })
    expect((await send(skipping.url, headers)).status).toBe(403)
    const unchecked = await open(framework, { sessions: { csrf: false } })
    expect((await send(unchecked.url, headers)).status).toBe(200)
  })

  test('an identity provider may post to its one path', async () => {
    const provider = 'https://appleid.apple.com'
    const { url } = await open(framework, { sessions: { csrf: { accept: { '/login/apple': [provider] } } } })
    const headers = { 'sec-fetch-site': 'cross-site', origin: provider }
    expect((await send(`${url}/login/apple?code=1`, headers)).status).toBe(200)
    expect((await send(`${url}/login/apple/`, headers)).status).toBe(403)
    expect((await send(`${url}/transfer?/login/apple`, headers)).status).toBe(403)
  })

  test('a function of sites counts only with allSites, and lets nothing pass if it fails', async () => {
    const failure = new Error('no database')
    const sites = async (origin: string) => {
      if (origin === foreign) throw failure
      return Promise.resolve(origin === site)
    }
    const strict = await open(framework, { sessions: { sites } })
    expect((await send(strict.url, { origin: site })).status).toBe(403)
    const { url, errors, store } = await open(framework, { sessions: { sites, csrf: { allSites: true } } })
    expect((await send(url, { origin: site })).status).toBe(200)
    store.writes.length = 0
    expect((await send(url, { origin: foreign })).status).toBe(500)
    expect([errors, store.writes]).toEqual([[failure], []])
  })

  test('skip that throws, or returns a promise, is an error for the app, also after a function of sites was asked', async () => {
    const failure = new Error('skip failed')
    const asking = { sites: async () => Promise.resolve(true), csrf: { allSites: true } }
    for (const sessions of [{}, asking]) {
      const throwing = await open(framework, { sessions, session: { skip: () => { throw failure } } }) // prettier-ignore
      expect((await send(throwing.url, { origin: site })).status).toBe(500)
      expect(throwing.errors).toEqual([failure])
      const later = await open(framework, {
        sessions,
        session: { skip: (() => Promise.reject(failure)) as never },
      })
      expect((await send(later.url, { origin: site })).status).toBe(500)
      expect(later.errors).toMatchObject([{ code: 'ERR_SESSION_OPTION' }])
    }
  })

  test('the app may make the error of a refusal', async () => {
    const deny = (_request: unknown, { rule }: { rule: string }) =>
      Object.assign(new Error(`no: ${rule}`), { status: 418 })
    const { errors, url } = await open(framework, { sessions: { csrf: { deny } } })
    await send(url, { origin: foreign })
    expect(errors).toMatchObject([{ message: 'no: otherOrigin', status: 418 }])
  })

  test('a report lets everything through, and tells what would be refused', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warn.mockRestore())
    const { url, sessions } = await open(framework, {
      sessions: { csrf: { report: true, withoutHeaders: 'deny' } },
    })
    const told: unknown[] = []
    sessions.on('forged', ({ rule }) => told.push(rule))
    for (const headers of [{ origin: foreign }, {}]) expect((await send(url, headers)).status).toBe(200)
    expect(told).toEqual(['otherOrigin', 'withoutHeaders'])
  })
})

test('an origin that a wildcard of sites matches is told how to be let in', async () => {
  const { url, errors } = await open(frameworks[0]!, { sessions: { sites: ['https://*.example.com'] } })
  await send(url, { origin: 'https://a.example.com' })
  expect(errors).toMatchObject([
    {
      message: expect.stringMatching(
        /wildcards let pages read only.*sites: \['https:\/\/a\.example\.com'\]/,
      ) as string,
    },
  ])
})

test('in production the words for developers are not in the error', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { url, errors } = await open(frameworks[0]!)
  await send(url, { origin: foreign })
  expect(errors).toMatchObject([
    {
      message:
        "This request was refused, because a page of another site may have sent it in its visitor's name.",
    },
  ])
})

test('with method-override, the method that the browser sent and the one in its place are both judged', async () => {
  const { url } = await open(
    frameworks.find(({ name }) => name === 'Express 5')!,
    {
      before: [methodOverride('x-method', { methods: null as never }) as unknown as Middleware],
    },
  )
  expect((await send(url, { 'x-method': 'GET', origin: foreign })).status).toBe(403)
  for (const method of ['GET', 'HEAD', 'OPTIONS'])
    expect((await send(url, { 'x-method': 'DELETE', origin: foreign }, method)).status).toBe(403)
})

test('a refused request has an empty session that cannot be stored, so that code which ignores the error fails closed', async () => {
  const seen: unknown[] = []
  const onError: ServeOptions['onError'] = async (error, { session }, response) => {
    const saving = session.signIn('ada').then(
      () => 'saved',
      (refused: { code: string }) => refused.code,
    )
    seen.push([(error as { code: string }).code, session.userId, Object.keys(session), await saving])
    response.statusCode = 403
    response.end()
  }
  const { url, store, sessions } = await open(frameworks[0]!, { onError })
  const cookie = cookieOf(await fetch(`${url}/login`))
  store.writes.length = 0
  expect((await send(url, { cookie, origin: foreign })).status).toBe(403)
  expect(seen).toEqual([['ERR_SESSION_FORGED', undefined, [], 'ERR_SESSION_FORGED']])
  expect(store.writes).toEqual([])
  expect((await sessions.user('ada').list()).length).toBe(1)
})

test('a WebSocket that does not look at the error is nobody, where the store is away too', async () => {
  const { sessions, store, url } = await open(frameworks[0]!)
  const cookie = cookieOf(await fetch(`${url}/login`))
  const parser = session(sessions)
  const userOf = (headers: Record<string, string>) =>
    new Promise((resolve) => {
      const request = Object.assign(new IncomingMessage(new Socket()), { headers, url: '/', upgrade: true })
      // As the example of ws for express-session has it.
      parser(request, {} as ServerResponse, () =>
        resolve(String((request as unknown as SessionRequest).session.userId)),
      )
    })
  expect(await userOf({ host: 'app.example.com', origin: 'https://app.example.com', cookie })).toBe('ada')
  expect(await userOf({ host: 'app.example.com', origin: foreign, cookie })).toBe('undefined')
  store.down.add('find')
  expect(await userOf({ host: 'app.example.com', origin: 'https://app.example.com', cookie })).toBe(
    'undefined',
  )
})
