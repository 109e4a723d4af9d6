import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Request, Response as ExpressResponse } from 'express'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import { express4Framework, express5Framework, type Middleware, type SessionBag } from './frameworks.ts'
import { cookieOf, serve } from './serve.ts'

type Handler = (request: Request & { session: SessionBag }, response: ExpressResponse) => unknown
const handlerOf = (handler: Handler) => handler as unknown as Middleware
const get = (url: string, init?: RequestInit) => fetch(url, { redirect: 'manual', ...init })
// Without a Cache-Control of its own, fetch adds no-cache, and no ETag is fresh for that.
const ifNoneMatch = (etag: string | null) => ({ 'if-none-match': etag!, 'cache-control': 'max-age=0' })

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-'))
  await writeFile(join(folder, 'page.html'), '<p>a page</p>')
  await writeFile(join(folder, 'big.bin'), Buffer.alloc(3_000_000, 'x'))
})
afterAll(() => rm(folder, { recursive: true }))

describe.each([express5Framework, express4Framework])('in $name,', (framework) => {
  test('res.json, res.send and res.sendStatus store the session', async () => {
    const { url } = await serve({
      framework,
      handler: handlerOf((request, response) => {
        if (request.path === '/read') return response.json({ seen: request.session.seen })
        request.session.seen = request.path
        if (request.path === '/json') return response.json({ ok: true })
        if (request.path === '/send') return response.status(201).send('<p>ok</p>')
        return response.sendStatus(202)
      }),
    })
    for (const [path, status, body] of [
      ['/json', 200, '{"ok":true}'],
      ['/send', 201, '<p>ok</p>'],
      ['/status', 202, 'Accepted'],
    ] as const) {
      const response = await get(url + path)
      expect([response.status, await response.text()]).toEqual([status, body])
      expect(response.headers.get('content-length')).toBe(String(body.length))
      const read = await get(`${url}/read`, { headers: { cookie: cookieOf(response) } })
      expect(await read.json()).toEqual({ seen: path })
    }
  })

  test('the target of a redirect always sees the session, however slow the store', async () => {
    const store = new CommandedStore()
    store.writeDelay = 300
    const { url } = await serve({
      framework,
      store,
      handler: handlerOf(async (request, response) => {
        if (request.path === '/')
          return response.send(`${request.session.userId} ${String(request.session.name)}`)
        await request.session.signIn(7)
        request.session.name = request.query.name as string
        return response.redirect('/')
      }),
    })
    const seen = await Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        const login = await get(`${url}/login?name=n${index}`)
        expect([login.status, login.headers.get('location')]).toEqual([302, '/'])
        const target = await get(`${url}/`, { headers: { cookie: cookieOf(login) } })
        return target.text()
      }),
    )
    expect(seen).toEqual(Array.from({ length: 10 }, (_, index) => `7 n${index}`))
  })

  test('a fresh ETag is answered 304, with the cookie of a session that changed', async () => {
    const { url } = await serve({
      framework,
      handler: handlerOf((request, response) => {
        request.session.views = Number(request.session.views ?? 0) + 1
        response.send('the same text every time')
      }),
    })
    const first = await get(url)
    const second = await get(url, { headers: ifNoneMatch(first.headers.get('etag')) })
    expect([second.status, await second.text()]).toEqual([304, ''])
    expect(cookieOf(second)).toMatch(/^sid=s/)
    expect(second.headers.get('cache-control')).toBe('no-store')
    expect(second.headers.get('etag')).toBe(first.headers.get('etag'))
  })

  test('HEAD of res.send has the cookie, the length and no body', async () => {
    const { url } = await serve({
      framework,
      handler: handlerOf((request, response) => {
        request.session.seen = true
        response.send('hello')
      }),
    })
    const response = await get(url, { method: 'HEAD' })
    expect([response.headers.get('content-length'), await response.text()]).toEqual(['5', ''])
    expect(cookieOf(response)).toMatch(/^sid=s/)
  })

  test.each([
    ['page.html', 13],
    ['big.bin', 3_000_000],
  ])('res.sendFile of %s sends it whole, and 304 when it is fresh', async (file, length) => {
    const { url, store } = await serve({
      framework,
      handler: handlerOf((request, response) => {
        request.session.file = file
        response.sendFile(file, { root: folder })
      }),
    })
    const response = await get(url)
    expect(response.headers.get('content-length')).toBe(String(length))
    expect((await response.arrayBuffer()).byteLength).toBe(length)
    expect(cookieOf(response)).toMatch(/^sid=s/)
    const fresh = await get(url, { headers: ifNoneMatch(response.headers.get('etag')) })
    expect([fresh.status, await fresh.text()]).toEqual([304, ''])
    expect(await store.stored()).toEqual([{ file }, { file }])
  })

  test('res.sendFile of a file that is missing goes to the error handler', async () => {
    const { url, errors } = await serve({
      framework,
      handler: handlerOf((request, response) => {
        request.session.seen = true
        response.sendFile('missing', { root: folder })
      }),
    })
    expect((await get(url)).status).toBe(500) // the error handler of these tests knows nothing of 404
    expect(errors).toEqual([expect.objectContaining({ code: 'ENOENT' })])
  })

  test('res.render-like work between setting the session and answering changes nothing', async () => {
    const { url, store } = await serve({
      framework,
      handler: handlerOf(async (request, response) => {
        request.session.seen = true
        await new Promise((resolve) => setImmediate(resolve))
        response.format({ html: () => response.send('<p>'), json: () => response.json({}) })
      }),
    })
    expect((await get(url, { headers: { accept: 'application/json' } })).status).toBe(200)
    expect(await store.stored()).toEqual([{ seen: true }])
  })
})
