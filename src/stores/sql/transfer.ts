import type { SessionId } from '../../core/store/record.js'
import type { Stamp, TransferResult, TransferWrite, WholeRecord } from '../../core/store/transfer.js'
import { userIdBytes } from '../../core/users/user-id.js'

// What the SQL stores share of moving whole records: their columns are named alike.

type ColumnValue = Buffer | number | null

/** Each column of a record that is stored as it is, and its value. */
const columns: Readonly<Record<string, (record: WholeRecord) => ColumnValue>> = {
  secret_hash: ({ hash }) => bytesOrNull(hash),
  user_id: ({ userId }) => (userId === undefined ? null : userIdBytes(userId)),
  authenticated_at: ({ authenticatedAt }) => authenticatedAt ?? null,
  data: ({ data }) => bufferOn(data),
  about: ({ about }) => (about === undefined ? null : Buffer.from(about)),
  format: ({ format }) => format,
  version: ({ version }) => version,
  marks: ({ marks }) => bufferOn(marks),
  root_id: ({ rootId }) => (rootId === undefined ? null : idBytes(rootId)),
  created_at: ({ createdAt }) => createdAt,
  seen_at: ({ seenAt }) => seenAt,
  expires_at: ({ expiresAt }) => expiresAt,
  former_hash: ({ former }) => bytesOrNull(former?.hash),
  former_until: ({ former }) => former?.until ?? null,
  former_user_id: ({ former }) => (former?.userId === undefined ? null : userIdBytes(former.userId)),
  former_authenticated_at: ({ former }) => former?.authenticatedAt ?? null,
  former_data: ({ former }) => bytesOrNull(former?.data),
}

/** The columns of a record besides its id, in the order of `recordValues`. */
export const recordColumns: readonly string[] = Object.keys(columns)

export function recordValues(record: WholeRecord): ColumnValue[] {
  return Object.values(columns).map((valueOf) => valueOf(record))
}

/** The columns of a stamp that the condition of a write is about, `mark` among them, in the order of `stampValues`. */
export function stampValues({ version, mark, seenAt, expiresAt }: Stamp): (Buffer | number)[] {
  return [version, bufferOn(mark), seenAt, expiresAt]
}

/** The bytes of an id of a record. */
export function idBytes(id: SessionId): Buffer {
  return Buffer.from(id, 'base64url')
}

/** How many bytes of a statement a record takes, besides small columns. */
export function bytesOfRecord({ data, former }: WholeRecord): number {
  return data.length + (former?.data.length ?? 0)
}

interface Insertion extends TransferWrite {
  readonly expected: undefined
  readonly record: WholeRecord
}

interface Replacement extends TransferWrite {
  readonly expected: Stamp
  readonly record: WholeRecord
}

interface Removal extends TransferWrite {
  readonly expected: Stamp
  readonly record: undefined
}

/** Writes by what they do, in the order of their ids, so that two batches do not wait for each other in a circle. */
export interface SortedWrites {
  readonly insertions: readonly Insertion[]
  readonly replacements: readonly Replacement[]
  readonly removals: readonly Removal[]
  /** The result of those that have nothing to do: to remove what is absent. */
  readonly results: Map<SessionId, TransferResult | Error>
}

export function sortedWrites(writes: readonly TransferWrite[]): SortedWrites {
  const sorted = writes.toSorted((one, other) => (one.id < other.id ? -1 : 1))
  const results: SortedWrites['results'] = new Map()
  for (const { id, expected, record } of sorted) if (!expected && !record) results.set(id, 'done')
  return {
    insertions: sorted.filter((write): write is Insertion => !write.expected && write.record !== undefined),
    replacements: sorted.filter(
      (write): write is Replacement => write.expected !== undefined && write.record !== undefined,
    ),
    removals: sorted.filter((write): write is Removal => write.expected !== undefined && !write.record),
    results,
  }
}

function bytesOrNull(bytes: Uint8Array | undefined): Buffer | null {
  return bytes === undefined ? null : bufferOn(bytes)
}

/** Bytes as they are bound: of the view alone, not of all that lies under it. */
function bufferOn(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
