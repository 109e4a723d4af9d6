import type { FormerContent, ListedRecord, SessionId, SessionRecord } from '../../core/store/record.js'

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
 * Then follow: the hash (32 bytes), the root's id (12), the mark of the write that bound the user (8), the marks, the user
 * id, the text, the former hash (32), the former user id, the data, and the former data. Each is there only if the header
 * says so.
 */

const layout = 1
const headerLength = 65

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
