import assert from 'node:assert/strict'
import { Agent, type IncomingMessage, request as httpRequest } from 'node:http'
import fc from 'fast-check'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { children, codeFor, flowCookies, flowOf, signedInAtHub, userAt } from '../handoff/moves.ts'
import { Visitor } from '../handoff/visitor.ts'
import { serveWorld } from '../handoff/world.ts'
import { fuzz } from './fuzz.ts'

// A code lives for a minute, and a loaded machine may take longer.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
  return () => void vi.useRealTimers()
})

/** Text as it may stand in an address or a header without ending it. */
const hostileText = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(
    '', '%', '%%', '%2', '%zz', '%25', '%00', '%0d%0a', '%C0%80', '%ED%A0%80', '%EF%BB%BF', '%2e%2e%2f', '..', '../', '//', '\\', '/\\', '//evil.test',
    'https://evil.test/', 'https:evil.test', '@evil.test', 'javascript:alert(1)', 'null', 'undefined', 'NaN', 'true', '[]', '{}', '[object%20Object]', '*',
    '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'shop', 'blog', 'SHOP', 'code', 'S256', 'plain', 's256', 'none', 'login', 'consent', 'select_account',
    '0', '-1', '1e3', '0x10', '999999999999999', '9999999999999999', '1.5', '+1', '٣', ' 1', "'%20OR%201=1", '<script>', '%3Cscript%3E', '${x}', 'a'.repeat(43),
    'A'.repeat(43), '-'.repeat(43), 'a'.repeat(512), 'a'.repeat(513), 'a'.repeat(5_000), '=', '==', ';', ',', '+', '#', '?', '&', '\u00a0', '\u00ff',
  ) }, // prettier-ignore
  { weight: 1, arbitrary: fc.string({ maxLength: 60 }).map(encodeURIComponent) },
  {
    weight: 1,
    arbitrary: fc
      .string({ unit: 'binary', maxLength: 20 })
      .map((text) => encodeURIComponent(text.toWellFormed())),
  },
)

const names = [
  'client_id', 'redirect_uri', 'response_type', 'response_mode', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'prompt', 'max_age',
  'authenticated_after', 'code', 'iss', 'error', 'error_description', 'returnTo', 'everywhere', 'scope', 'request', 'request_uri', '__proto__', 'constructor',
] as const // prettier-ignore

type Change = readonly [name: string, values: readonly string[]]

const changes = fc.array(
  fc.tuple(
    fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: hostileText }),
    fc.array(hostileText, { maxLength: 3 }),
  ),
  { minLength: 1, maxLength: 4 },
)

/** A query with some parameters replaced: by nothing, by one value or by several. All are written as they are. */
function changed(query: string, given: readonly Change[]): string {
  const replaced = new Set(given.map(([name]) => name))
  const kept = query.split('&').filter((pair) => !replaced.has(pair.split('=', 1)[0]!))
  return [...kept, ...given.flatMap(([name, values]) => values.map((value) => `${name}=${value}`))].join('&')
}

/** What Node's client takes in the first line of a request. */
function sendable(text: string): string {
  return text.replaceAll(/[^!-~\u0080-\u00ff]/g, (character) => encodeURIComponent(character))
}

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
}

const agent = new Agent({ keepAlive: true, maxSockets: 4 })

/** Sends an address as it is written: `fetch` would tidy it. */
function send(
  origin: string,
  path: string,
  method: string,
  headers: Record<string, string>,
): Promise<Answer> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    httpRequest({ hostname, port, path: sendable(path), method, headers, agent }, (response) => {
      response.resume()
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers }))
    })
      .on('error', reject)
      .end()
  })
}

function cookieOf(visitor: Visitor, origin: string): string {
  return [...visitor.jar(origin)].map(([name, value]) => `${name}=${value}`).join('; ')
}

async function attacked() {
  const world = await serveWorld()
  onTestFinished(() => agent.destroy())
  const [hub, shop] = [world.hub, world.sites['shop']!]
  const stranger = new Visitor()
  const victim = await signedInAtHub(world)
  const callback = new URL(await codeFor(victim, shop))
  const authorize = victim.log.map(({ url }) => url).find((url) => url.includes('/authorize?'))!
  return { world, hub, shop, stranger, victim, callback, authorize: new URL(authorize) }
}

const isCode = /^[\w-]{43}$/

test('whatever the parameters of /authorize are: a code goes to its listed address with a challenge, or nowhere', async () => {
  const { world, hub, shop, victim, authorize } = await attacked()
  const cookie = cookieOf(victim, hub.origin)
  const good = authorize.search.slice(1)
  let codes = 0
  await fuzz(
    { ci: 2_000, nightly: 200_000 },
    fc.tuple(changes, fc.constantFrom('GET', 'GET', 'GET', 'POST', 'HEAD', 'OPTIONS'), fc.boolean()),
    async ([given, method, knows]) => {
      const query = changed(good, given)
      const headers = {
        accept: 'text/html',
        'sec-fetch-dest': 'document',
        ...(knows && { cookie }),
        origin: hub.origin,
      }
      const { status, headers: said } = await send(hub.origin, `/authorize?${query}`, method, headers)
      assert.ok(status < 500, `${status} of ${method} ${query}`)
      const { location } = said
      if (location === undefined) return
      const next = new URL(location, hub.origin)
      const isOwn = next.origin === hub.origin && next.pathname === '/sign-in'
      const isBack = next.origin === shop.origin && next.pathname === '/handoff/callback'
      assert.ok(isOwn || isBack, `${location} after ${query}`)
      if (!isBack) return
      assert.equal(next.searchParams.getAll('iss').join(), hub.origin)
      if (next.searchParams.getAll('code').length === 0) return
      codes++
      assert.ok(knows && method === 'GET')
      const asked = new URL(`${hub.origin}/authorize?${query}`).searchParams
      assert.deepEqual(asked.getAll('code_challenge_method'), ['S256'])
      assert.equal(asked.getAll('code_challenge').length, 1)
      assert.match(asked.get('code_challenge')!, isCode)
      assert.deepEqual(asked.getAll('client_id'), ['shop'])
      assert.deepEqual(asked.getAll('redirect_uri'), [`${shop.origin}/handoff/callback`])
    },
  )()
  expect(codes).toBeGreaterThan(10)
  expect(await children(world.store)).toEqual([])
  expect(hub.errors.every((error) => (error as { status?: number }).status === 400)).toBe(true)
})

test('whatever the parameters and cookies of a callback are: it signs nobody in, leads nowhere else, and is no 5xx', async () => {
  const { world, shop, victim, callback } = await attacked()
  const flow = flowOf(victim, shop)
  const [name] = flowCookies(victim, shop)
  const good = victim.jar(shop.origin).get(name!)!
  const sid = 'sid=s%3Acoat_AAAAAAAAAAAAAAAAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x'
  const cookies = fc.oneof(
    fc.constant(`${name}=${good}`),
    fc
      .tuple(hostileText, hostileText)
      .map(([one, other]) => `${name}=${one}; ${sid}; ${name}=${other}; handoff-mark=${one}`),
    fc.tuple(hostileText, hostileText).map(([one, other]) => `handoff.${one}=${good}; ${other}=${good}`),
    fc.nat({ max: good.length - 1 }).map((at) => `${name}=${good.slice(0, at)}`),
  )
  // The code of another flow, so that all is right but what was changed.
  const wrong = `${callback.search.slice(1)}`.replace(/code=[^&]*/, `code=${'a'.repeat(43)}`)
  await fuzz(
    { ci: 2_000, nightly: 200_000 },
    fc.tuple(changes, cookies, fc.constantFrom('callback', 'callback', 'sign-in', 'sign-out')),
    async ([given, cookie, address]) => {
      const query = changed(wrong, given)
      const headers = {
        accept: 'text/html',
        'sec-fetch-dest': 'document',
        cookie: cookie.replaceAll(/[^ -~\u0080-\u00ff]/g, ''),
        origin: shop.origin,
      }
      const method = address === 'sign-out' ? 'POST' : 'GET'
      const { status, headers: said } = await send(
        shop.origin,
        `/handoff/${address}?${query}`,
        method,
        headers,
      )
      assert.ok(status < 500, `${status} of ${address} ${query} ${cookie}`)
      const setCookies = said['set-cookie'] ?? []
      assert.ok(!setCookies.some((each) => each.startsWith('sid=s')), `a session after ${query}`)
      const { location } = said
      if (location === undefined) return
      if (address === 'sign-in') assert.equal(new URL(location).origin, world.hub.origin, location)
      else assert.match(location, /^\/(?![/\\])[!-~]*$/)
    },
  )()
  expect(await children(world.store)).toEqual([])
  expect(await userAt(victim, shop)).toBeNull()
  const statuses = new Set(shop.errors.map((error) => (error as { status?: number }).status))
  expect(statuses).toEqual(new Set([400, 403]))
  // The flow is still the victim's own.
  expect(flow.state).toBe(callback.searchParams.get('state'))
  await victim.open(callback.href)
  expect(await userAt(victim, shop)).toBe('ada')
})
