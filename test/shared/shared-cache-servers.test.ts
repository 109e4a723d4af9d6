import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CacheServer, startNginx, startVarnish } from '../servers/caches.ts'
import { listed, type Mistake, servePages } from './shared-cache-app.ts'

// Real caches before an app. Each user asks for each page from pages of each origin, twice, and nobody is to get what was
// made for another: no page, no cookie, no header.

const origins = [...listed, 'https://evil.test', undefined]
const users = ['ada', 'bob', 'nobody']
const visits = users.flatMap((user) => origins.map((origin) => ({ user, origin })))

let app: Awaited<ReturnType<typeof servePages>>
beforeAll(async () => {
  app = await servePages()
})
afterAll(() => app?.close())

interface Answer {
  readonly status: number
  readonly body: string
  readonly header: (name: string) => string | undefined
}

type Method = 'GET' | 'POST' | 'OPTIONS'

async function ask(url: string, headers: Record<string, string | undefined>, method: Method = 'GET') {
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
  const response = await request(url, { method, headers: given as Record<string, string> })
  const header = (name: string) => [response.headers[name] ?? []].flat()[0]
  return { status: response.statusCode, body: await response.body.text(), header } satisfies Answer
}

/** The cookies of users who have signed in through the cache. */
async function signIn(url: string): Promise<Map<string, string>> {
  const cookies = new Map<string, string>()
  for (const user of users.slice(0, 2)) {
    const { header } = await ask(`${url}/sign-in/${user}`, {}, 'POST')
    cookies.set(user, header('set-cookie')!.split(';', 1)[0]!)
  }
  return cookies
}

const pages = ['public', 'me', 'visit'] as const

/** What came of the requests for the pages of an app. */
interface Result {
  /** What somebody got that was made for others. */
  readonly leaks: readonly string[]
  /** How many answers of each page the app made. The others came from the cache. */
  readonly made: Readonly<Record<(typeof pages)[number], number>>
}

async function visitAll(url: string): Promise<Result> {
  const cookies = await signIn(url)
  const leaks: string[] = []
  const made = { public: 0, me: 0, visit: 0 }
  for (const page of pages) {
    const bodies = new Set<string>()
    const given = new Set<string>()
    for (const { user, origin } of [...visits, ...visits]) {
      const { body, header } = await ask(`${url}/${page}`, { origin, cookie: cookies.get(user) })
      bodies.add(body)
      const { allowed, credentials } = allowedOf(header)
      const own = origin !== undefined && listed.includes(origin) ? origin : undefined
      if (allowed !== own || credentials !== (own && 'true'))
        leaks.push(`${page}: ${origin} got the headers of ${allowed}`)
      const reader = page === 'public' ? 'nobody' : user
      if (!body.endsWith(` for ${reader}`)) leaks.push(`${page}: ${user} got '${body}'`)
      const cookie = header('set-cookie')
      const isNew = page === 'visit' && user === 'nobody'
      if ((cookie !== undefined) !== isNew || given.has(cookie ?? ''))
        leaks.push(`${page}: ${user} got a cookie of another`)
      if (cookie !== undefined) given.add(cookie)
    }
    made[page] = bodies.size
  }
  return { leaks, made }
}

const allowedOf = (header: Answer['header']) => ({
  allowed: header('access-control-allow-origin'),
  credentials: header('access-control-allow-credentials'),
})

/** A visitor without a session gets a new one at each visit. */
const newSessions = 2 * origins.length

/** With one answer for each origin, or for each user and origin. All others come from the cache. */
const shared = { public: 4, me: 12, visit: 8 + newSessions }
/** With the cookies of two users of three, each request goes to the app. */
const withoutCookies = { public: 20, me: 20, visit: 16 + newSessions }

/** What a mistake in the app gives to others: it shows that these tests can see it. */
interface Leak {
  readonly mistake: Mistake
  readonly leak: RegExp
}
const headers: Leak = { mistake: 'no-vary', leak: /^public: https:.+ got the headers of https:.+$/ }
const page: Leak = { mistake: 'no-vary', leak: /^me: bob got 'answer \d+ for ada'$/ }
const cookie = /^visit: nobody got a cookie of another$/
const all: Leak[] = [
  headers,
  page,
  { mistake: 'no-no-store', leak: cookie },
  { mistake: 'cdn-headers', leak: cookie },
]

describe.each([
  {
    name: 'Varnish as it comes',
    start: startVarnish,
    isGreedy: false,
    made: withoutCookies,
    leaks: [headers],
  },
  { name: 'Varnish that keeps cookies', start: startVarnish, isGreedy: true, made: shared, leaks: all },
  { name: 'nginx as it comes', start: startNginx, isGreedy: false, made: shared, leaks: [headers, page] },
  { name: 'nginx that keeps cookies', start: startNginx, isGreedy: true, made: shared, leaks: all },
])('$name', ({ start, isGreedy, made, leaks }) => {
  let cache: CacheServer
  beforeAll(async () => {
    cache = await start(app.port, { isGreedy })
  })
  afterAll(() => cache?.stop())

  const at = (mistake: Mistake) => `${cache.url}/${mistake}`

  test('nobody gets what was made for another, and all the rest comes from the cache', async () => {
    expect(await visitAll(at('none'))).toEqual({ leaks: [], made })
  })

  test('each origin gets the answer to its own preflight', async () => {
    const statuses = []
    for (const origin of [...origins, ...origins]) {
      for (const asked of ['x-one', 'x-two']) {
        const preflight = {
          origin,
          'access-control-request-method': 'PUT',
          'access-control-request-headers': asked,
        }
        const { status, header } = await ask(`${at('none')}/me`, preflight, 'OPTIONS')
        const isListed = origin !== undefined && listed.includes(origin)
        expect(allowedOf(header)).toEqual(
          isListed
            ? { allowed: origin, credentials: 'true' }
            : { allowed: undefined, credentials: undefined },
        )
        expect(header('access-control-allow-headers')).toBe(isListed ? asked : undefined)
        statuses.push(status)
      }
    }
    expect(statuses.slice(0, 6)).toEqual([204, 204, 204, 204, 403, 403])
  })

  test.each(leaks)('with the mistake $mistake in the app, $leak', async ({ mistake, leak }) => {
    const result = await visitAll(at(mistake))
    expect(result.leaks).toContainEqual(expect.stringMatching(leak))
  })
})
