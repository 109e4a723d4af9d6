import { createPrivateKey, createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { deserialize, serialize } from 'node:v8'
import {
  type Codec,
  type ListedRecord,
  type ListQuery,
  MemoryStore,
  type SessionError,
  type SessionRecord,
  type Sessions,
  type SessionsOptions,
  type SessionStore,
  type SessionWrite,
} from 'coatcheck'
import session, { type SessionOptions } from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { hashOf, idOf } from '../../dist/core/token.js'
import { bag, committedToken, memorySessions, readData, secret, storedSession } from './works.ts'

const key = randomBytes(32)
const otherKey = randomBytes(32)
const canary = 'a canary that nobody may read'

/** A MemoryStore that counts its writes, and whose rows a test may change as it reads them, as if somebody had in the database. */
class TamperedStore extends MemoryStore {
  readonly changes = new Map<string, (record: SessionRecord) => SessionRecord>()
  readonly writes: SessionWrite[] = []

  override async find(...parameters: Parameters<MemoryStore['find']>) {
    const records = await super.find(...parameters)
    return records.map((record) => record && (this.changes.get(record.id)?.(record) ?? record))
  }

  override async list(query: ListQuery) {
    const page = await super.list(query)
    const items = page.items.map((item) => {
      const change = this.changes.get(item.id) as ((item: ListedRecord) => ListedRecord) | undefined
      return change?.(item) ?? item
    })
    return { ...page, items }
  }

  override write(writes: readonly SessionWrite[]) {
    this.writes.push(...writes)
    return super.write(writes)
  }
}

/** Encrypted sessions, and the faults that they told. */
function encrypted(options: Partial<SessionsOptions> = {}) {
  const store = new TamperedStore()
  const sessions = memorySessions({ store, encryption: key, ...options })
  return { store, sessions, told: faultsOf(sessions) }
}

function faultsOf(sessions: Sessions): SessionError[] {
  const told: SessionError[] = []
  sessions.on('storeError', (error) => told.push(error))
  return told
}

async function rowOf(store: SessionStore, token: string): Promise<SessionRecord> {
  const [record] = await store.find([idOf(token)])
  return record!
}

async function dump(store: SessionStore) {
  return (await store.list({ limit: 1_000, data: true })).items
}

describe('what the store gets', () => {
  test('is read back as it was, and shows nothing of it', async () => {
    const { store, sessions, told } = encrypted()
    const data = { canary, nested: { list: [1, 'ü', null] } }
    const token = await storedSession(sessions, data, 'ada')
    expect(await readData(sessions, token)).toEqual(data)
    expect((await sessions.user('ada').list()).map((session) => session.data)).toEqual([data])
    const [record] = await dump(store)
    const text = Buffer.from(record!.data!).toString('latin1')
    for (const part of [canary, 'canary', 'nested']) expect(text).not.toContain(part)
    expect(told).toEqual([])
  })

  test('is to a database as any bytes are', async () => {
    const { sessions, told } = encrypted({ store: new SQLiteStore(':memory:') })
    const token = await storedSession(sessions, { canary }, 'ada')
    const work = await sessions.load(token)
    await bag(work).rotate()
    bag(work).more = 1
    expect(await readData(sessions, await committedToken(work))).toEqual({ canary, more: 1 })
    expect(told).toEqual([])
    await sessions.close()
  })

  test('may be of any codec', async () => {
    const codec: Codec = { encode: serialize, decode: deserialize }
    const { sessions } = encrypted({ codec })
    const token = await storedSession(sessions, { when: new Date(0), bytes: new Map([[1, canary]]) })
    expect(await readData(sessions, token)).toEqual({ when: new Date(0), bytes: new Map([[1, canary]]) })
  })

  test('is another text each time, with 37 bytes more than the codec made', async () => {
    const { store, sessions } = encrypted()
    const tokens = await Promise.all([1, 1, 1].map((n) => storedSession(sessions, { n })))
    const rows = await Promise.all(tokens.map((token) => rowOf(store, token)))
    expect(rows.map(({ data }) => data.length)).toEqual([37 + 7, 37 + 7, 37 + 7])
    const nonces = rows.map(({ data }) => Buffer.from(data.subarray(9, 21)).toString('hex'))
    expect(new Set(nonces).size).toBe(3)
  })

  test('is limited by what the codec made, so that turning encryption on refuses nothing new', async () => {
    const { sessions } = encrypted({ sizeLimit: 7 })
    await storedSession(sessions, { n: 1 })
    await expect(storedSession(sessions, { n: 10 })).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
  })

  test('of notes about a user holds publicIds only, and does its work', async () => {
    const { sessions, told } = encrypted({ sessionsPerUser: { most: 1, whenFull: 'refuse' } })
    const token = await storedSession(sessions, {}, 'ada')
    await expect(storedSession(sessions, {}, 'ada')).rejects.toMatchObject({ code: 'ERR_SESSION_LIMIT' })
    const late = sessions.begin()
    expect(await sessions.user('ada').revokeAll()).toBe(1)
    await bag(late).signIn('ada')
    await expect(late.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect(await readData(sessions, token)).toEqual({})
    expect(told).toEqual([])
  })
})

describe('a request', () => {
  test('that only reads writes nothing', async () => {
    const { store, sessions } = encrypted()
    const token = await storedSession(sessions, { canary })
    const written = store.writes.length
    const work = await sessions.load(token)
    expect(bag(work).canary).toBe(canary)
    expect(work.commit()).toBeUndefined()
    bag(work).canary = canary
    await bag(work).save()
    await bag(work).reload()
    expect(work.commit()).toBeUndefined()
    expect(store.writes).toHaveLength(written)
  })

  test('that stores twice the same after a change writes once', async () => {
    const { store, sessions } = encrypted()
    const work = await sessions.load(await storedSession(sessions, { n: 1 }))
    bag(work).n = 2
    await bag(work).save()
    const written = store.writes.length
    await bag(work).save()
    expect(work.commit()).toBeUndefined()
    expect(store.writes).toHaveLength(written)
  })

  test('that never opens its session decrypts nothing, also where the expiry moves', async () => {
    const { store, sessions, told } = encrypted({ touchAfter: 1 })
    const token = await storedSession(sessions, { canary })
    const row = await rowOf(store, token)
    store.changes.set(row.id, (record) => ({ ...record, data: Buffer.from('no ciphertext') }))
    vi.useFakeTimers({ now: Date.now() + 5, toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const work = await sessions.load(token)
    await work.commit()
    expect(store.writes.at(-1)).toMatchObject({ type: 'touch' })
    expect(told).toEqual([])
  })

  test('that opens its session and moves the expiry hands over no data', async () => {
    const { store, sessions } = encrypted()
    const token = await storedSession(sessions, { canary }, 'ada')
    const work = await sessions.load(token)
    bag(work).touch()
    await work.commit()
    const touch = store.writes.at(-1)!
    expect(touch.type).toBe('touch')
    expect((touch as Extract<SessionWrite, { type: 'touch' }>).data).toBeUndefined()
    expect(await readData(sessions, token)).toEqual({ canary })
  })

  test('that signs in or rotates without opening its session encrypts it anew', async () => {
    const { sessions, told } = encrypted()
    const login = await sessions.load(await storedSession(sessions, { canary }))
    await login.signIn('ada', { keep: true })
    const work = await sessions.load(await committedToken(login))
    expect(work.userId).toBe('ada')
    await work.rotate()
    const last = await sessions.load(await committedToken(work))
    expect([last.userId, { ...bag(last) }]).toEqual(['ada', { canary }])
    expect(told).toEqual([])
  })

  test('that signs in without opening its session takes in what others stored meanwhile', async () => {
    const { sessions, told } = encrypted()
    const token = await storedSession(sessions, { canary })
    const [login, other] = [await sessions.load(token), await sessions.load(token)]
    await login.signIn('ada', { keep: true })
    bag(other).other = 1
    await other.commit()
    expect(await readData(sessions, await committedToken(login))).toEqual({ canary, other: 1 })
    expect(told).toEqual([])
  })

  test('loses no change to another of the same moment', async () => {
    const { sessions, told } = encrypted()
    const token = await storedSession(sessions, { canary, n: 0 }, 'ada')
    const works = await Promise.all(Array.from({ length: 10 }, () => sessions.load(token)))
    works.forEach((work, index) => (bag(work)[`from${index}`] = index))
    await Promise.all(works.map(async (work) => work.commit()))
    const counters = await Promise.all(Array.from({ length: 10 }, () => sessions.load(token)))
    await Promise.all(
      counters.map((work) =>
        work.update((session) => {
          const counted = session as unknown as { n: number }
          counted.n++
        }),
      ),
    )
    const own = Object.fromEntries(works.map((_, index) => [`from${index}`, index]))
    expect(await readData(sessions, token)).toEqual({ canary, n: 10, ...own })
    expect(told).toEqual([])
  })

  test('with the token from before a rotation sees what was then, and what it changes is merged', async () => {
    const { store, sessions, told } = encrypted()
    const before = await storedSession(sessions, { canary }, 'ada')
    const work = await sessions.load(before)
    bag(work).admin = true
    await bag(work).rotate()
    const after = await committedToken(work)
    const late = await sessions.load(before)
    expect([late.userId, { ...bag(late) }]).toEqual(['ada', { canary }])
    bag(late).late = 1
    await bag(late).save()
    expect({ ...bag(late) }).toEqual({ canary, late: 1 })
    await bag(late).reload()
    expect({ ...bag(late) }).toEqual({ canary })
    expect(await readData(sessions, after)).toEqual({ canary, admin: true, late: 1 })
    const { former } = (await store.find([idOf(before)]))[0]!
    expect(Buffer.from(former!.data).toString('latin1')).not.toContain('canary')
    expect(told).toEqual([])
  })

  test('with the token from before a sign-in still sees the anonymous session', async () => {
    const { sessions, told } = encrypted()
    const before = await storedSession(sessions, { cart: 1 })
    const login = await sessions.load(before)
    await bag(login).signIn('ada')
    await login.commit()
    const late = await sessions.load(before)
    expect([late.userId, { ...bag(late) }]).toEqual([undefined, { cart: 1 }])
    expect(told).toEqual([])
  })
})

/** What requests find of a session that ask for its user first, and that open it first, and how often it is told. */
async function found(sessions: Sessions, token: string, told: SessionError[]) {
  told.length = 0
  const first = await sessions.load(token)
  const userId = first.userId
  const second = await sessions.load(token)
  const data = { ...bag(second) }
  await second.commit()
  const { isNew } = await sessions.load(token)
  return { userId, data, ofSecond: bag(second).userId, isNew, told: told.map(({ code }) => code) }
}

const signedOut = {
  userId: undefined,
  data: {},
  ofSecond: undefined,
  isNew: false, // the row itself is left alone
  told: ['ERR_SESSION_CORRUPT'],
}

describe('somebody who can write to the database', () => {
  test('signs both out by swapping the data of two rows, and shows neither the other', async () => {
    const { store, sessions, told } = encrypted()
    const tokens = [
      await storedSession(sessions, { of: 'ada' }, 'ada'),
      await storedSession(sessions, { of: 'ada, elsewhere' }, 'ada'),
    ] as const
    const rows = [await rowOf(store, tokens[0]), await rowOf(store, tokens[1])] as const
    store.changes.set(rows[0].id, (record) => ({ ...record, data: rows[1].data }))
    store.changes.set(rows[1].id, (record) => ({ ...record, data: rows[0].data }))
    for (const token of tokens) expect(await found(sessions, token, told)).toEqual(signedOut)
  })

  test('signs nobody in by copying a whole row under the id and hash of a token that they hold', async () => {
    const { store, sessions, told } = encrypted()
    const victim = await storedSession(sessions, { canary }, 'ada')
    const own = await storedSession(sessions, {}, 'mallory')
    const row = await rowOf(store, victim)
    store.changes.set(idOf(own), ({ id, hash }) => ({ ...row, id, hash }))
    expect(await found(sessions, own, told)).toEqual(signedOut)
  })

  test('shows nothing in a listing by copying a whole row under another id', async () => {
    const { store, sessions, told } = encrypted()
    const victim = await storedSession(sessions, { canary }, 'ada')
    const own = await storedSession(sessions, { n: 1 }, 'ada')
    const row = await rowOf(store, victim)
    store.changes.set(idOf(own), ({ id }) => ({ ...row, id }))
    const listed = await sessions.user('ada').list()
    expect(listed.map(({ data }) => JSON.stringify(data)).toSorted()).toEqual([
      JSON.stringify({ canary }),
      '{}',
    ])
    expect(told).toMatchObject([{ code: 'ERR_SESSION_CORRUPT' }])
  })

  test('signs nobody in with an old token by setting its hash back', async () => {
    const { store, sessions, told } = encrypted()
    const planted = await storedSession(sessions, { cart: 1 })
    const login = await sessions.load(planted)
    await bag(login).signIn('ada')
    await login.commit()
    store.changes.set(idOf(planted), (record) => ({ ...record, hash: hashOf(planted), former: undefined }))
    expect(await found(sessions, planted, told)).toEqual(signedOut)
  })

  test.each(['comes later', 'is under way'])(
    'puts nothing into a session by giving it what their own held as its former part, when their request %s',
    async (when) => {
      const { store, sessions } = encrypted()
      const victim = await storedSession(sessions, { cart: 1 })
      const own = await storedSession(sessions, { planted: 1 })
      const early = await sessions.load(own)
      bag(early).planted = 2
      const [theirs, record] = [await rowOf(store, victim), await rowOf(store, own)]
      const former = { userId: undefined, authenticatedAt: undefined, data: record.data, hash: hashOf(own) }
      store.changes.set(record.id, ({ id }) => ({ ...theirs, id, former }))
      const late = when === 'comes later' ? await sessions.load(own) : early
      bag(late).planted = 3
      await Promise.resolve(late.commit()).catch(() => undefined)
      store.changes.clear()
      expect(await readData(sessions, victim)).toEqual({ cart: 1 })
    },
  )

  test.each<[string, string | undefined, string | undefined]>([
    ['another user', 'mallory', 'ada'],
    ['no user', 'mallory', undefined],
    ['a user', undefined, 'ada'],
    ['an empty user', undefined, ''],
  ])('gains nothing by giving a session to %s', async (_name, userId, changed) => {
    const { store, sessions, told } = encrypted()
    const token = await storedSession(sessions, { canary }, userId)
    store.changes.set(idOf(token), (record) => ({ ...record, userId: changed }))
    expect(await found(sessions, token, told)).toEqual(signedOut)
  })

  test('cannot have their user_id taken over by a sign-in or a rotation of a session that was never opened', async () => {
    const { store, sessions } = encrypted()
    const token = await storedSession(sessions, { canary }, 'mallory')
    store.changes.set(idOf(token), (record) => ({ ...record, userId: 'ada' }))
    const rotated = await sessions.load(token)
    await rotated.rotate()
    await rotated.commit()
    expect(rotated.outcome).toEqual({ action: 'keep', token: undefined })
    const signedIn = await sessions.load(token)
    await signedIn.signIn('ada')
    expect(await readData(sessions, await committedToken(signedIn))).toEqual({})
  })

  test('signs out by a flip of any byte, by a cut anywhere and by anything added, and crashes nothing', async () => {
    const { store, sessions } = encrypted()
    const tampered: [string, Uint8Array][] = []
    const { data } = await rowOf(store, await storedSession(sessions, { canary }, 'ada'))
    for (let at = 0; at < data.length; at++) {
      const flipped = Buffer.from(data)
      flipped[at]! ^= 1 << (at % 8)
      tampered.push([`byte ${at}`, flipped], [`cut at ${at}`, data.subarray(0, at)])
    }
    tampered.push(['one more', Buffer.concat([data, Buffer.of(0)])], ['text', Buffer.from('{"canary":1}')])
    const token = await storedSession(sessions, { canary }, 'ada')
    for (const [what, bytes] of tampered) {
      store.changes.set(idOf(token), (record) => ({ ...record, data: bytes }))
      const work = await sessions.load(token)
      expect([{ ...bag(work) }, bag(work).userId], what).toEqual([{}, undefined])
    }
    store.changes.clear()
    expect(await readData(sessions, token)).toEqual({ canary })
  })

  test('is found out in a listing, which goes on', async () => {
    const { store, sessions, told } = encrypted()
    await storedSession(sessions, { n: 1 }, 'ada')
    const token = await storedSession(sessions, { n: 2 }, 'ada')
    const { version, data } = await rowOf(store, token)
    const lifetime = { idle: 60_000, absolute: undefined }
    const flipped = Buffer.from(data)
    flipped[30]! ^= 1
    await store.write([
      {
        type: 'update',
        id: idOf(token),
        version,
        userId: 'ada',
        data: flipped,
        format: 1,
        mark: randomBytes(8),
        lifetime,
      },
    ])
    const listed = await sessions.user('ada').list()
    expect(listed.map((session) => JSON.stringify(session.data)).toSorted()).toEqual(['{"n":1}', '{}'])
    expect(told).toMatchObject([{ code: 'ERR_SESSION_CORRUPT' }])
  })
})

/** An app without encryption. */
const leftOut = Symbol('left out')
type Encryption = SessionsOptions['encryption'] | typeof leftOut

describe('keys', () => {
  /** Three apps on one store. */
  function apps(...encryptions: Encryption[]) {
    const store = new MemoryStore()
    const all = encryptions.map((encryption) =>
      memorySessions({ store, ...(encryption === leftOut ? {} : { encryption }) }),
    )
    return { all, told: all.map(faultsOf), store }
  }

  const steps: [string, Encryption, Encryption, Encryption][] = [
    ['replaced', [key, otherKey], [otherKey, key], [otherKey]],
    ['put to use', ['plain', key], [key, 'plain'], [key]],
    ['given up', [key, 'plain'], ['plain', key], leftOut],
  ]

  test.each(steps)('are %s step by step without signing anybody out', async (_name, first, second, third) => {
    const { all, told } = apps(first, second, third)
    const token = await storedSession(all[0]!, { n: 0 }, 'ada')
    // While the second step is being taken everywhere, and the third.
    for (const [before, after] of [all.slice(0, 2), all.slice(1)] as [Sessions, Sessions][]) {
      for (const sessions of [before, after, before, after]) {
        const work = await sessions.load(token)
        bag(work).n = (bag(work).n as number) + 1
        await work.commit()
      }
    }
    expect(await readData(all[1]!, token)).toEqual({ n: 8 })
    expect(await readData(all[2]!, token)).toEqual({ n: 8 })
    expect(told).toEqual([[], [], []])
  })

  test('that are older are left with the next change, and may go when all have changed', async () => {
    const { all, told, store } = apps(key, [otherKey, key], otherKey)
    const [old, both, last] = [all[0]!, all[1]!, all[2]!]
    const token = await storedSession(old, { n: 1 }, 'ada')
    const row = await rowOf(store, token)
    expect(await readData(both, token)).toEqual({ n: 1 })
    await (await both.load(token)).commit()
    expect((await rowOf(store, token)).data).toEqual(row.data)
    const work = await both.load(token)
    bag(work).n = 2
    await work.commit()
    expect(await readData(last, token)).toEqual({ n: 2 })
    expect(told).toEqual([[], [], []])
    expect(await found(old, token, told[0]!)).toEqual(signedOut)
  })

  test('that are the wrong ones sign out, and it is told once what is wrong', async () => {
    const { all, told } = apps(key, otherKey, leftOut)
    const token = await storedSession(all[0]!, { canary }, 'ada')
    expect(await found(all[1]!, token, told[1]!)).toEqual(signedOut)
    expect(told[1]![0]!.message).toMatch(/same codec and encryption/)
    expect((told[1]![0]!.cause as Error).message).toMatch(/a key that encryption does not list/)
    const work = await all[2]!.load(token)
    expect([{ ...bag(work) }, bag(work).userId]).toEqual([{}, undefined])
    expect(told[2]).toMatchObject([{ code: 'ERR_SESSION_CORRUPT' }])
    expect(await readData(all[0]!, token)).toEqual({ canary })
  })

  test('read nothing plain unless they are told to', async () => {
    const { all, told } = apps(leftOut, key, [key, 'plain'])
    const token = await storedSession(all[0]!, { n: 1 }, 'ada')
    expect(await found(all[1]!, token, told[1]!)).toEqual(signedOut)
    expect((told[1]![0]!.cause as Error).message).toMatch(/not encrypted.*'plain'/)
    expect(await readData(all[2]!, token)).toEqual({ n: 1 })
  })

  test('come in any form: bytes, a key object, base64 and base64url, with unset ones after the first', async () => {
    const forms = [
      new Uint8Array(key),
      createSecretKey(key),
      key.toString('base64'),
      key.toString('base64url'),
      [key, undefined],
    ]
    const { all, told } = apps(...forms)
    const token = await storedSession(all[0]!, { canary }, 'ada')
    for (const sessions of all) expect(await readData(sessions, token)).toEqual({ canary })
    expect(told.flat()).toEqual([])
  })
})

describe('encryption is refused at start-up', () => {
  const privateKey = createPrivateKey(
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }),
  )
  test.each<[string, unknown, RegExp]>([
    [
      'without a key, as from an unset variable',
      undefined,
      /no first key.*environment variable.*openssl rand/,
    ],
    ['with an empty text', '', /no first key/],
    ['with an empty list', [], /no first key/],
    ['with a first key that is unset', [undefined, key], /no first key/],
    ['with a key that is too short', randomBytes(16), /32 bytes, and one has 16.*openssl rand/],
    ['with an older key that is too long', [key, randomBytes(33)], /32 bytes, and one has 33/],
    ['with a key in hexadecimal', key.toString('hex'), /32 bytes, and one has 48/],
    ['with a pass phrase', 'correct horse battery staple', /not base64.*openssl rand/],
    ['with a private key', privateKey, /not a private key/],
    ['with a number', 42, /Buffer.*not 42/],
    ['with one key twice', [key, key.toString('base64')], /one key twice.*\[key, oldKey\]/],
    ['with nothing but plain data', ['plain'], /no key.*\['plain', key\]/],
  ])('%s', (_name, encryption, message) => {
    expect(() => memorySessions({ encryption } as Partial<SessionsOptions>)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }),
    )
  })

  test('for a store that keeps sessions as older libraries do', () => {
    const store = new MySQLStore('mysql://127.0.0.1:1/none', { layout: 'express-mysql-session' })
    expect(() => memorySessions({ store, encryption: key })).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(/coatcheck's own layout/) as string,
      }),
    )
  })

  test('in the forms of express-session and express-mysql-session, even by an unset variable', () => {
    const MySQLStore = expressMySQLSession(session)
    const error = expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringMatching(/encryption needs createSessions.*docs\/migrating\.md/) as string,
    }) as Error
    for (const encryption of [key.toString('base64'), undefined]) {
      expect(() => session({ secret, store: new MemoryStore(), encryption } as SessionOptions)).toThrow(error)
      expect(() => new MySQLStore({ database: 'shop', encryption } as object)).toThrow(error)
    }
  })

  test('and no message shows a key', () => {
    const text = `${key.toString('base64')}AAAA`
    expect(() => memorySessions({ encryption: text })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(text) as string }),
    )
  })
})

test('sessions that are not encrypted are stored as the codec made them, byte by byte', async () => {
  const store = new MemoryStore()
  const encode = vi.fn<Codec['encode']>((data) => Buffer.from(JSON.stringify(data)))
  const sessions = memorySessions({
    store,
    codec: { encode, decode: (bytes) => JSON.parse(Buffer.from(bytes).toString()) },
  })
  const token = await storedSession(sessions, { n: 1 })
  expect(Buffer.from((await rowOf(store, token)).data).toString()).toBe('{"n":1}')
  expect(encode).toHaveBeenCalledOnce()
})

test('a codec that reads what Node gives reads it with encryption, too', async () => {
  const codec: Codec = {
    encode: (data) => Buffer.from(JSON.stringify(data)),
    decode: (bytes) => JSON.parse(bytes.toString()) as Record<string, unknown>,
  }
  const sessions = memorySessions({ codec, encryption: key })
  expect(await readData(sessions, await storedSession(sessions, { n: 1 }))).toEqual({ n: 1 })
})
