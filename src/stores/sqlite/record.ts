import { bufferOf } from '../../core/data/codec.js'
import type {
  AliveRecord,
  FormerContent,
  ListedRecord,
  SessionId,
  SessionRecord,
} from '../../core/store/record.js'

/** Integers are bigints on a connection that was set to it. */
type Integer = number | bigint

/** Of a row, what tells whether a record lives, and whose it is. */
export interface AliveRow {
  readonly id: Uint8Array
  readonly secret_hash: Uint8Array | null
  readonly user_id: Uint8Array | null
}

/** A row as it is listed. */
export interface ListedRow extends AliveRow {
  readonly authenticated_at: Integer | null
  /** Null unless it was asked for. */
  readonly data: Uint8Array | null
  readonly about: Uint8Array | null
  readonly format: Integer
  readonly version: Integer
  readonly root_id: Uint8Array | null
  readonly created_at: Integer
  readonly seen_at: Integer
  readonly expires_at: Integer
  readonly read_at: Integer
}

/** A row as it is found. What is former is null unless the grace holds. */
export interface Row extends ListedRow {
  readonly data: Uint8Array
  readonly marks: Uint8Array
  readonly former_hash: Uint8Array | null
  readonly former_user_id: Uint8Array | null
  readonly former_authenticated_at: Integer | null
  readonly former_data: Uint8Array | null
}

/** The bytes of an id. For a text that is not the very one of any, such as one with a `+` for a `-`, those of no record. */
export function idBytes(id: string): Uint8Array {
  const bytes = Buffer.from(id, 'base64url')
  return bytes.toString('base64url') === id ? bytes : Buffer.alloc(0)
}

export function aliveRecord(row: AliveRow): AliveRecord {
  return { id: idText(row.id), userId: textOf(row.user_id), hash: row.secret_hash ?? undefined }
}

export function listedRecord(row: ListedRow): ListedRecord {
  return {
    ...aliveRecord(row),
    authenticatedAt: authenticatedAt(row.user_id, row.authenticated_at),
    data: row.data ?? undefined,
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

export function foundRecord(row: Row): SessionRecord {
  return { ...listedRecord(row), data: row.data, marks: row.marks, former: formerOf(row) }
}

function formerOf(row: Row): FormerContent | undefined {
  if (row.former_hash === null || row.former_data === null) return undefined
  return {
    hash: row.former_hash,
    userId: textOf(row.former_user_id),
    authenticatedAt: authenticatedAt(row.former_user_id, row.former_authenticated_at),
    data: row.former_data,
  }
}

function idText(bytes: Uint8Array): SessionId {
  return bufferOf(bytes).toString('base64url') as SessionId
}

function textOf(bytes: Uint8Array | null): string | undefined {
  return bytes === null ? undefined : bufferOf(bytes).toString()
}

function authenticatedAt(user: Uint8Array | null, at: Integer | null): number | undefined {
  return user === null || at === null ? undefined : Number(at)
}
