import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import session from 'coatcheck/express'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { SessionId } from '../../dist/core/store/record.js'
import type { WriteResult } from '../../dist/core/store/session-store.js'
import { hashOf } from '../../dist/core/token.js'
import type { Callback as StoreCallback } from '../../dist/core/callback.js'
import { ForeignStore } from '../../dist/express-session/foreign/foreign-store.js'

type Stored = Record<string, unknown> & { cookie?: Record<string, unknown> }
type SessionRequest = IncomingMessage & {
  session: Stored & { regenerate(done: (error?: unknown) => void): void; signIn(user: string): Promise<void> }
}

const id = 'token' as SessionId
const hash = hashOf(id)
const lifetime = { idle: 600_000, absolute: undefined }
const mark = Buffer.alloc(8)
const longAgo = new Date(Date.now() - 60_000).toJSON()

/** A store as many are: `touch` puts what it is handed in place of what it has, if there was anything or not. */
class PuttingStore {
  readonly rows = new Map<string, string>()
  touch?: (token: string, session: object, done: StoreCallback) => void = (...parameters) =>
    this.set(...parameters)

  get(token: string, done: StoreCallback): void {
    const row = this.rows.get(token)
    setImmediate(done, null, row && JSON.parse(row))
  }

  set(token: string, session: object, done: StoreCallback): void {
    this.rows.set(token, JSON.stringify(session))
    setImmediate(done)
  }

  destroy(token: string, done: StoreCallback): void {
    this.rows.delete(token)
    setImmediate(done)
  }

  only(): Stored {
    const [row, ...others] = [...this.rows.values()]
    if (row === undefined || others.length > 0) throw new Error('not one session is stored')
    return JSON.parse(row) as Stored
  }
}

/** With a `touch` that puts, and without any. */
const stores = [
  ['whose touch puts what it is handed', () => new PuttingStore()],
  ['without touch', () => Object.assign(new PuttingStore(), { touch: undefined })],
] as const

describe('a touch', () => {
  const touch = async (store: PuttingStore, session: object): Promise<WriteResult> => {
    const data = Buffer.from(JSON.stringify(session))
    return (await new ForeignStore(store).write([{ type: 'touch', id, hash, data, lifetime }]))[0]!
  }
  const read = { cookie: { originalMaxAge: 600_000, expires: longAgo }, count: 1 }
  const moved = { ...read, cookie: { originalMaxAge: 600_000, expires: new Date().toJSON() } }

  test.each(stores)(
    'says of what has ended that it is gone, and brings nothing back, in a store %s',
    async (_, make) => {
      const store = make()
      expect(await touch(store, read)).toBe('gone')
      expect([...store.rows]).toEqual([])
    },
  )

  test.each(stores)(
    'says of what is there that it is done, and leaves what others stored, in a store %s',
    async (_, make) => {
      const store = make()
      store.rows.set(id, JSON.stringify({ ...read, count: 2 }))
      expect(await touch(store, moved)).toBe('done')
      expect(store.only()).toMatchObject({ count: 2 })
    },
  )

  test('moves the expiry as the request has moved it, and keeps who is signed in', async () => {
    const store = new PuttingStore()
    const coatcheck = { userId: 'ada', publicId: 'public', createdAt: 1 }
    store.rows.set(id, JSON.stringify({ ...read, coatcheck }))
    await touch(store, moved)
    expect(store.only()).toMatchObject({ ...moved, coatcheck })
  })

  test('leaves the length that another gave the cookie meanwhile', async () => {
    const store = new PuttingStore()
    const longer = { originalMaxAge: 6_000_000, expires: new Date(Date.now() + 6_000_000).toJSON() }
    store.rows.set(id, JSON.stringify({ ...read, cookie: longer }))
    await touch(store, moved)
    expect(store.only().cookie).toMatchObject(longer)
  })

  test('of what another process has spoilt says that it is gone', async () => {
    const store = new PuttingStore()
    store.rows.set(id, '"no session"')
    expect(await touch(store, moved)).toBe('gone')
  })
})

test('what an app has read of one session and puts into another does not bring the user along', async () => {
  const store = new PuttingStore()
  const read = { cookie: {}, count: 1, coatcheck: { userId: 'ada', publicId: 'of ada', createdAt: 1 } }
  const content = { data: Buffer.from(JSON.stringify(read)), format: 1, mark, lifetime, userId: undefined }
  const insert = { type: 'insert', id, publicId: 'of another', hash, signedIn: false, ...content } as const
  expect(await new ForeignStore(store).write([insert])).toEqual(['done'])
  expect(Object.keys(store.only())).toEqual(['cookie', 'count'])
})

test('a session is removed only while it is of the user that is named', async () => {
  const rows = new PuttingStore()
  const store = new ForeignStore(rows)
  rows.rows.set(id, JSON.stringify({ cookie: {}, coatcheck: { userId: 'ada', publicId: 'p', createdAt: 1 } }))
  for (const userId of [undefined, 'bob']) {
    expect(await store.write([{ type: 'remove', id, userId }])).toEqual(['moved'])
  }
  expect(await store.write([{ type: 'remove', id, userId: 'ada' }])).toEqual(['done'])
  expect(await store.write([{ type: 'remove', id, userId: 'ada' }])).toEqual(['gone'])
})

test('a new token is what the session is stored under, and the hash of its record', async () => {
  const rows = new PuttingStore()
  const store = new ForeignStore(rows)
  rows.rows.set(id, JSON.stringify({ cookie: {}, count: 1 }))
  const [before] = await store.find([id])
  expect(before!.hash).toEqual(hash)
  const token = 'another token' as SessionId
  const secret = { hash: hashOf(token), signedIn: true, grace: 10_000, token }
  const content = { data: before!.data, format: 1, mark, lifetime, userId: 'ada' }
  const { version } = before!
  expect(await store.write([{ type: 'update', id, version, secret, ...content }])).toEqual(['done'])
  const [former, after] = await store.find([id, token])
  expect(former).toBeUndefined()
  expect(after).toMatchObject({ id: token, hash: hashOf(token), publicId: before!.publicId, userId: 'ada' })
})

test('a note has no hash, and is not listed', async () => {
  const rows = new PuttingStore()
  const store = new ForeignStore(
    Object.assign(rows, {
      all: (done: StoreCallback) =>
        done(
          null,
          Object.fromEntries([...rows.rows].map(([token, row]) => [token, JSON.parse(row) as object])),
        ),
    }),
  )
  const note = 'note.of a user' as SessionId
  for (const token of [id, note]) rows.rows.set(token, '{"cookie":{}}')
  expect((await store.find([note]))[0]).toMatchObject({ id: note, hash: undefined })
  const { items } = await store.list({ limit: 10, data: false })
  expect(items).toMatchObject([{ id, hash, data: undefined }])
})

describe('while a request that only reads is under way', () => {
  test('what another stores stays', async () => {
    const { store, visit, slow } = await serve(new PuttingStore())
    await visit('/count')
    await slow(() => visit('/count'))
    expect(store.only()).toMatchObject({ count: 2 })
  })

  test('a session that another ends stays ended', async () => {
    const { store, visit, slow } = await serve(new PuttingStore())
    await visit('/count')
    await slow(() => visit('/end'))
    expect([...store.rows]).toEqual([])
  })

  test.each(stores)(
    'a token that another replaced is not set again by `rolling`, in a store %s',
    async (_, make) => {
      const { visit, slow } = await serve(make(), { rolling: true })
      await visit('/count')
      expect(await slow(() => visit('/renew'))).toEqual([])
      expect(await visit('/look')).toHaveLength(1)
    },
  )

  test.each(stores)('a token that another replaced is not signed anew, in a store %s', async (_, make) => {
    const store = make()
    const former = await serve(store, { secret: 'the secret of before' })
    await former.visit('/count')
    const { visit, slow } = await serve(
      store,
      { secret: ['the secret of now', 'the secret of before'] },
      former,
    )
    expect(await slow(() => former.visit('/renew'))).toEqual([])
    expect(await visit('/look')).toHaveLength(1)
  })
})

interface Served {
  readonly store: PuttingStore
  /** @returns the Set-Cookie headers */
  visit(path: string): Promise<string[]>
  /** Does something while a request waits that began before, with the same cookie, and only reads. */
  slow(meanwhile: () => Promise<unknown>): Promise<string[]>
  readonly jar: { cookie: string }
}

/** @param other whose browser is used */
async function serve(store: PuttingStore, options: object = {}, other?: Served): Promise<Served> {
  let [arrive, finish]: (() => void)[] = []
  const arrived = new Promise<void>((resolve) => (arrive = resolve))
  const finished = new Promise<void>((resolve) => (finish = resolve))
  const handlers: Record<string, (request: SessionRequest, response: ServerResponse) => unknown> = {
    '/count': ({ session }, response) => {
      session['count'] = Number(session['count'] ?? 0) + 1
      response.end()
    },
    '/look': ({ session }, response) => response.end(String(session['count'])),
    '/slow': async ({ session }, response) => {
      arrive!()
      await finished
      response.end(String(session['count']))
    },
    '/end': (request, response) => {
      request.session = undefined as never
      response.end()
    },
    '/renew': ({ session }, response) => session.regenerate(() => response.end()),
  }
  const handle = session({
    store,
    secret: 'the secret of the app',
    resave: false,
    unset: 'destroy',
    saveUninitialized: true,
    ...options,
  })
  const server = createServer((request, response) => {
    handle(request, response, (error) => {
      if (error) response.writeHead(500).end()
      else void handlers[request.url!]!(request as SessionRequest, response)
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')

  const { port } = server.address() as AddressInfo
  const jar = other?.jar ?? { cookie: '' }
  const visit = async (path: string): Promise<string[]> => {
    const { status, headers } = await fetch(`http://127.0.0.1:${port}${path}`, { headers: jar })
    expect(status).toBe(200)
    const cookies = headers.getSetCookie()
    if (cookies[0]) jar.cookie = cookies[0].split(';', 1)[0]!
    return cookies
  }
  const slow = async (meanwhile: () => Promise<unknown>): Promise<string[]> => {
    const answered = visit('/slow')
    await arrived
    await meanwhile()
    finish!()
    return answered
  }
  return { store, visit, slow, jar }
}
