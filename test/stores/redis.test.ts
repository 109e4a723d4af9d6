import { randomBytes } from 'node:crypto'
import type { SessionId, SessionStore } from 'coatcheck'
import { RedisStore } from 'coatcheck/redis'
import { Cluster, Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { createClient } from 'redis'
import { storeSuite } from 'coatcheck/testing'
import { describe, expect, inject, it } from 'vitest'
import { freePort } from '../servers/ports.ts'
import { ask } from '../servers/redis-commands.ts'
import { insert, newId, removal, rotation, stored, storedMany, touch, update } from './mysql-subject.ts'
import {
  afterTest,
  day,
  hour,
  isUnavailable,
  libraries,
  newPrefix,
  newServer,
  openClient,
  openStore,
  resultsOf,
  signedIn,
} from './redis-subject.ts'

storeSuite('RedisStore', {
  describe,
  it,
  expiredRemovedBy: 'database',
  open: async () => {
    const prefix = newPrefix()
    return {
      store: new RedisStore(inject('redis'), { prefix }),
      other: new RedisStore(inject('redis'), { prefix }),
      cleanUp: () => Promise.resolve(),
    }
  },
})

describe('what RedisStore is made from', () => {
  it('a URL and each kind of client reach the same sessions', async () => {
    const prefix = newPrefix()
    const id = await stored(openStore(inject('redis'), { prefix }))
    for (const { single } of libraries) {
      const { client, close } = await single(inject('redis'))
      afterTest(close)
      expect(await openStore(client, { prefix }).find([id])).toMatchObject([{ id }])
    }
  })

  it('takes charge of its own connection only: a client that was passed in stays open', async () => {
    const client = await openClient(inject('redis'))
    const store = openStore(client)
    await stored(store)
    await store.close()
    await store.close()
    expect(await client.ping()).toBe('PONG')
  })

  it('refuses work after close', async () => {
    const store = openStore(inject('redis'))
    await store.close()
    await expect(store.find([newId()])).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED', status: 503 })
  })

  it.each([
    undefined,
    '',
    'localhost:6379',
    'http://:secret-word@localhost',
    'redis://:secret-word@localhost:port',
    'redis://localhost/shop',
    'redis://:secret-word@localhost?db=1',
    {},
    createClient,
  ])('refuses %s', (target) => {
    expect(() => openStore(target as string)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(/redis:\/\/user:password@host:6379|has parameters/),
      }),
    )
    expect(() => openStore(target as string)).not.toThrow(/secret-word/)
  })

  it.each([
    { prefx: 'a' },
    { prefix: '' },
    { prefix: 'a b' },
    { prefix: 'ä' },
    { prefix: 'a'.repeat(101) },
    { commandTimeout: 0 },
    { waitForReplicas: 1 },
    { waitForReplicas: { atLeast: 0, within: '1s' } },
    { waitForReplicas: { atLeast: 1 } },
    { waitForReplicas: { atLeast: 1, within: '1s', more: 1 } },
  ])('refuses the options %o', (options) => {
    expect(() => openStore('redis://localhost', options as object)).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
    )
  })

  it.each([
    ['ioredis', () => new Redis({ lazyConnect: true })],
    ['iovalkey', () => new Valkey({ lazyConnect: true })],
    ['a cluster of ioredis', () => new Cluster([{ port: 1 }], { lazyConnect: true })],
    [
      'ioredis with a keyPrefix',
      () => new Redis({ lazyConnect: true, autoResendUnfulfilledCommands: false, keyPrefix: 'app:' }),
    ],
  ])('refuses a client of %s that changes or repeats commands', (_, open) => {
    expect(() => openStore(open())).toThrow(
      /autoResendUnfulfilledCommands: false|retryDelayOnFailover: 0|prefix/,
    )
  })

  it('says that a client was not connected', async () => {
    const store = openStore(createClient({ url: inject('redis') }))
    await expect(store.find([newId()])).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
  })
})

describe('the keys of RedisStore', () => {
  it('of two prefixes are kept apart, also where one has the signs of a pattern', async () => {
    const prefix = newPrefix()
    const [plain, pattern] = [`${prefix}a:`, `${prefix}[a]*?^\\`].map((each) =>
      openStore(inject('redis'), { prefix: each }),
    ) as [RedisStore, RedisStore]
    const [one, other] = [await stored(plain), await stored(pattern)]
    for (const [store, mine, theirs] of [
      [plain, one, other],
      [pattern, other, one],
    ] as const) {
      expect(await store.find([mine, theirs])).toMatchObject([{ id: mine }, undefined])
      const { items } = await store.list({ limit: 10, data: false })
      expect(items.map(({ id }) => id)).toEqual([mine])
    }
  })

  it('expire on the server with their session', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const client = await openClient(inject('redis'))
    const id = newId()
    const expiryOf = async (): Promise<[number, number]> => [
      await client.pExpireTime(`${prefix}${id}`),
      (await store.find([id]))[0]!.expiresAt,
    ]
    await store.write([{ ...insert(id), lifetime: { idle: hour, absolute: undefined } }])
    expect(new Set(await expiryOf()).size).toBe(1)
    await store.write([{ ...touch(id), lifetime: { idle: 2 * hour, absolute: undefined } }])
    const [touched, known] = await expiryOf()
    expect(touched).toBe(known)
    await store.write([{ ...update(id, 1), lifetime: { idle: hour, absolute: undefined } }])
    const [changed, same] = await expiryOf()
    expect(changed).toBe(same)
    expect(changed).toBeLessThan(touched)
  })

  it('send little to replicas for a touch of a large session', async () => {
    const server = await newServer()
    const client = await openClient(server.url)
    const store = openStore(server.url)
    const id = newId()
    await store.write([{ ...insert(id), data: randomBytes(60_000) }])
    // A server has a backlog for replicas once one has asked for it.
    await newServer({ password: server.password, settings: ['--replicaof', '127.0.0.1', `${server.port}`] })
    const offset = async () => Number(/master_repl_offset:(\d+)/.exec(await client.info('replication'))?.[1])
    await expect.poll(() => client.info('replication')).toContain('state=online')
    const before = await offset()
    await store.write([{ ...touch(id), lifetime: { idle: 2 * hour, absolute: undefined } }])
    const sent = (await offset()) - before
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(1_000)
  })

  it('that hold something else are found by nobody, and stay as they are', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const client = await openClient(inject('redis'))
    for (const value of ['', 'x', '{"cookie":{}}', '\u0002'.repeat(100)]) {
      const id = newId()
      await client.set(`${prefix}${id}`, value)
      expect(await store.find([id])).toEqual([undefined])
      expect(await store.alive([id])).toEqual([undefined])
      const writes = [update(id, 1), touch(id), removal(id)]
      for (const write of writes) expect(await store.write([write])).toEqual(['gone'])
      expect(await store.write([insert(id)])).toEqual(['exists'])
      expect(await client.get(`${prefix}${id}`)).toBe(value)
    }
  })

  it('of another type fail alone', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const client = await openClient(inject('redis'))
    const [list, id] = [newId(), await stored(store)]
    await client.lPush(`${prefix}${list}`, 'x')
    const [failed, done] = await store.write([update(list, 1), update(id, 1)])
    expect([failed, done]).toMatchObject([{ code: 'ERR_SESSION_STORE_CONFIGURATION' }, 'done'])
    expect(await store.find([list, id])).toMatchObject([undefined, { id }])
  })

  it('that were cut off or changed anywhere harm nobody', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const client = await openClient(inject('redis'))
    const [id, neighbour] = [newId(), await stored(store)]
    await store.write([{ ...signedIn(id, 'ada', { idle: hour, absolute: day }), about: 'phone' }])
    await store.write([{ ...rotation(id, 1, hour), userId: 'ada' }])
    const whole = Buffer.from(
      (await client.sendCommand(['GET', `${prefix}${id}`], {
        typeMapping: { [36]: Buffer },
      } as object)) as never,
    )
    const damaged = [
      ...Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)),
      ...Array.from({ length: whole.length }, (_, at) => {
        const changed = Buffer.from(whole)
        changed[at]! ^= 1 << (at % 8)
        return changed
      }),
      Buffer.concat([whole, Buffer.alloc(1)]),
    ]
    for (const value of damaged) {
      await client.set(`${prefix}${id}`, value)
      const [found, next] = await store.find([id, neighbour])
      expect(next).toMatchObject({ id: neighbour })
      expect(found === undefined || value.length === whole.length).toBe(true)
      await store.alive([id])
      await store.list({ userId: 'ada', limit: 10, data: true })
      const results = await store.write([update(id, 2), touch(neighbour)])
      expect(results[1]).toBe('done')
      await store.write([removal(id)])
    }
  })
})

describe('the index of a user', () => {
  async function indexOf(prefix: string): Promise<{ client: ReturnType<typeof createClient>; key: string }> {
    const client = await openClient(inject('redis'))
    const keys = await client.keys(`${prefix}user:*`)
    expect(keys).toHaveLength(1)
    return { client, key: keys[0]! }
  }

  it('loses a session that ends or gets another user, and keeps one that is signed in again', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const [kept, ended, left] = [newId(), newId(), newId()]
    const lifetime = { idle: hour, absolute: day }
    await store.write([kept, ended, left].map((id) => signedIn(id, 'ada', lifetime)))
    const { client, key } = await indexOf(prefix)
    expect(await client.zCard(key)).toBe(3)
    const signIn = (id: SessionId, version: number, userId: string | undefined) => {
      const change = rotation(id, version)
      return { ...change, userId, lifetime, secret: { ...change.secret, signedIn: userId !== undefined } }
    }
    expect(
      await store.write([signIn(kept, 1, 'ada'), removal(ended, 'ada'), signIn(left, 1, undefined)]),
    ).toEqual(['done', 'done', 'done'])
    await expect.poll(() => client.zCard(key)).toBe(1)
    expect((await store.list({ userId: 'ada', limit: 10, data: false })).items).toMatchObject([{ id: kept }])
    // Away and back: the entry of the first time, removed late, must not take that of the second.
    expect(await store.write([signIn(kept, 2, 'bob')])).toEqual(['done'])
    expect(await store.write([signIn(kept, 3, 'ada')])).toEqual(['done'])
    await expect.poll(() => client.zCard(key)).toBe(1)
    expect((await store.list({ userId: 'ada', limit: 10, data: false })).items).toMatchObject([{ id: kept }])
    expect(await store.removeByUser('ada')).toBe(1)
  })

  it('stands longer than its sessions can live, and is gone some time after', async () => {
    const prefix = newPrefix()
    const store = openStore(inject('redis'), { prefix })
    const id = newId()
    await store.write([signedIn(id, 'ada', { idle: hour, absolute: undefined })])
    const { client, key } = await indexOf(prefix)
    const [left, life] = [await client.pTTL(key), await client.pTTL(`${prefix}${id}`)]
    expect(left).toBeGreaterThan(life + hour)
    expect(left).toBeLessThan(life + hour + day + 60_000)
    // The session is used until it outlives its entry: that is prolonged before the session is.
    for (const idle of [2 * day, 9 * day]) {
      const lifetime = { idle, absolute: undefined }
      expect(await store.write([{ ...touch(id), lifetime }])).toEqual(['done'])
      expect(await client.pTTL(key)).toBeGreaterThan(await client.pTTL(`${prefix}${id}`))
      const lives = 2 * idle
      const change = { ...update(id, idle === 2 * day ? 1 : 2), userId: 'ada' }
      expect(await store.write([{ ...change, lifetime: { idle: lives, absolute: undefined } }])).toEqual([
        'done',
      ])
      expect(await client.pTTL(key)).toBeGreaterThan(await client.pTTL(`${prefix}${id}`))
    }
  })

  it('is not asked where a session of the user is changed, touched or read', async () => {
    const server = await newServer()
    const client = await openClient(server.url)
    const store = openStore(server.url)
    const id = newId()
    await store.write([signedIn(id, 'ada', { idle: hour, absolute: day })])
    await client.configResetStat()
    for (let version = 1; version <= 10; version++) {
      await store.find([id])
      expect(await store.write([{ ...update(id, version), userId: 'ada' }])).toEqual(['done'])
      expect(await store.write([touch(id)])).toEqual(['done'])
    }
    const stats = await client.info('commandstats')
    expect(stats).toMatch(/cmdstat_evalsha:calls=30,/)
    expect(stats).not.toMatch(/cmdstat_z/)
  })

  it.each([1, 2, 3, 4])(
    'misses no session that lives, where an app dies before its command %i of a sign-in',
    async (last) => {
      const prefix = newPrefix()
      const store = openStore(inject('redis'), { prefix })
      const client = await openClient(inject('redis'))
      for (const anew of [true, false]) {
        const id = anew ? newId() : await stored(store)
        let commands = 0
        const dying = {
          isOpen: true,
          duplicate: () => dying,
          sendCommand: (command: never, options: object): Promise<unknown> => {
            // The first asks what kind of server it is.
            if (String(command[0]) !== 'INFO' && ++commands >= last) return new Promise(() => undefined)
            return client.sendCommand(command, options)
          },
        }
        const dead = new RedisStore(dying, { prefix, commandTimeout: 100 })
        const change = rotation(id, 1)
        const lifetime = { idle: hour, absolute: day }
        await resultsOf(
          dead.write([
            anew
              ? signedIn(id, 'ada', lifetime)
              : { ...change, userId: 'ada', lifetime, secret: { ...change.secret, signedIn: true } },
          ]),
        )
        const [record] = await store.find([id])
        const { items } = await store.list({ userId: 'ada', limit: 10, data: false })
        expect(items.map((item) => item.id)).toEqual(record?.userId === 'ada' ? [id] : [])
        await store.removeByUser('ada')
        expect((await store.find([id]))[0]?.userId).toBeUndefined()
      }
    },
  )
})

describe('a server of Redis', () => {
  it('that may evict sessions is refused on first use, and taken once it may not', async () => {
    const settings = ['--maxmemory', '100mb', '--maxmemory-policy', 'volatile-lru']
    const server = await newServer({ settings })
    const store = openStore(server.url)
    await expect(store.find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringMatching(/volatile-lru.*noeviction/),
    })
    await ask(server, 'CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await stored(store)
  })

  it('without a limit of memory evicts nothing, whatever its policy', async () => {
    const server = await newServer({ settings: ['--maxmemory-policy', 'allkeys-lru'] })
    const store = openStore(server.url)
    const id = await stored(store)
    expect(await store.find([id])).toMatchObject([{ id }])
  })

  it('forgets its scripts, and gets them again', async () => {
    const server = await newServer()
    const store = openStore(server.url)
    const id = await stored(store)
    for (let version = 1; version <= 3; version++) {
      await ask(server, 'SCRIPT', 'FLUSH')
      expect(await store.find([id])).toMatchObject([{ version }])
      await ask(server, 'SCRIPT', 'FLUSH')
      expect(await store.write([update(id, version)])).toEqual(['done'])
    }
  })

  it.each(['a URL', ...libraries.map(({ name }) => name)])(
    'may end connections at any time: the store goes on, by %s, and knows what was stored',
    async (name) => {
      const server = await newServer()
      const library = libraries.find((each) => each.name === name)
      const opened = await library?.single(server.url)
      if (opened) afterTest(() => opened.close())
      const store = openStore(opened?.client ?? server.url)
      const [id] = await storedMany(store, 1)
      let version = 1
      for (let round = 0; round < 20; round++) {
        const writing = resultsOf(store.write([update(id!, version)]))
        await ask(server, 'CLIENT', 'KILL', 'TYPE', 'normal')
        const [result] = await writing
        let record: Awaited<ReturnType<SessionStore['find']>>[number]
        await expect
          .poll(async () => (record = (await store.find([id!]).catch(() => []))[0]))
          .toMatchObject({ id })
        const isKnown = result === 'done' ? record!.version === version + 1 : isUnavailable(result)
        expect(isKnown, String(result)).toBe(true)
        version = record!.version
      }
    },
  )

  it('that is killed is away at once, and back once it runs again', async () => {
    const server = await newServer({ persistence: 'each write' })
    const store = openStore(server.url)
    const ids = await storedMany(store, 5)
    await server.crash()
    for (const asked of [store.find(ids), store.write(ids.map((id) => update(id, 1)))]) {
      const [result] = (await (asked as Promise<unknown[]>).catch((error: unknown) => [error])) as unknown[]
      expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
    }
    await server.restart()
    expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id, version: 1 })))
  })

  it('that is silent is given up in time, and its answer comes to nobody else', async () => {
    const server = await newServer()
    const store = openStore(server.url, { commandTimeout: 300 })
    const [one, other] = await storedMany(store, 2)
    process.kill(server.pid!, 'SIGSTOP')
    const [result] = await resultsOf(store.write([update(one!, 1)]))
    expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
    process.kill(server.pid!, 'SIGCONT')
    await expect.poll(() => store.find([other!]).catch(() => [])).toMatchObject([{ id: other, version: 1 }])
    const [record] = await store.find([one!])
    expect([1, 2]).toContain(record!.version)
  })

  it('takes 64 MiB of data, twice over a rotation, and more is refused as too large', async () => {
    const store = openStore((await newServer()).url, { commandTimeout: '60s' })
    const id = newId()
    const data = Buffer.alloc(2 ** 26, 'x')
    expect(await store.write([{ ...insert(id), data }])).toEqual(['done'])
    expect(await store.write([{ ...rotation(id, 1, hour), data }])).toEqual(['done'])
    const [record] = await store.find([id])
    expect([record!.data.length, record!.former!.data.length]).toEqual([data.length, data.length])
    const more = Buffer.alloc(data.length + 1)
    const results = await store.write([{ ...insert(newId()), data: more }, touch(id)])
    expect(results).toMatchObject([{ code: 'ERR_SESSION_TOO_LARGE' }, 'moved'])
  })
})

describe('what a server of Redis refuses is told by its kind', () => {
  it.each([
    ['has no memory left', ['--maxmemory', '2mb'], 'ERR_SESSION_STORE_UNAVAILABLE', 'OOM'],
    ['misses replicas', ['--min-replicas-to-write', '1'], 'ERR_SESSION_STORE_UNAVAILABLE', 'NOREPLICAS'],
  ])('a server that %s', async (_, settings, code, word) => {
    const server = await newServer({ settings })
    const store = openStore(server.url)
    let result: unknown = 'done'
    for (let count = 0; count < 100 && result === 'done'; count++) {
      const big = { ...insert(newId()), data: randomBytes(100_000) }
      ;[result] = await resultsOf(store.write([big]))
    }
    expect(result).toMatchObject({ code, status: 503, message: expect.stringContaining(`(${word})`) })
  })

  it('a server that cannot write to its disk', async () => {
    const server = await newServer({
      persistence: 'default',
      settings: ['--enable-protected-configs', 'yes'],
    })
    const store = openStore(server.url)
    const id = await stored(store)
    await ask(server, 'CONFIG', 'SET', 'dir', '/proc')
    await ask(server, 'BGSAVE')
    await expect.poll(() => ask(server, 'INFO', 'persistence')).toContain('rdb_last_bgsave_status:err')
    const [result] = await resultsOf(store.write([update(id, 1)]))
    expect(result).toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
      message: expect.stringContaining('(MISCONF)'),
    })
    expect(await store.find([id])).toMatchObject([{ id, version: 1 }])
  })

  it('a replica, which takes no writes and answers reads', async () => {
    const primary = await newServer()
    const id = await stored(openStore(primary.url, { prefix: 'app:' }))
    const replica = await newServer({
      password: primary.password,
      settings: ['--replicaof', '127.0.0.1', `${primary.port}`],
    })
    const store = openStore(replica.url, { prefix: 'app:' })
    await expect.poll(() => store.find([id]).catch(() => [])).toMatchObject([{ id }])
    const [result] = await resultsOf(store.write([update(id, 1)]))
    expect(result).toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      message: expect.stringContaining('(READONLY)'),
    })
  })

  it('a replica without its primary, told to answer nothing then', async () => {
    const server = await newServer({ settings: ['--replicaof', '127.0.0.1', `${await freePort()}`] })
    await ask(server, 'CONFIG', 'SET', 'replica-serve-stale-data', 'no')
    const store = openStore(server.url)
    await expect(store.find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      message: expect.stringContaining('(MASTERDOWN)'),
    })
  })

  it('a wrong password, and none', async () => {
    const url = new URL(inject('redis'))
    url.password = 'wrong'
    await expect(openStore(url.href).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      status: 500,
    })
    url.password = ''
    await expect(openStore(url.href).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      status: 500,
    })
  })

  it('a server that loads its data', async () => {
    // Each key takes it half a millisecond when it starts, and after every 1,024 it looks at its connections.
    const settings = ['--key-load-delay', '500']
    const server = await newServer({ persistence: 'each write', settings })
    const store = openStore(server.url)
    const ids = await storedMany(store, 4_000)
    await server.crash()
    const restarted = server.restart()
    await expect
      .poll(() =>
        store.find(ids).then(
          () => 'answered',
          (error: unknown) => error,
        ),
      )
      .toMatchObject({
        code: 'ERR_SESSION_STORE_UNAVAILABLE',
        status: 503,
        message: expect.stringContaining('(LOADING)'),
      })
    await restarted
    expect(await store.find(ids)).toMatchObject(ids.map((id) => ({ id })))
  })

  it("another program's script that does not end", async () => {
    const server = await newServer({ settings: ['--busy-reply-threshold', '1'] })
    const store = openStore(server.url)
    const id = await stored(store)
    const client = await openClient(server.url)
    const endless = client.eval('while true do end').catch(() => undefined)
    await expect
      .poll(() =>
        store.find([id]).then(
          () => 'answered',
          (error: unknown) => error,
        ),
      )
      .toMatchObject({
        code: 'ERR_SESSION_STORE_BUSY',
        status: 503,
        message: expect.stringContaining('(BUSY)'),
      })
    await expect.poll(() => ask(server, 'SCRIPT', 'KILL')).toBe('OK')
    await endless
    expect(await store.find([id])).toMatchObject([{ id }])
  })

  it('too many connections', async () => {
    const server = await newServer({ settings: ['--maxclients', '1'] })
    await openClient(server.url)
    await expect(openStore(server.url).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
    })
  })

  it('nobody at that address', async () => {
    const store = openStore(`redis://127.0.0.1:${await freePort()}`)
    await expect(store.find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
      status: 503,
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })
})
