import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import type { Sessions } from 'coatcheck'
import { filesOfPage } from './page.ts'
import { nextOf, Visitor } from './visitor.ts'

// A hub and a site whose servers take a Request and give a Response: those of docs/handoff.md, on Hono, over HTTP.

/** What a file of the page exports. */
interface FetchApp {
  readonly app: { fetch(request: Request): Response | Promise<Response> }
  readonly sessions: Sessions
}

let hub: string
let shop: string

beforeEach(async () => {
  process.env['SESSION_SECRET'] = 'a secret that only these tests use'
  const [hubServer, shopServer] = [await listen(), await listen()]
  const [hubPort, shopPort] = [portOf(hubServer), portOf(shopServer)]
  const folder = await filesOfPage(`handoff-fetch-${hubPort}`, { hub: hubPort, shop: shopPort, blog: 5_000 })
  hub = `http://accounts.localhost:${hubPort}`
  shop = `http://shop.localhost:${shopPort}`
  await serve(hubServer, hub, join(folder, 'hono-hub.ts'))
  await serve(shopServer, shop, join(folder, 'hono-site.ts'))
})

async function listen(): Promise<Server> {
  const server = createServer({ keepAliveTimeout: 1 })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return server
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

async function serve(server: Server, origin: string, file: string): Promise<void> {
  const { app, sessions } = (await import(pathToFileURL(file).href)) as FetchApp
  onTestFinished(() => sessions.close())
  server.on('request', (request, response) => void answer(app, origin, request, response))
}

/** What an adapter of Hono to Node does. */
async function answer(
  { fetch: handle }: FetchApp['app'],
  origin: string,
  { method = '', url = '', headers }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const given = Object.entries(headers).filter(
    (pair): pair is [string, string] => typeof pair[1] === 'string',
  )
  const answered = await handle(new Request(origin + url, { method, headers: given }))
  response.writeHead(answered.status, [...answered.headers].flat())
  response.end(Buffer.from(await answered.arrayBuffer()))
}

/** Goes to the servers by the names of the page. */
function newVisitor(): Visitor {
  return new Visitor([], (url, init) => {
    const { port, pathname, search } = url
    return fetch(`http://127.0.0.1:${port}${pathname}${search}`, init)
  })
}

describe('a hub and a site of Request and Response', () => {
  it('sign a user in, and out of all', async () => {
    const visitor = newVisitor()
    const form = await visitor.open(`${shop}/members`)
    expect([new URL(form.url).origin, form.status]).toEqual([hub, 200])
    const members = await visitor.post(form.url)
    expect([members.url, members.text]).toEqual([`${shop}/members`, 'Hello, Ada Lovelace!'])
    expect(members.headers.get('vary')).toBe('Cookie')
    const callback = visitor.log.find(({ url }) => url.includes('/callback'))!
    expect(Object.fromEntries(callback.headers)).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
    })
    expect(callback.headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual([
      expect.stringMatching(/^handoff\./),
      'handoff-mark',
      'sid',
    ])
    await visitor.open(`${shop}/handoff/sign-out?everywhere`, { method: 'POST', follow: false })
    expect((await visitor.open(`${shop}/members`)).url.startsWith(hub)).toBe(true)
  })

  it('refuse what the middlewares refuse', async () => {
    const visitor = newVisitor()
    const script = await visitor.open(`${shop}/members`, { headers: { 'sec-fetch-dest': 'empty' } })
    expect([script.status, script.text]).toEqual([401, 'ERR_SESSION_SIGN_IN_NEEDED'])
    const stray = await visitor.open(`${shop}/handoff/callback?code=${'a'.repeat(43)}&state=b`)
    expect([stray.status, stray.text]).toEqual([400, 'ERR_SESSION_HANDOFF_FAILED'])
    expect(stray.headers.get('referrer-policy')).toBe('no-referrer')
    const forged = await visitor.open(`${shop}/handoff/sign-out`, {
      method: 'POST',
      headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' },
    })
    expect(forged.status).toBe(403)
  })

  it('save the session before a redirect leaves', async () => {
    const visitor = newVisitor()
    const begun = await visitor.open(`${shop}/members`, { follow: false })
    const asked = await visitor.open(nextOf(begun), { follow: false })
    const signedIn = await visitor.open(nextOf(asked), { method: 'POST', follow: false })
    expect(signedIn.headers.getSetCookie()).toHaveLength(1)
    expect(signedIn.headers.get('cache-control')).toBe('no-store')
    const code = await visitor.open(nextOf(signedIn), { follow: false })
    expect(new URL(nextOf(code)).searchParams.get('iss')).toBe(hub)
  })
})
