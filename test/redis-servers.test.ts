import { readFileSync } from 'node:fs'
import { createClient, createCluster, createSentinel } from 'redis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { newAuthority } from './servers/certificates.ts'
import { isRunning } from './servers/process-table.ts'
import { type RedisClusterOptions, startRedisCluster } from './servers/redis-cluster.ts'
import { ask } from './servers/redis-commands.ts'
import { startSentinels } from './servers/redis-sentinel.ts'
import { type RedisOptions, startRedis } from './servers/redis.ts'

test('the Redis of the run answers', async () => {
  expect(await ask({ url: inject('redis') }, 'PING')).toBe('PONG')
})

test.for<[NonNullable<RedisOptions['persistence']>, saved: string | null, later: string | null]>([
  ['none', null, null],
  ['default', 'saved', null],
  ['each second', 'saved', 'later'],
  ['each write', 'saved', 'later'],
])('a Redis that is killed has afterwards what it persists: %s', async ([persistence, saved, later]) => {
  const server = await startRedis({ persistence })
  try {
    await ask(server, 'SET', 'first', 'saved')
    if (persistence === 'default') await ask(server, 'SAVE')
    await ask(server, 'SET', 'second', 'later')
    const killed = server.pid!
    await server.crash()
    expect(isRunning(killed)).toBe(false)
    await server.restart()
    expect(server.pid).not.toBe(killed)
    expect(await ask(server, 'MGET', 'first', 'second')).toEqual([saved, later])
  } finally {
    await server.stop()
  }
  expect(isRunning(server.pid!)).toBe(false)
})

test("a Redis by default saves when Debian's does", async () => {
  const server = await startRedis({ persistence: 'default' })
  onTestFinished(() => server.stop())
  expect(await ask(server, 'CONFIG', 'GET', 'save')).toEqual(['save', '3600 1 300 100 60 10000'])
})

test('a Redis with a certificate answers by TLS, and only so', async () => {
  const authority = await newAuthority()
  onTestFinished(() => authority.remove())
  const server = await startRedis({ tls: await authority.certify('localhost') })
  onTestFinished(() => server.stop())
  const url = server.url.replace('127.0.0.1', 'localhost')
  const client = createClient({ url, socket: { tls: true, ca: readFileSync(authority.ca) } })
  await client.connect()
  onTestFinished(() => client.destroy())
  await client.set('name', 'value')
  expect(await client.get('name')).toBe('value')
  const plain = server.url.replace('rediss:', 'redis:')
  await expect(ask({ url: plain }, 'PING')).rejects.toThrow(/closed|ECONNRESET/)
})

/** A cluster and a client of it, which go with the test. */
async function clusterWithClient(options: RedisClusterOptions) {
  const cluster = await startRedisCluster(options)
  onTestFinished(() => cluster.stop())
  const { password } = cluster
  const client = createCluster({
    rootNodes: cluster.nodes.map(({ url }) => ({ url })),
    defaults: { password },
  })
  client.on('error', () => undefined) // of nodes that are killed
  await client.connect()
  onTestFinished(() => client.destroy())
  return { cluster, client }
}

const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`)

test('slots of a cluster move with their keys while a client uses them', async () => {
  const { cluster, client } = await clusterWithClient({ masters: 2 })
  const [from, to] = cluster.nodes
  await Promise.all(keys.map((key) => client.set(key, '0')))
  const slots = await Promise.all(
    keys.map(async (key) => Number(await ask(from!, 'CLUSTER', 'KEYSLOT', key))),
  )
  const own = [...new Set(slots.filter((slot) => slot < 8_192))]
  let isMoving = true
  const moving = (async () => {
    try {
      await cluster.moveSlots(from!, to!, own)
      await cluster.moveSlots(from!, to!, 5)
    } finally {
      isMoving = false
    }
  })()
  let rounds = 0
  while (isMoving) {
    await Promise.all(keys.map((key) => client.incr(key)))
    rounds++
  }
  await moving
  expect(rounds).toBeGreaterThan(0)
  expect(new Set(await Promise.all(keys.map((key) => client.get(key))))).toEqual(new Set([`${rounds}`]))
  expect(await ask(from!, 'DBSIZE')).toBe(0)
  expect(await ask(to!, 'DBSIZE')).toBe(keys.length)
  await cluster.whole()
})

test('a replica takes the place of a master that is asked, and of one that is killed', async () => {
  const { cluster, client } = await clusterWithClient({ masters: 3, replicas: 1 })
  expect(cluster.nodes.map(({ role }) => role)).toEqual([
    ...Array.from({ length: 3 }, () => 'master'),
    ...Array.from({ length: 3 }, () => 'replica'),
  ])
  await Promise.all(keys.map((key) => client.set(key, key)))
  const [first, second, , replica] = cluster.nodes

  await cluster.failover(replica!)
  expect(await ask(replica!, 'ROLE')).toContain('master')
  expect(await ask(first!, 'ROLE')).toContain('slave')
  expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys)

  const copied = await ask(second!, 'DBSIZE')
  await expect.poll(() => ask(cluster.nodes[4]!, 'DBSIZE')).toBe(copied)
  await second!.crash()
  await cluster.whole()
  await second!.restart()
  await cluster.whole()
  expect(await ask(second!, 'ROLE')).toContain('slave')
  await expect
    .poll(() => Promise.all(keys.map((key) => client.get(key))).catch(() => undefined))
    .toEqual(keys)

  const pids = cluster.nodes.map(({ pid }) => pid!)
  expect(pids.filter(isRunning)).toHaveLength(6)
  await cluster.stop()
  expect(pids.filter(isRunning)).toEqual([])
})

test('sentinels let a replica take over from a primary that is killed', async () => {
  const watched = await startSentinels()
  onTestFinished(() => watched.stop())
  const { name, password, sentinels, primary, replicas } = watched
  const client = createSentinel({
    name,
    sentinelRootNodes: [...sentinels],
    nodeClientOptions: { password },
  })
  client.on('error', () => undefined) // of the primary that is killed
  await client.connect()
  onTestFinished(() => client.destroy())
  await client.set('name', 'before')
  expect(await client.get('name')).toBe('before')
  await expect.poll(() => ask(replicas[0]!, 'GET', 'name')).toBe('before')

  await primary.crash()
  await expect.poll(() => ask(replicas[0]!, 'ROLE')).toContain('master')
  await expect.poll(() => client.get('name').catch(() => undefined)).toBe('before')
  await client.set('name', 'after')
  await primary.restart()
  await expect.poll(() => ask(primary, 'GET', 'name')).toBe('after')

  // Killed once more, the new primary is still one as it starts.
  await replicas[0]!.crash()
  await replicas[0]!.restart()
  expect(await ask(replicas[0]!, 'ROLE')).toContain('master')
  const pids = [primary.pid!, replicas[0]!.pid!]
  await watched.stop()
  expect(pids.filter(isRunning)).toEqual([])
})
