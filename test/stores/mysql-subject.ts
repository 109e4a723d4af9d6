import { hash, randomBytes } from 'node:crypto'
import type { SessionKey, SessionStore } from 'coatcheck'
import { MySQLStore, type MySQLTarget } from 'coatcheck/mysql'
import { createPool, type Pool, type PoolOptions } from 'mysql2/promise'
import { afterEach, expect } from 'vitest'

const cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

export const lifetime = { idle: 3_600_000, absolute: undefined }

/** A store that is closed after the test. */
export function openStore(target: MySQLTarget, options: object = {}): MySQLStore {
  const store = new MySQLStore(target, options)
  cleanUps.push(() => store.close())
  return store
}

/** A pool as an app would have, closed after the test. */
export function openPool(url: string, options: PoolOptions = {}): Pool {
  const pool = createPool({ uri: url, ...options })
  cleanUps.push(() => pool.end())
  return pool
}

/**
 * A new user with these rights in the database of `url`, and nothing else.
 * @param how more of what is said of the user, such as `REQUIRE SSL`
 * @param table the one that the rights are on; left out, they are on all
 */
export async function urlOfUser(url: string, rights: string, how = '', table = '*'): Promise<string> {
  const user = `user_${randomBytes(6).toString('hex')}`
  const pool = openPool(url)
  const mine = new URL(url)
  await pool.query(`CREATE USER ${user}@'127.0.0.1' IDENTIFIED BY '${mine.password}' ${how}`)
  await pool.query(`GRANT ${rights} ON ${mine.pathname.slice(1)}.${table} TO ${user}@'127.0.0.1'`)
  mine.username = user
  return mine.href
}

/** The name of a lock on the table coatcheck_sessions of the database of `url`. */
export function lockNameIn(url: string, purpose: 'migrate' | 'sweep'): string {
  const database = new URL(url).pathname.slice(1)
  return `coatcheck.${purpose}.${hash('sha1', `${database}.coatcheck_sessions`)}`
}

export function newKey(): SessionKey {
  return randomBytes(24).toString('hex') as SessionKey
}

export function insert(key: SessionKey) {
  const publicId = randomBytes(12).toString('base64url')
  return {
    type: 'insert',
    key,
    publicId,
    userId: undefined,
    signedIn: false,
    data: Buffer.from('{}'),
    lifetime,
  } as const
}

export function update(key: SessionKey, version: number) {
  return { type: 'update', key, version, userId: undefined, data: randomBytes(20), lifetime } as const
}

export async function stored(store: SessionStore): Promise<SessionKey> {
  const [key] = await storedMany(store, 1)
  return key!
}

export async function storedMany(store: SessionStore, count: number): Promise<SessionKey[]> {
  const keys = Array.from({ length: count }, newKey)
  expect(await store.write(keys.map(insert))).toEqual(keys.map(() => 'done'))
  return keys
}
