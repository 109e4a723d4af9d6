import type { RowDataPacket } from 'mysql2'
import { optionError, SessionError } from '../../core/errors.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import type { SessionContent } from '../../core/store/session-store.js'
import { isSessionId } from '../../core/token.js'
import { userIdBytes } from '../../core/users/user-id.js'
import type { MySQLValue } from './pool.js'

const idLength = 12 // bytes
/** Longer than ids are. Not empty: MariaDB may take that for NULL, and no record is other than NULL. */
const noId = Buffer.alloc(idLength + 1)

/** What a column of type MEDIUMBLOB or MEDIUMTEXT holds. */
export const longestData = 2 ** 24 - 1

export function recordOf(row: RowDataPacket): SessionRecord {
  const hash = orUndefined(row['former_hash'])
  const former = hash && {
    hash,
    ...userOf(row['former_user_id'], row['former_authenticated_at']),
    data: row['former_data'] as Buffer,
  }
  return { ...listedOf(row), data: row['data'] as Buffer, marks: row['marks'] as Buffer, former }
}

export function listedOf(row: RowDataPacket): ListedRecord {
  return {
    id: idOfRow(row),
    hash: hashOfRow(row),
    ...userOf(row['user_id'], row['authenticated_at']),
    data: orUndefined(row['data']),
    about: orUndefined(row['about'])?.toString(),
    rootId: orUndefined(row['root_id'])?.toString('base64url') as SessionId | undefined,
    // Number(): a pool with `bigNumberStrings` gives texts.
    format: Number(row['format']),
    version: Number(row['version']),
    createdAt: Number(row['created_at']),
    seenAt: Number(row['seen_at']),
    expiresAt: Number(row['expires_at']),
    readAt: Number(row['read_at']),
  }
}

export function aliveOf(row: RowDataPacket): AliveRecord {
  return { id: idOfRow(row), userId: orUndefined(row['user_id'])?.toString(), hash: hashOfRow(row) }
}

export function idOfRow(row: RowDataPacket): SessionId {
  return (row['id'] as Buffer).toString('base64url') as SessionId
}

export function hashOfRow(row: RowDataPacket): Buffer | undefined {
  return orUndefined(row['secret_hash'])
}

/** The bytes of an id. For a text that is not the very one of any, such as one with a `+` for a `-`, those of no record. */
export function bytesOfId(id: string): Buffer {
  return isSessionId(id) ? Buffer.from(id, 'base64url') : noId
}

/** Bytes as they are bound: of the view alone, not of all that lies under it. */
export function bound(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Where a listing goes on after a record. @param user whether one user's are listed. */
export function nextAfter({ id, seenAt }: ListedRecord, user: boolean): string {
  return user ? `${seenAt}.${id}` : id
}

/** @throws ERR_SESSION_OPTION for what `nextAfter` did not give. */
export function valuesAfter(after: string, user: boolean): MySQLValue[] {
  const [, seenAt, id] = /^(?:(\d{1,15})\.)?([\w-]{16})$/.exec(after) ?? []
  if (id === undefined || (seenAt !== undefined) !== user) {
    throw optionError('`after` must be the `next` value of the previous page.')
  }
  const bytes = bytesOfId(id)
  return user ? [Number(seenAt), Number(seenAt), bytes] : [bytes]
}

/**
 * `user_id`, `data`, `about`, `format` and the mark as they are bound. What does not fit is refused here. If the app's
 * sql_mode is not strict, the server would cut it off without an error, and a user id that is cut may be another
 * user's.
 */
export function contentValues({
  userId,
  data,
  about,
  format,
  mark,
}: SessionContent): [userId: MySQLValue, ...content: MySQLValue[]] {
  if (data.length > longestData) {
    throw new SessionError(
      'ERR_SESSION_TOO_LARGE',
      `MySQL holds at most ${longestData} bytes of data a session.`,
    )
  }
  return [
    userId === undefined ? null : userIdBytes(userId),
    bound(data),
    about === undefined ? null : Buffer.from(about),
    format,
    bound(mark),
  ]
}

function userOf(
  userId: unknown,
  authenticatedAt: unknown,
): Pick<SessionRecord, 'userId' | 'authenticatedAt'> {
  if (userId === null) return { userId: undefined, authenticatedAt: undefined }
  return {
    userId: (userId as Buffer).toString(),
    authenticatedAt: authenticatedAt === null ? undefined : Number(authenticatedAt),
  }
}

/** What a column holds that may hold nothing, or was not read. */
function orUndefined(bytes: unknown): Buffer | undefined {
  return (bytes ?? undefined) as Buffer | undefined
}
