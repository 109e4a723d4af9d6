import { optionError, SessionError } from '../../core/errors.js'
import type { AliveRecord, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import { isSessionId } from '../../core/token.js'
import type { Row, Value } from './client.js'

/** Longer than ids are. */
const noId = Buffer.alloc(13)
/** Bytes. A row holds data twice after a rotation, and a statement holds it in hexadecimal digits, as one text of Node. */
const longestData = 2 ** 26

export function recordOf(row: Row): SessionRecord {
  // Read last: if it is there, the grace was not over when the rest was read.
  const data = orUndefined(row['former_data'])
  const former = data && {
    hash: row['former_hash'] as Buffer,
    ...userOf(row['former_user_id'], row['former_authenticated_at']),
    data,
  }
  return { ...listedOf(row), data: row['data'] as Buffer, marks: row['marks'] as Buffer, former }
}

export function listedOf(row: Row): ListedRecord {
  return {
    id: idOfRow(row),
    hash: orUndefined(row['secret_hash']),
    ...userOf(row['user_id'], row['authenticated_at']),
    data: orUndefined(row['data']),
    about: orUndefined(row['about'])?.toString(),
    rootId: orUndefined(row['root_id'])?.toString('base64url') as SessionId | undefined,
    format: row['format'] as number,
    version: row['version'] as number,
    createdAt: row['created_at'] as number,
    seenAt: row['seen_at'] as number,
    expiresAt: row['expires_at'] as number,
    readAt: row['read_at'] as number,
  }
}

export function aliveOf(row: Row): AliveRecord {
  return {
    id: idOfRow(row),
    userId: orUndefined(row['user_id'])?.toString(),
    hash: orUndefined(row['secret_hash']),
  }
}

export function idOfRow(row: Row): SessionId {
  return (row['id'] as Buffer).toString('base64url') as SessionId
}

/** The bytes of an id. For a text that is not the very one of any, such as one with a `+` for a `-`, those of no record. */
export function bytesOfId(id: string): Buffer {
  return isSessionId(id) ? Buffer.from(id, 'base64url') : noId
}

/** Bytes as they are bound: of the view alone, not of all that lies under it. */
export function bound(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** @throws ERR_SESSION_TOO_LARGE */
export function boundData(data: Uint8Array): Buffer {
  if (data.length <= longestData) return bound(data)
  throw new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `PostgreSQLStore takes at most ${longestData} bytes of data a session.`,
  )
}

/** Where a listing goes on after a record. @param user whether one user's are listed. */
export function nextAfter({ id, seenAt }: ListedRecord, user: boolean): string {
  return user ? `${seenAt}.${id}` : id
}

/** @throws ERR_SESSION_OPTION for what `nextAfter` did not give. */
export function valuesAfter(after: string, user: boolean): Value[] {
  const [, seenAt, id] = /^(?:(\d{1,15})\.)?([\w-]{16})$/.exec(after) ?? []
  if (id === undefined || (seenAt !== undefined) !== user) {
    throw optionError('`after` must be the `next` value of the previous page.')
  }
  return user ? [Number(seenAt), bytesOfId(id)] : [bytesOfId(id)]
}

function userOf(
  userId: unknown,
  authenticatedAt: unknown,
): Pick<SessionRecord, 'userId' | 'authenticatedAt'> {
  if (userId === null) return { userId: undefined, authenticatedAt: undefined }
  return {
    userId: (userId as Buffer).toString(),
    authenticatedAt: authenticatedAt === null ? undefined : (authenticatedAt as number),
  }
}

/** What a column holds that may hold nothing, or was not read. */
function orUndefined(bytes: unknown): Buffer | undefined {
  return (bytes ?? undefined) as Buffer | undefined
}
