import { bufferOf } from '../../core/data/codec.js'
import type {
  AliveRecord,
  FormerContent,
  ListedRecord,
  SessionId,
  SessionRecord,
} from '../../core/store/record.js'
import { isSessionId } from '../../core/token.js'

const idLength = 12 // bytes
const nothing = Buffer.alloc(0)

/** Integers are bigints on a connection that was set to it. */
type Integer = number | bigint

/** Of a row, what tells whether a record lives, and whose it is. */
export interface AliveRow {
  readonly id: Uint8Array
  readonly secret_hash: Uint8Array | null
  readonly user_id: Uint8Array | null
}

/** What a row is listed and found with. */
interface OtherColumns {
  readonly authenticated_at: Integer | null
  readonly about: Uint8Array | null
  readonly format: Integer
  readonly version: Integer
  readonly root_id: Uint8Array | null
  readonly created_at: Integer
  readonly seen_at: Integer
  readonly expires_at: Integer
  readonly read_at: Integer
}

/** A row as it is listed. */
export interface ListedRow extends AliveRow, OtherColumns {
  /** Null unless it was asked for. */
  readonly data: Uint8Array | null
}

/** A row as it is found. Lengths are in bytes. What is former is null unless the grace holds. */
export interface Row extends OtherColumns, FormerColumns {
  /** Id, hash, marks, user id and data, one behind the other. Behind the last two stands a zero byte where their length is odd. */
  readonly blobs: Uint8Array
  /** Null if there is no hash. */
  readonly hash_length: Integer | null
  /** Null in a table that lets it be, as that of the data. */
  readonly marks_length: Integer | null
  /** Null if it is nobody's. */
  readonly user_length: Integer | null
  readonly data_length: Integer | null
}

/** What a row keeps from before its last new secret. */
export interface FormerColumns {
  readonly former_hash: Uint8Array | null
  readonly former_user_id: Uint8Array | null
  readonly former_authenticated_at: Integer | null
  readonly former_data: Uint8Array | null
}

/** The bytes of an id. For a text that is not the very one of any, such as one with a `+` for a `-`, those of no record. */
export function idBytes(id: string): Uint8Array {
  return isSessionId(id) ? Buffer.from(id, 'base64url') : Buffer.alloc(0)
}

export function aliveRecord(row: AliveRow): AliveRecord {
  return { id: idText(row.id), userId: textOf(row.user_id), hash: row.secret_hash ?? undefined }
}

export function listedRecord(row: ListedRow): ListedRecord {
  const { id, userId, hash } = aliveRecord(row)
  return { ...otherFields(row, userId), id, userId, hash, data: row.data ?? undefined }
}

export function foundRecord(row: Row): SessionRecord {
  const blobs = bufferOf(row.blobs)
  const userLength = Number(row.user_length)
  const marksAt = idLength + Number(row.hash_length)
  const userAt = marksAt + Number(row.marks_length)
  const dataAt = userAt + userLength + (userLength % 2)
  const dataLength = Number(row.data_length)
  // Else somebody has put blobs of other lengths there. Without data the record is reported as corrupt, and its holder is signed out.
  const fits = blobs.length === dataAt + dataLength + (dataLength % 2)
  const isSomebodys = fits && row.user_length !== null
  const userId = isSomebodys ? blobs.toString('utf8', userAt, userAt + userLength) : undefined
  return {
    ...otherFields(row, userId),
    id: blobs.toString('base64url', 0, idLength) as SessionId,
    userId,
    hash: row.hash_length === null ? undefined : blobs.subarray(idLength, marksAt),
    marks: blobs.subarray(marksAt, userAt),
    data: fits ? blobs.subarray(dataAt, dataAt + dataLength) : nothing,
    former: formerOf(row),
  }
}

function otherFields(row: OtherColumns, userId: string | undefined) {
  return {
    authenticatedAt: authenticatedAt(userId, row.authenticated_at),
    about: textOf(row.about),
    rootId: row.root_id === null ? undefined : idText(row.root_id),
    format: Number(row.format),
    version: Number(row.version),
    createdAt: Number(row.created_at),
    seenAt: Number(row.seen_at),
    expiresAt: Number(row.expires_at),
    readAt: Number(row.read_at),
  }
}

export function formerOf(row: FormerColumns): FormerContent | undefined {
  if (row.former_hash === null || row.former_data === null) return undefined
  const userId = textOf(row.former_user_id)
  return {
    hash: row.former_hash,
    userId,
    authenticatedAt: authenticatedAt(userId, row.former_authenticated_at),
    data: row.former_data,
  }
}

export function idText(bytes: Uint8Array): SessionId {
  return bufferOf(bytes).toString('base64url') as SessionId
}

function textOf(bytes: Uint8Array | null): string | undefined {
  return bytes === null ? undefined : bufferOf(bytes).toString()
}

function authenticatedAt(userId: string | undefined, at: Integer | null): number | undefined {
  return userId === undefined || at === null ? undefined : Number(at)
}
