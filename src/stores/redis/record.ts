import type { FormerContent, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'
import type { WholeRecord } from '../../core/store/transfer.js'
import { userIdBytes } from '../../core/users/user-id.js'
import type { Indexed } from './writes.js'

/*
 * A record is one value, in this order. Numbers are unsigned, the highest byte first; times are milliseconds since the Unix
 * epoch, and 0 where there is none.
 *
 *  0  1 byte   1, the number of this layout
 *  1  1        flags: 1 has a hash, 2 has a root, 4 has former content
 *  2  2        format
 *  4  6        version
 * 10  6        createdAt
 * 16  6        seenAt
 * 22  6        expiresAt
 * 28  6        authenticatedAt
 * 34  6        until when the user's index has its entry for certain
 * 40  6        until when the former content is shown
 * 46  6        authenticatedAt of the former content
 * 52  1        bytes of marks
 * 53  1        bytes of the user id, 0 for none
 * 54  2        bytes of the text for listings, and 1 more; 0 for none
 * 56  1        bytes of the former user id, 0 for none
 * 57  4        bytes of data
 * 61  4        bytes of former data
 *
 * Then follow, each only if the header says so:
 *
 *  - the hash, 32 bytes; the root's id, 12; the mark of the write that bound the user, 8; the marks; the user id; the text
 *  - the former hash, 32 bytes; the former user id
 *  - the data; the former data
 */

const layout = 1
const headerLength = 65
const nothing = Buffer.alloc(0)

/**
 * A record.
 * @param isWhole whether `value` is whole; otherwise it is what `lookScript` gives of it, which has no data.
 */
export function recordOf(
  id: SessionId,
  value: Buffer | null,
  readAt: number,
  isWhole: boolean,
): SessionRecord | undefined {
  if (value === null || value.length < headerLength || value[0] !== layout) return undefined
  const flags = value[1]!
  const time = (offset: number): number => value.readUIntBE(offset, 6)
  let at = headerLength
  const take = (length: number): Buffer => value.subarray(at, (at += length))
  const hash = take(flags & 1 ? 32 : 0)
  const root = take(flags & 2 ? 12 : 0)
  take(value[53]! > 0 ? 8 : 0)
  const marks = take(value[52]!)
  const user = take(value[53]!)
  const about = take(Math.max(0, value.readUInt16BE(54) - 1))
  const formerHash = take(flags & 4 ? 32 : 0)
  const formerUser = take(value[56]!)
  const head = at
  const data = take(value.readUInt32BE(57))
  const formerData = take(value.readUInt32BE(61))
  const expiresAt = time(22)
  if (value.length !== (isWhole ? at : head) || expiresAt <= readAt) return undefined
  return {
    id,
    hash: flags & 1 ? hash : undefined,
    ...userOf(user, time(28)),
    data,
    about: value.readUInt16BE(54) > 0 ? about.toString() : undefined,
    rootId: flags & 2 ? (root.toString('base64url') as SessionId) : undefined,
    format: value.readUInt16BE(2),
    version: time(4),
    marks,
    createdAt: time(10),
    seenAt: time(16),
    expiresAt,
    readAt,
    former:
      flags & 4 && time(40) > readAt
        ? formerOf(formerHash, userOf(formerUser, time(46)), formerData)
        : undefined,
  }
}

/** All that a value keeps of a record. */
export function wholeRecordOf(record: SessionRecord, value: Buffer): WholeRecord {
  const { readAt: _, former, marks, ...rest } = record
  const until = value.readUIntBE(40, 6)
  return { ...rest, marks: marks!, former: former && { ...former, until } }
}

/**
 * A value for a record, as it is. Until when the index has its entry is for the server to say.
 * @param indexed the entry, if the record has a user.
 */
export function valueOf(record: WholeRecord, indexed: Indexed | undefined): Buffer {
  const { hash, rootId, marks, userId, about, former, data } = record
  const header = Buffer.alloc(headerLength)
  const user = indexed?.user ?? nothing
  const aboutBytes = about === undefined ? nothing : Buffer.from(about)
  const formerUser = former?.userId === undefined ? nothing : userIdBytes(former.userId)
  header[0] = layout
  header[1] = (hash ? 1 : 0) + (rootId === undefined ? 0 : 2) + (former ? 4 : 0)
  header.writeUInt16BE(record.format, 2)
  const times = [
    record.version,
    record.createdAt,
    record.seenAt,
    record.expiresAt,
    userId === undefined ? 0 : (record.authenticatedAt ?? 0),
    0,
    former?.until ?? 0,
    former?.authenticatedAt ?? 0,
  ]
  times.forEach((time, index) => header.writeUIntBE(time, 4 + 6 * index, 6))
  header[52] = marks.length
  header[53] = user.length
  header.writeUInt16BE(about === undefined ? 0 : aboutBytes.length + 1, 54)
  header[56] = formerUser.length
  header.writeUInt32BE(data.length, 57)
  header.writeUInt32BE(former?.data.length ?? 0, 61)
  return Buffer.concat([
    header,
    hash ?? nothing,
    rootId === undefined ? nothing : Buffer.from(rootId, 'base64url'),
    indexed?.entry ?? nothing,
    marks,
    user,
    aboutBytes,
    former?.hash ?? nothing,
    formerUser,
    data,
    former?.data ?? nothing,
  ])
}

/** A record as a listing shows it. */
export function listedOf(
  { data, marks: _marks, former: _former, ...rest }: SessionRecord,
  withData: boolean,
): ListedRecord {
  return { ...rest, data: withData ? data : undefined }
}

function userOf(user: Buffer, authenticatedAt: number): Pick<SessionRecord, 'userId' | 'authenticatedAt'> {
  if (user.length === 0) return { userId: undefined, authenticatedAt: undefined }
  return { userId: user.toString(), authenticatedAt: authenticatedAt === 0 ? undefined : authenticatedAt }
}

function formerOf(
  hash: Buffer,
  user: Pick<SessionRecord, 'userId' | 'authenticatedAt'>,
  data: Buffer,
): FormerContent {
  return { hash, ...user, data }
}
