import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { createClient } from 'redis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { type RedisServer, startRedis } from '../servers/redis.ts'
import { newId } from './mysql-subject.ts'
import { afterTest, openStore } from './redis-subject.ts'

const run = promisify(execFile)

describe('rediss:// verifies the server', () => {
  let authority: Authority
  let servers: Record<'right' | 'another' | 'plain', RedisServer>
  beforeAll(async () => {
    authority = await newAuthority()
    const [right, another, plain] = await Promise.all([
      startRedis({ tls: await authority.certify('localhost') }),
      startRedis({ tls: await authority.certify('redis.example.com') }),
      startRedis(),
    ])
    servers = { right, another, plain }
  })
  afterAll(async () => {
    await Promise.all(Object.values(servers ?? {}).map((server) => server.stop()))
    await authority.remove()
  })

  function urlOf(server: keyof typeof servers, protocol: 'redis:' | 'rediss:'): string {
    return servers[server].url.replace(/^rediss?:/, protocol).replace('127.0.0.1', 'localhost')
  }

  it('refuses an authority that Node does not trust', async () => {
    await expect(openStore(urlOf('right', 'rediss:')).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    })
  })

  it.each([
    ['right', /^found nothing$/],
    ['another', /^ERR_SESSION_STORE_CONFIGURATION: .*another host/],
  ] as const)('with that authority trusted, takes the %s host name alone', async (server, outcome) => {
    // Node reads the authorities when it starts.
    const script = `
      const { RedisStore } = require('coatcheck/redis')
      const store = new RedisStore(${JSON.stringify(urlOf(server, 'rediss:'))})
      store.find(['${newId()}']).then(() => 'found nothing', ({ code, message }) => code + ': ' + message)
        .then((text) => { console.log(text); return store.close() })`
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: authority.ca }
    const { stdout } = await run(process.execPath, ['--eval', script], { env })
    expect(stdout.trim()).toMatch(outcome)
  })

  it('sends nothing in plain text to a server that offers no TLS', async () => {
    const store = openStore(urlOf('plain', 'rediss:'), { commandTimeout: 300 })
    await expect(store.find([newId()])).rejects.toMatchObject({ status: 503 })
  })

  it("takes a client with an authority of the app's own", async () => {
    const ca = readFileSync(authority.ca)
    const client = createClient({ url: urlOf('right', 'rediss:'), socket: { tls: true, ca } })
    await client.connect()
    afterTest(async () => client.destroy())
    expect(await openStore(client).find([newId()])).toEqual([undefined])
  })
})
