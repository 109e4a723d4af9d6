import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import http, { type IncomingMessage, type RequestListener } from 'node:http'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'

// Small apps, written for the incumbents. They run as they are, and again with nothing but their import lines replaced.

const require = createRequire(import.meta.url)
const folder = join(import.meta.dirname, 'apps')

const replaced = new Map([
  ["const session = require('express-session')", "const session = require('coatcheck/express')"],
  ["const cors = require('cors')", "const cors = require('coatcheck/cors')"],
])

let moved: string
beforeAll(async () => {
  // In here, so that the packages are found.
  moved = await mkdtemp(join(folder, 'moved-'))
})
afterAll(() => rm(moved, { recursive: true, force: true }))

type Side = 'as it is' | 'with its imports replaced'

/** Serves an app of the folder, and gives its address. */
async function serve(name: string, side: Side): Promise<string> {
  process.env['NO_DEPRECATION'] ??= 'express-session'
  const app = require(side === 'as it is' ? join(folder, name) : await movedFile(name)) as RequestListener
  const server = http.createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function movedFile(name: string): Promise<string> {
  const source = await readFile(join(folder, name), 'utf8')
  const lines = source.split('\n').map((line) => replaced.get(line) ?? line)
  const path = join(moved, name)
  await writeFile(path, lines.join('\n'))
  return path
}

interface Seen {
  readonly status: number
  readonly body: string
  readonly location: string | undefined
  /** Set-Cookie headers without their values and moments. */
  readonly cookies: readonly string[]
  readonly cors: Readonly<Record<string, string>>
}

/** A browser that keeps cookies, and follows no redirect by itself. */
class Browser {
  readonly #origin: string
  readonly #jar = new Map<string, string>()

  constructor(origin: string) {
    this.#origin = origin
  }

  /** Another one, without cookies. */
  fresh(): Browser {
    return new Browser(this.#origin)
  }

  clone(): Browser {
    const browser = this.fresh()
    for (const [name, value] of this.#jar) browser.#jar.set(name, value)
    return browser
  }

  async send(method: string, path: string, headers: Record<string, string> = {}, body = ''): Promise<Seen> {
    const cookie = [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const request = http.request(this.#origin + path, {
      method,
      agent: false,
      headers: { ...headers, ...(cookie && { cookie }) },
    })
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += chunk as string
    const set = response.headers['set-cookie'] ?? []
    for (const each of set) this.#keep(each)
    return {
      status: response.statusCode!,
      body: text,
      location: response.headers.location,
      cookies: set.map((each) => each.replace(/=[^;]*/, '').replace(/Expires=[^;]*/, 'Expires')),
      cors: Object.fromEntries(
        Object.entries(response.headers).filter((entry): entry is [string, string] =>
          /^access-control|^vary$|^x-total$/.test(entry[0]),
        ),
      ),
    }
  }

  post(path: string, form = ''): Promise<Seen> {
    return this.send('POST', path, { 'content-type': 'application/x-www-form-urlencoded' }, form)
  }

  get(path: string): Promise<Seen> {
    return this.send('GET', path)
  }

  #keep(setCookie: string): void {
    const [pair] = setCookie.split(';', 1) as [string]
    const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
    if (value === '') this.#jar.delete(name)
    else this.#jar.set(name, value)
  }
}

test.each([
  ['sign-in.cjs', 1],
  ['cart.cjs', 1],
  ['api.cjs', 2],
])('in %s nothing but %i import lines is replaced', async (name, count) => {
  const before = (await readFile(join(folder, name), 'utf8')).split('\n')
  const after = (await readFile(await movedFile(name), 'utf8')).split('\n')
  const changed = before.filter((line, index) => line !== after[index])
  expect(changed).toHaveLength(count)
  expect(changed.every((line) => line.includes("require('"))).toBe(true)
  expect(after).toHaveLength(before.length)
})

describe.each<Side>(['as it is', 'with its imports replaced'])('%s', (side) => {
  test('sign-in.cjs: Passport signs in under a new id, and signs out', async () => {
    const browser = new Browser(await serve('sign-in.cjs', side))
    expect(await browser.get('/')).toMatchObject({
      status: 200,
      body: '{"user":null,"visits":1}',
      cookies: ['connect.sid; Path=/; Expires; HttpOnly; SameSite=Lax'],
    })
    expect(await browser.get('/members')).toMatchObject({ status: 302, location: '/login' })
    const before = browser.clone()
    expect(await browser.post('/login/password', 'username=ada&password=wrong')).toMatchObject({
      status: 302,
      location: '/login',
    })
    expect(await browser.post('/login/password', 'username=ada&password=correct')).toMatchObject({
      status: 302,
      location: '/',
      cookies: ['connect.sid; Path=/; Expires; HttpOnly; SameSite=Lax'],
    })
    expect(await browser.get('/members')).toMatchObject({ status: 200, body: 'Hello, ada' })
    expect(await before.get('/members')).toMatchObject({ status: 302, location: '/login' })
    const signedIn = browser.clone()
    expect(await browser.post('/logout')).toMatchObject({ status: 302, location: '/' })
    expect((await browser.get('/')).body).toContain('"user":null')
    expect((await signedIn.get('/')).body).toContain('"user":null')
  })

  test('cart.cjs: items, messages over a redirect, a rolling cookie, another id, and an end', async () => {
    const browser = new Browser(await serve('cart.cjs', side))
    const empty = { items: [], messages: [], theme: 'light', hasCookieInData: true }
    const first = await browser.get('/')
    expect(JSON.parse(first.body)).toMatchObject(empty)
    expect(first.cookies).toEqual(['cart.sid; Path=/; Expires; HttpOnly; Priority=High'])
    expect(await browser.post('/items/tea')).toMatchObject({ status: 302, location: '/' })
    expect(await browser.post('/items/milk')).toMatchObject({ status: 302, location: '/' })
    const cart = await browser.get('/')
    expect(JSON.parse(cart.body)).toMatchObject({
      items: ['tea', 'milk'],
      messages: ['tea is in your cart', 'milk is in your cart'],
    })
    expect(cart.cookies).toHaveLength(1)
    expect(JSON.parse((await browser.get('/')).body)).toMatchObject({ items: ['tea', 'milk'], messages: [] })
    expect((await browser.post('/theme/dark')).cookies).toHaveLength(2)
    expect(JSON.parse((await browser.get('/')).body)).toMatchObject({ theme: 'dark' })
    expect((await browser.post('/remember')).body).toBe('{"days":30}')
    const secure = await browser.fresh().send('GET', '/', { 'x-forwarded-proto': 'https' })
    expect(secure.cookies).toEqual(['cart.sid; Path=/; Expires; HttpOnly; Secure; Priority=High'])
    const before = browser.clone()
    expect((await browser.post('/pay')).body).toBe('{"anotherId":true,"paid":true}')
    expect(JSON.parse((await browser.get('/')).body)).toMatchObject({ items: [] })
    expect(JSON.parse((await before.get('/')).body)).toMatchObject({ items: [] })
    const paid = browser.clone()
    expect((await browser.post('/leave')).body).toBe('Bye.')
    expect(JSON.parse((await paid.get('/')).body)).toMatchObject({ keys: ['cookie', 'flash'] })
  })

  test('api.cjs: other origins read it with credentials, and its store made by util.inherits keeps it', async () => {
    const browser = new Browser(await serve('api.cjs', side))
    const origin = 'https://app.example.com'
    const allowed = {
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    }
    const preflight = await browser.send('OPTIONS', '/notes/one', {
      origin,
      'access-control-request-method': 'PUT',
    })
    expect(preflight).toEqual({
      status: 200,
      body: '',
      location: undefined,
      cookies: [],
      cors: {
        ...allowed,
        'access-control-allow-methods': 'GET,PUT',
        'access-control-allow-headers': 'Content-Type',
        'access-control-expose-headers': 'X-Total',
        'access-control-max-age': '600',
      },
    })
    expect(await browser.send('PUT', '/notes/one', { origin })).toMatchObject({
      status: 204,
      cookies: ['connect.sid; Path=/; HttpOnly; SameSite=Lax'],
      cors: { ...allowed, 'access-control-expose-headers': 'X-Total', 'x-total': '1' },
    })
    await browser.send('PUT', '/notes/two', { origin: 'https://pages.example.org' })
    const notes = await browser.send('GET', '/notes', { origin: 'https://evil.test' })
    expect(JSON.parse(notes.body)).toEqual({ notes: ['one', 'two'], stored: 1, inherits: true })
    expect(notes.cors).not.toHaveProperty('access-control-allow-origin')
    expect((await browser.get('/stored')).body).toBe('{"notes":["one","two"],"id":true}')
    const before = browser.clone()
    expect((await browser.send('PUT', '/end', { origin })).status).toBe(204)
    expect(JSON.parse((await before.get('/notes')).body)).toEqual({ notes: [], stored: 0, inherits: true })
  })
})
