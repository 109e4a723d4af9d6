import type { RowDataPacket } from 'mysql2'
import { SessionError } from '../../core/errors.js'
import type { SessionKey, SessionRecord } from '../../core/record.js'
import type { SessionContent } from '../../core/store.js'
import { userIdBytes } from '../../core/user-id.js'
import type { MySQLValue } from './mysql-pool.js'

/** What a column of type MEDIUMBLOB or MEDIUMTEXT holds. */
export const longestData = 2 ** 24 - 1

export function recordOf(row: RowDataPacket): SessionRecord {
  const userId = row['user_id'] as Buffer | null
  return {
    key: keyOfRow(row),
    publicId: (row['public_id'] as Buffer).toString(),
    userId: userId === null ? undefined : userId.toString(),
    authenticatedAt: userId === null ? undefined : momentOf(row['authenticated_at']),
    data: row['data'] as Buffer,
    // Number(): a pool with `bigNumberStrings` gives texts.
    version: Number(row['version']),
    createdAt: Number(row['created_at']),
    seenAt: Number(row['seen_at']),
    expiresAt: Number(row['expires_at']),
    readAt: Number(row['read_at']),
  }
}

/** A row that was found by the key from before a rotation. */
export function formerRecordOf(row: RowDataPacket): SessionRecord {
  const userId = row['former_user_id'] as Buffer | null
  const former = {
    userId: userId === null ? undefined : userId.toString(),
    authenticatedAt: userId === null ? undefined : momentOf(row['former_authenticated_at']),
    data: row['former_data'] as Buffer,
  }
  return { ...recordOf(row), former }
}

function momentOf(value: unknown): number | undefined {
  return value === null ? undefined : Number(value)
}

export function keyOfRow(row: RowDataPacket): SessionKey {
  return (row['session_key'] as Buffer).toString('hex') as SessionKey
}

export function formerKeyOfRow(row: RowDataPacket): SessionKey {
  return (row['former_key'] as Buffer).toString('hex') as SessionKey
}

export function bytesOfKey(key: string): Buffer {
  return Buffer.from(key, 'hex')
}

/**
 * `user_id` and `data` as they are bound. What does not fit is refused here: where the app's sql_mode is
 * not strict, the server would cut it off without a word, and a cut user id may be another user's.
 */
export function contentValues({ userId, data }: SessionContent): [userId: MySQLValue, data: MySQLValue] {
  const user = userId === undefined ? null : userIdBytes(userId)
  if (data.length > longestData) {
    throw new SessionError(
      'ERR_SESSION_TOO_LARGE',
      `MySQL holds at most ${longestData} bytes of data a session.`,
    )
  }
  return [user, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]
}
