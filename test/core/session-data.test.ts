import { randomBytes } from 'node:crypto'
import { type Codec, jsonCodec, type SessionError } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { hashOf, idOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

/** A session of whatever bytes, as they may lie in a database. */
async function rowOf(store: WatchedStore, bytes: string | Uint8Array, format = 1): Promise<string> {
  const [data, lifetime] = [Buffer.from(bytes as string), { idle: 60_000, absolute: undefined }]
  await store.write([
    {
      type: 'insert',
      id: idOf('row'),
      hash: hashOf('row'),
      userId: 'ada',
      signedIn: false,
      data,
      format,
      mark: randomBytes(8),
      lifetime,
    },
  ])
  store.writes.length = 0
  return 'row'
}

describe('a session without data', () => {
  test('is not stored and not told to the browser', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store }).begin()
    expect(Object.keys(bag(work))).toEqual([])
    expect(work.commit()).toBeUndefined()
    expect(work.outcome.action).toBe('keep')
    expect(store.writes).toEqual([])
  })

  test('is not stored because somebody looked at its id, publicId, or times', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store }).begin()
    const { id, publicId, createdAt, userId } = bag(work)
    expect(id).toMatch(/^coat_[\w-]{48}$/)
    expect(publicId).toMatch(/^[\w-]{16}$/)
    expect([createdAt, userId]).toEqual([undefined, undefined])
    await work.commit()
    expect(store.writes).toEqual([])
    expect(work.outcome.action).toBe('keep')
  })

  test('is not stored if its data was taken out again', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store }).begin()
    bag(work).a = 1
    delete bag(work).a
    await work.commit()
    expect(store.writes).toEqual([])
  })

  test('is stored under the id that was shown, once it has data', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store }).begin()
    const { id, publicId } = bag(work)
    bag(work).a = 1
    await work.commit()
    expect(work.outcome).toEqual({ action: 'issue', token: id })
    expect(store.writes).toMatchObject([{ type: 'insert', id: publicId, hash: hashOf(id) }])
    expect(bag(work).createdAt).toBeInstanceOf(Date)
  })
})

describe('stored data', () => {
  test('is what the next request reads', async () => {
    const sessions = memorySessions()
    const data = { name: 'Ada', cart: [{ id: 1 }], nested: { deep: { er: null } } }
    const token = await storedSession(sessions, data)
    expect(await readData(sessions, token)).toEqual(data)
  })

  test('does not change with the object that it was made of', async () => {
    const sessions = memorySessions()
    const cart = ['coat']
    const token = await storedSession(sessions, { cart })
    cart.push('hat')
    expect(await readData(sessions, token)).toEqual({ cart: ['coat'] })
  })

  test('that did not change writes nothing', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { cart: ['coat'], at: new Date(0), z: 1, a: 2, 7: 'seven' })
    store.writes.length = 0
    const work = await sessions.load(token)
    const session = bag(work)
    session.cart = [...(session.cart as string[])]
    expect(work.commit()).toBeUndefined()
    expect(store.writes).toEqual([])
    expect(work.outcome.action).toBe('keep')
  })

  test('that changed deep inside is written once', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { a: { b: { c: 1 } } })
    store.writes.length = 0
    const work = await sessions.load(token)
    ;(bag(work).a as { b: { c: number } }).b.c = 2
    await work.commit()
    await work.commit()
    expect(store.writes).toMatchObject([{ type: 'update', version: 1 }])
    expect(await readData(sessions, token)).toEqual({ a: { b: { c: 2 } } })
  })

  test('that lost all of its keys is written, and the session stays', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { a: 1 })
    const work = await sessions.load(token)
    delete bag(work).a
    await work.commit()
    expect(work.outcome.action).toBe('keep')
    expect((await sessions.load(token)).publicId).toBe(work.publicId)
    expect(await readData(sessions, token)).toEqual({})
  })

  test('is not decoded in a request that never opens its session', async () => {
    const counts = { encode: 0, decode: 0 }
    const codec: Codec = {
      encode: (data) => (counts.encode++, jsonCodec.encode(data)),
      decode: (bytes) => (counts.decode++, jsonCodec.decode(bytes)),
    }
    const sessions = memorySessions({ codec })
    const token = await storedSession(sessions, { a: 1 })
    Object.assign(counts, { encode: 0, decode: 0 })
    const work = await sessions.load(token)
    expect([work.publicId, work.userId, work.id]).toEqual([expect.any(String), undefined, token])
    expect(work.commit()).toBeUndefined()
    expect(counts).toEqual({ encode: 0, decode: 0 })
    expect(bag(work).a).toBe(1)
    expect(counts.decode).toBe(1)
  })

  test('is not decoded to move its expiry or its token', async () => {
    const counts = { decode: 0 }
    const codec: Codec = {
      encode: jsonCodec.encode,
      decode: (bytes) => (counts.decode++, jsonCodec.decode(bytes)),
    }
    const sessions = memorySessions({ codec })
    const token = await storedSession(sessions, { a: 1 }, 'ada')
    const work = await sessions.load(token)
    work.touch()
    await work.commit()
    await work.rotate()
    const rotated = await committedToken(work)
    expect(counts.decode).toBe(0)
    expect(await readData(sessions, rotated)).toEqual({ a: 1 })
  })
})

describe('a token', () => {
  test('that leads nowhere is never adopted, however well it is made', async () => {
    const sessions = memorySessions()
    const work = await sessions.load('chosen by an attacker')
    bag(work).a = 1
    const token = await committedToken(work)
    expect(token).not.toBe('chosen by an attacker')
    expect(await readData(sessions, 'chosen by an attacker')).toEqual({})
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })

  test('is not given to the store; only its id and its hash are', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { a: 1 }, 'ada')
    await readData(sessions, token)
    expect(JSON.stringify([store.finds, store.writes])).not.toContain(token)
    expect(store.finds).toContain(idOf(token))
    expect(await readData(sessions, idOf(token))).toEqual({})
    expect(await readData(sessions, Buffer.from(hashOf(token)).toString('base64url'))).toEqual({})
  })

  test('may be one of several: the first that leads to a session decides', async () => {
    const sessions = memorySessions()
    const [one, other] = [await storedSession(sessions, { n: 1 }), await storedSession(sessions, { n: 2 })]
    expect(bag(await sessions.load('stale', other, one)).n).toBe(2)
    expect(bag(await sessions.load('stale', one, other)).n).toBe(1)
    expect(bag(await sessions.load('stale', 'other')).n).toBeUndefined()
    expect(bag(await sessions.load()).n).toBeUndefined()
  })
})

describe('a row that cannot be read', () => {
  const corrupt: [string, string | Uint8Array][] = [
    ['an array', '[]'],
    ['null', 'null'],
    ['a number', '1'],
    ['a text', '"text"'],
    ['nothing', ''],
    ['JSON cut short', '{"name":"Ad'],
    ['invalid UTF-8', Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d])],
    ['other bytes', Buffer.from([0xff, 0x00, 0x80])],
  ]

  test.each(corrupt)('(%s) is read as signed out, and told once', async (_name, bytes) => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const told: SessionError[] = []
    sessions.on('storeError', (error) => told.push(error))
    const token = await rowOf(store, bytes)
    for (let round = 0; round < 3; round++) {
      const work = await sessions.load(token)
      expect(Object.keys(bag(work))).toEqual([])
      expect(bag(work).userId).toBeUndefined()
      await work.commit()
      expect(work.outcome.action).toBe('keep')
    }
    expect(told.map(({ code }) => code)).toEqual(['ERR_SESSION_CORRUPT'])
    expect(told[0]!.message).toContain(idOf('row'))
    expect(told[0]!.cause).toBeInstanceOf(Error)
    expect(store.writes).toEqual([])
  })

  test('because a later build has stored it is signed out, is told once, and stays as it is', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const told: SessionError[] = []
    sessions.on('storeError', (error) => told.push(error))
    const token = await rowOf(store, '{"a":1}', 2)
    for (let round = 0; round < 3; round++) {
      const work = await sessions.load(token)
      expect({ ...bag(work) }).toEqual({})
      await work.commit()
    }
    expect(told.map(({ code }) => code)).toEqual(['ERR_SESSION_CORRUPT'])
    expect(store.writes).toEqual([])
  })

  test('gives way to a new session as soon as one is needed', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    sessions.on('storeError', () => undefined)
    const work = await sessions.load(await rowOf(store, '[]'))
    bag(work).a = 1
    const token = await committedToken(work)
    expect(token).not.toBe('row')
    expect(work.publicId).not.toBe('public')
    expect(await readData(sessions, token)).toEqual({ a: 1 })
    expect((await sessions.load(token)).userId).toBeUndefined()
  })

  test('does not hide the others of a listing', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    sessions.on('storeError', () => undefined)
    await rowOf(store, 'null')
    await storedSession(sessions, { a: 1 }, 'ada')
    const data = (await sessions.user('ada').list()).map((info) => info.data)
    expect(data).toHaveLength(2)
    expect(data).toEqual(expect.arrayContaining([{}, { a: 1 }]))
  })
})

describe('names that are part of every session', () => {
  const methods = ['signIn', 'signOut', 'rotate', 'regenerate', 'destroy', 'reload', 'save', 'touch']

  test('are not enumerable, so that a session looks like its data', async () => {
    const session = bag(memorySessions().begin())
    session.a = 1
    expect({ ...session }).toEqual({ a: 1 })
    expect(JSON.stringify(session)).toBe('{"a":1}')
    const seen: string[] = []
    for (const name in session) seen.push(name)
    expect(seen).toEqual(['a'])
  })

  test.each([...methods, 'id', 'publicId', 'userId', 'createdAt', 'authenticatedAt'])(
    'refuse data: req.session.%s',
    (name) => {
      const session = bag(memorySessions().begin()) as Record<string, unknown>
      expect(() => (session[name] = 'data')).toThrow(
        expect.objectContaining({
          code: 'ERR_SESSION_RESERVED_NAME',
          message: expect.stringContaining(name),
        }) as Error,
      )
    },
  )

  test.each(methods)('let a library wrap a method: req.session.%s', (name) => {
    const session = bag(memorySessions().begin()) as Record<string, unknown>
    const wrapped = () => 'wrapped'
    session[name] = wrapped
    expect(session[name]).toBe(wrapped)
    expect(Object.keys(session)).toEqual([])
  })

  test('are not shadowed by what is stored under them, and nothing is polluted', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const stored = [...methods, 'id', 'publicId', 'constructor'].map((name) => `"${name}":{"stored":1}`)
    const token = await rowOf(
      store,
      `{${stored.join()},"__proto__":{"polluted":1},"deep":{"__proto__":{"polluted":2}},"mine":1}`,
    )
    const session = bag(await sessions.load(token))
    for (const name of methods) expect(typeof session[name], name).toBe('function')
    expect([session.id, session.publicId]).toEqual(['row', idOf('row')])
    expect(Object.keys(session)).toEqual(['deep', 'mine'])
    expect([session.polluted, ({} as Record<string, unknown>).polluted]).toEqual([undefined, undefined])
    expect((session.deep as Record<string, unknown>).polluted).toBeUndefined()
    expect(session.constructor).not.toHaveProperty('stored')
    await session.save()
    await session.reload()
    expect(session.mine).toBe(1)
  })

  test('cannot get another prototype by what a request brings', () => {
    const body = JSON.parse('{"a":1,"__proto__":{"signIn":1}}') as object
    const session = bag(memorySessions().begin())
    expect(() => Object.assign(session, body)).toThrow(/req.session.__proto__ is part of every session/)
    expect(session.signIn).toBeTypeOf('function')
    expect({ ...session }).toEqual({ a: 1 })
  })

  test('hidden keys of a row do not come back by a merge', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await rowOf(store, '{"save":1,"__proto__":{"polluted":1},"a":1}')
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    bag(one).one = 1
    bag(other).other = 2
    await one.commit()
    await other.commit()
    expect(await readData(sessions, token)).toEqual({ a: 1, one: 1, other: 2 })
    expect(bag(other).polluted).toBeUndefined()
  })

  const identity = ['id', 'publicId', 'userId', 'createdAt', 'authenticatedAt'] as const

  test.each(identity)(
    'say what the store says: req.session.%s is neither redefined nor deleted',
    async (name) => {
      const sessions = memorySessions()
      const work = await sessions.load(await storedSession(sessions, { a: 1 }, 'ada'))
      const session = bag(work) as Record<string, unknown>
      const before = session[name]
      expect(before).toBeDefined()
      expect(() => Object.defineProperty(session, name, { value: 1 })).toThrow(TypeError)
      expect(() => Object.defineProperties(session, { [name]: { get: () => 1 } })).toThrow(TypeError)
      expect(() => delete session[name]).toThrow(TypeError)
      expect(session[name]).toEqual(before)
      expect(work.commit()).toBeUndefined()
    },
  )

  test('are not changed by what a request brings: Object.assign(req.session, body) with a userId fails', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, {}, 'ada'))
    const body = JSON.parse('{"userId":"admin"}') as object
    const refused = expect.objectContaining({ code: 'ERR_SESSION_RESERVED_NAME' }) as Error
    expect(() => Object.assign(bag(work), body)).toThrow(refused)
    await expect(bag(work).update((session) => Object.assign(session, body))).rejects.toThrow(refused)
    expect([bag(work).userId, work.userId]).toEqual(['ada', 'ada'])
    expect({ ...bag(work) }).toEqual({})
  })

  test.each<[string, unknown]>([
    ['a number', 1],
    ['the same user', 'ada'],
    ['undefined', undefined],
    ['null', null],
  ])('name signIn and signOut where userId is assigned %s', async (_what, value) => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, {}, 'ada'))
    expect(() => ((bag(work) as Record<string, unknown>).userId = value)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_RESERVED_NAME',
        message: expect.stringMatching(/req\.session\.signIn\(userId\).*signOut\(\)/) as string,
      }) as Error,
    )
    expect(bag(work).userId).toBe('ada')
  })

  test('are not hidden by what other apps store under their names, and that stays in the store', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const text = '{"a":1,"userId":7,"createdAt":"long ago","b":2,"save":3}'
    const token = await rowOf(store, text)
    const work = await sessions.load(token)
    expect([bag(work).userId, bag(work).createdAt]).toEqual(['ada', expect.any(Date)])
    expect({ ...bag(work) }).toEqual({ a: 1, b: 2 })
    // What nobody changed is not stored again.
    expect(work.commit()).toBeUndefined()
    expect(store.writes).toEqual([])
    bag(work).a = 4
    bag(work).c = 5
    await work.commit()
    expect(await readText(store)).toBe('{"a":4,"userId":7,"createdAt":"long ago","b":2,"save":3,"c":5}')
  })

  test('are not hidden by what another app stores meanwhile, and that is kept in the merge', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = await sessions.load(await rowOf(store, '{"userId":7,"save":1,"a":1}'))
    bag(work).mine = true
    const [record] = await store.find([idOf('row')])
    const data = Buffer.from('{"userId":8,"a":1,"theirs":true}')
    const { id, version, userId } = record!
    const mark = randomBytes(8)
    const lifetime = { idle: 60_000, absolute: undefined }
    await store.write([{ type: 'update', id, version, userId, data, format: 1, mark, lifetime }])
    await work.commit()
    expect(bag(work).userId).toBe('ada')
    expect(JSON.parse(await readText(store))).toEqual({ userId: 8, a: 1, theirs: true, mine: true })
  })

  test('leave nothing of that to another user who signs in', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const work = await sessions.load(await rowOf(store, '{"userId":7,"a":1}'))
    await bag(work).signIn('bob')
    const token = await committedToken(work)
    const [record] = await store.find([idOf(token)])
    expect([record!.userId, Buffer.from(record!.data).toString()]).toEqual(['bob', '{}'])
  })
})

async function readText(store: WatchedStore): Promise<string> {
  const [record] = await store.find([idOf('row')])
  return Buffer.from(record!.data).toString()
}

describe('data over the size limit', () => {
  test('is refused before the store is asked, and the message names the largest key', async () => {
    const store = new WatchedStore()
    const work = memorySessions({ store, sizeLimit: 1_000 }).begin()
    Object.assign(bag(work), { small: 'x', history: 'x'.repeat(990), other: 'y'.repeat(20) })
    await expect(work.commit()).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
      status: 500,
      message: expect.stringMatching(/limit of 1000 bytes; most of it is in "history"/) as string,
    })
    expect(store.writes).toEqual([])
    expect(work.outcome.action).toBe('keep')
  })

  test('is told from data of exactly that size', async () => {
    const sessions = memorySessions({ sizeLimit: 1_000 })
    const text = (bytes: number) => 'x'.repeat(bytes - '{"a":""}'.length)
    const token = await storedSession(sessions, { a: text(1_000) })
    await expect(storedSession(sessions, { a: text(1_001) })).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
    })
    // Bytes, not characters:
    await expect(storedSession(sessions, { a: 'é'.repeat(600) })).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
    })
    expect(await readData(sessions, token)).toEqual({ a: text(1_000) })
  })

  test('can be read where it was stored under a larger limit, and made smaller', async () => {
    const store = new WatchedStore()
    const token = await storedSession(memorySessions({ store }), { history: 'x'.repeat(2_000), n: 1 })
    const sessions = memorySessions({ store, sizeLimit: 1_000 })
    const reading = await sessions.load(token)
    expect(bag(reading).n).toBe(1)
    expect(reading.commit()).toBeUndefined()
    bag(reading).n = 2
    await expect(reading.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
    delete bag(reading).history
    await reading.commit()
    expect(await readData(sessions, token)).toEqual({ n: 2 })
  })

  test('is data over 64 KiB unless the app says otherwise', async () => {
    const text = 'x'.repeat(65_536 - '{"a":""}'.length)
    await expect(storedSession(memorySessions(), { a: text })).resolves.toBeDefined()
    await expect(storedSession(memorySessions(), { a: `${text}x` })).rejects.toMatchObject({
      code: 'ERR_SESSION_TOO_LARGE',
    })
    await expect(
      storedSession(memorySessions({ sizeLimit: 70_000 }), { a: `${text}x` }),
    ).resolves.toBeDefined()
  })
})
