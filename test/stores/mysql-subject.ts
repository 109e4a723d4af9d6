import { hash, randomBytes } from 'node:crypto'
import type { SessionId, SessionStore } from 'coatcheck'
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

export function newId(): SessionId {
  return randomBytes(12).toString('base64url') as SessionId
}

/** The hash that a session of this id has, as long as nothing gives it another. It is that of a token that is the id itself. */
export function hashFor(id: SessionId): Buffer {
  return hash('sha256', id, 'buffer')
}

export function insert(id: SessionId) {
  return {
    type: 'insert',
    id,
    publicId: randomBytes(12).toString('base64url'),
    hash: hashFor(id),
    userId: undefined,
    signedIn: false,
    data: Buffer.from('{}'),
    format: 1,
    mark: randomBytes(8),
    lifetime,
  } as const
}

export function update(id: SessionId, version: number) {
  return {
    type: 'update',
    id,
    version,
    userId: undefined,
    data: randomBytes(20),
    format: 1,
    mark: randomBytes(8),
    lifetime,
  } as const
}

/** An update that gives a session another token. */
export function rotation(id: SessionId, version: number, grace = 0) {
  const token = newId()
  return { ...update(id, version), secret: { hash: hashFor(token), signedIn: false, grace, token } } as const
}

export function touch(id: SessionId) {
  return { type: 'touch', id, hash: hashFor(id), data: Buffer.from('{}'), lifetime } as const
}

export function removal(id: SessionId, userId?: string) {
  return { type: 'remove', id, userId } as const
}

export async function stored(store: SessionStore): Promise<SessionId> {
  const [id] = await storedMany(store, 1)
  return id!
}

export async function storedMany(store: SessionStore, count: number): Promise<SessionId[]> {
  const ids = Array.from({ length: count }, newId)
  expect(await store.write(ids.map(insert))).toEqual(ids.map(() => 'done'))
  return ids
}
