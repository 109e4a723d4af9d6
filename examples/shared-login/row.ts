import { createHash } from 'node:crypto'
import type { SessionId, SessionRecord } from 'coatcheck'
import { idOf } from './shorten.ts'
import { store } from './store.ts'

/** A session's row in the table `coatcheck_sessions`, for the panel. Times are milliseconds since the Unix epoch. */
export interface Row {
  readonly id: string
  readonly userId: string | undefined
  readonly version: number
  /** The beginning of the token's hash. It shows whether the token was replaced. */
  readonly hash: string
  /** The session's data, as JSON. */
  readonly data: string
  readonly authenticatedAt: number | undefined
  readonly createdAt: number
  readonly expiresAt: number
}

/**
 * Reads the row of a token from the database, as it is. An app needs nothing like this: it has `req.session`.
 *
 * Whoever has no valid token must not see the row. An id is no secret, and an old token may be a thief's.
 */
export async function readRow(token: string): Promise<Row | undefined> {
  const record = await recordOf(idOf(token))
  if (record?.hash === undefined || !createHash('sha256').update(token).digest().equals(record.hash))
    return undefined
  const { id, userId, version, hash, data, authenticatedAt, createdAt, expiresAt } = record
  return {
    id,
    userId,
    version,
    hash: Buffer.from(hash).toString('hex').slice(0, 8),
    data: Buffer.from(data).toString(),
    authenticatedAt,
    createdAt,
    expiresAt,
  }
}

/** Whether a session's row is still there. */
export async function hasRow(id: string): Promise<boolean> {
  return (await recordOf(id)) !== undefined
}

async function recordOf(id: string): Promise<SessionRecord | undefined> {
  const [record] = await store.find([id as SessionId])
  return record
}
