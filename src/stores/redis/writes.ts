import { SessionError } from '../../core/errors.js'
import type { Lifetime, SessionWrite, WriteResult } from '../../core/store/session-store.js'
import type { Stamp } from '../../core/store/transfer.js'
import { userIdBytes } from '../../core/users/user-id.js'

/** Far beyond any lifetime. A moment plus twice this still has room in 6 bytes. */
const never = 2 ** 45
const hour = 3_600_000
/** Bytes. A value holds data twice after a rotation, and a script holds the old value beside the new one. */
const longestData = 2 ** 26
const nothing = new Uint8Array(0)
const kinds = { insert: 1, update: 2, touch: 3, remove: 4 } as const
const flag = { hash: 1, root: 2, signedIn: 4, about: 8, rotates: 16 } as const
const packedLength = 101
const transferLength = 37
const entryAt = 34
const hashLength = 32

/** An entry in a user's index. */
export interface Indexed {
  /** The mark of the write that bound the session to the user. */
  readonly entry: Buffer
  readonly user: Buffer
  /** How long it stands there at least. */
  readonly milliseconds: number
}

/** The bytes by which the write that binds a session to a user names its entry in the user's index. */
export const entryLength = 8

/** A write as `writeScript` takes it. @throws ERR_SESSION_TOO_LARGE, ERR_SESSION_USER_ID */
export function packed(write: SessionWrite, indexed: Indexed | undefined): Buffer {
  const user = write.type === 'touch' || write.userId === undefined ? nothing : userIdBytes(write.userId)
  const hasContent = write.type === 'insert' || write.type === 'update'
  const about = hasContent && write.about !== undefined ? Buffer.from(write.about) : nothing
  const data = hasContent ? fitting(write.data) : nothing
  const dataAt = packedLength + user.length + about.length
  const bytes = Buffer.allocUnsafe(dataAt + data.length).fill(0, 0, packedLength)
  bytes.set(user, packedLength)
  bytes.set(about, packedLength + user.length)
  bytes.set(data, dataAt)
  bytes[0] = kinds[write.type]
  bytes[94] = user.length
  bytes.writeUInt16BE(about.length, 95)
  bytes.writeUInt32BE(data.length, 97)
  let flags = 0
  if (hasContent) {
    bytes.writeUInt16BE(write.format, 2)
    bytes.set(write.mark, entryAt + entryLength)
    if (write.about !== undefined) flags |= flag.about
  }
  if (write.type === 'insert' || write.type === 'touch') {
    if (write.hash !== undefined) flags |= hashAt(bytes, write.hash)
  }
  if (write.type === 'insert') {
    if (write.rootId !== undefined) {
      flags |= flag.root
      bytes.write(write.rootId, 82, 'base64url')
    }
    if (write.signedIn) flags |= flag.signedIn
  }
  if (write.type === 'update') {
    time(bytes, write.version, 4)
    if (write.secret) {
      flags |= flag.rotates | hashAt(bytes, write.secret.hash)
      if (write.secret.signedIn) flags |= flag.signedIn
      time(bytes, write.secret.grace, 22)
    }
  }
  if (write.type !== 'remove') {
    time(bytes, write.lifetime.idle, 10)
    time(bytes, write.lifetime.absolute ?? never, 16)
  }
  if (indexed) {
    time(bytes, indexed.milliseconds, 28)
    bytes.set(indexed.entry, entryAt)
  }
  bytes[1] = flags
  return bytes
}

/**
 * A transfer as `transferScript` takes it.
 * @param expected the record that must be there; `undefined`: none.
 * @param value the new one; `undefined`: it is removed.
 */
export function packedTransfer(
  expected: Stamp | undefined,
  value: Buffer | undefined,
  milliseconds: number,
): Buffer {
  const bytes = Buffer.alloc(transferLength)
  bytes[0] = (expected ? 1 : 0) + (value ? 2 : 0)
  if (expected) {
    time(bytes, expected.version, 1)
    bytes.set(expected.mark, 7)
    time(bytes, expected.seenAt, 15)
    time(bytes, expected.expiresAt, 21)
  }
  time(bytes, milliseconds, 27)
  bytes.writeUInt32BE(value?.length ?? 0, 33)
  return value ? Buffer.concat([bytes, value]) : bytes
}

/**
 * For how many milliseconds a new entry has to stand in its user's index: longer than the session can live without being used,
 * so that not every use has to prolong it.
 */
export function indexedFor({ lifetime: { idle, absolute } }: { readonly lifetime: Lifetime }): number {
  return Math.ceil(Math.min(Math.max(2 * idle, hour), absolute ?? never, never))
}

type EntryOfUser = Pick<Indexed, 'entry' | 'user'>

/** What `writeScript` answers to a write. */
export type Answer =
  | {
      readonly type: 'result'
      readonly result: WriteResult
      /** Whether it signs in, signs out or changes a token, or is a note. */
      readonly isImportant: boolean
      /** Whether the entry that was added for it is of no use. */
      readonly isUnused: boolean
      /** The entry that the user has no more. */
      readonly left: EntryOfUser | undefined
    }
  /** Nothing was done: this entry must stand in the index first. */
  | ({ readonly type: 'index' } & EntryOfUser)
  | { readonly type: 'failed'; readonly error: Error }

const results: Readonly<Record<string, WriteResult>> = {
  d: 'done',
  e: 'exists',
  s: 'stale',
  m: 'moved',
  g: 'gone',
}

export function answerOf(bytes: Buffer): Answer {
  const letter = String.fromCharCode(bytes[0]!)
  const rest = bytes.subarray(1)
  if (letter === 'i') return { type: 'index', ...entryOfUser(rest) }
  if (letter === 'f') return { type: 'failed', error: new Error(rest.toString()) }
  const [important, unused] = rest.toString('latin1', 0, 2)
  const left = rest.subarray(2)
  return {
    type: 'result',
    result: results[letter]!,
    isImportant: important === '1',
    isUnused: unused === '1',
    left: left.length === 0 ? undefined : entryOfUser(left),
  }
}

function entryOfUser(bytes: Buffer): EntryOfUser {
  return { entry: bytes.subarray(0, entryLength), user: bytes.subarray(entryLength) }
}

/** A hash of another length is that of no record. */
function hashAt(bytes: Buffer, hash: Uint8Array): number {
  if (hash.length !== hashLength) return 0
  bytes.set(hash, 50)
  return flag.hash
}

function time(bytes: Buffer, milliseconds: number, offset: number): void {
  bytes.writeUIntBE(Math.ceil(Math.min(milliseconds, never)), offset, 6)
}

function fitting(data: Uint8Array): Uint8Array {
  if (data.length <= longestData) return data
  throw new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `RedisStore takes at most ${longestData} bytes of data a session.`,
  )
}
