import { createSessions } from 'coatcheck'
import { describe, expect, it, onTestFinished } from 'vitest'
import { secret } from '../core/works.ts'
import { ask } from '../servers/redis-commands.ts'
import { startRedis } from '../servers/redis.ts'
import { insert, newId, removal, rotation, touch, update } from './mysql-subject.ts'
import { openStore } from './redis-subject.ts'

/** As docs/stores.md has them. */
const rights = [
  'resetkeys', '~coatcheck:*', 'resetchannels', '-@all', '+hello', '+ping', '+select', '+info', '+time',
  '+eval', '+evalsha', '+get', '+mget', '+getrange', '+set', '+setrange', '+del', '+pexpireat',
  '+zadd', '+zrange', '+zrem', '+zremrangebyscore',
] // prettier-ignore

describe('the rights of a user of Redis', () => {
  async function serverOf(...more: readonly string[]): Promise<string> {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    await ask(server, 'ACL', 'SETUSER', 'shop', 'on', '>a long random password', ...rights, ...more)
    const url = new URL(server.url)
    url.username = 'shop'
    url.password = 'a long random password'
    return url.href
  }

  it('are enough for all that sessions do', async () => {
    const store = openStore(await serverOf(), { prefix: 'coatcheck:' })
    const [id, other] = [newId(), newId()]
    const lifetime = { idle: 3_600_000, absolute: undefined }
    expect(
      await store.write([
        { ...insert(id), userId: 'ada', signedIn: true, lifetime },
        { ...insert(other), userId: 'ada', signedIn: true, lifetime },
      ]),
    ).toEqual(['done', 'done'])
    expect(await store.write([touch(id)])).toEqual(['done'])
    expect(await store.write([{ ...update(id, 1), userId: 'ada' }])).toEqual(['done'])
    expect(await store.write([{ ...rotation(id, 2), userId: 'ada' }])).toEqual(['done'])
    expect(await store.find([id])).toMatchObject([{ version: 3 }])
    expect(await store.alive([id])).toMatchObject([{ id }])
    expect((await store.list({ userId: 'ada', limit: 9, data: true })).items).toHaveLength(2)
    expect(await store.write([removal(other, 'ada')])).toEqual(['done'])
    expect(await store.removeByUser('ada')).toBe(1)
  })

  it('are asked for at start-up by ready()', async () => {
    const url = await serverOf('-info')
    const sessions = createSessions({ store: openStore(url, { prefix: 'coatcheck:' }), secret })
    onTestFinished(() => sessions.close())
    await expect(sessions.ready()).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringContaining('(NOPERM)'),
    })
  })

  it.each(['-evalsha', '-set', '-zadd', 'resetkeys'])(
    'are too few with %s: the app is told so',
    async (less) => {
      const store = openStore(await serverOf(less), { prefix: 'coatcheck:' })
      const lifetime = { idle: 3_600_000, absolute: undefined }
      const [result] = await store
        .write([{ ...insert(newId()), userId: 'ada', signedIn: true, lifetime }])
        .catch((error: unknown) => [error])
      expect(result).toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 })
    },
  )

  it('of another prefix are refused', async () => {
    const store = openStore(await serverOf(), { prefix: 'shop:' })
    await expect(store.find([newId()])).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION' })
  })
})
