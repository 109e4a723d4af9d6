import type { RowDataPacket } from 'mysql2'
import { SessionError } from '../../core/errors.js'
import { escapedUserId, type Keepsake, keepsakeIn, storedKeepsake } from '../../core/keepsake.js'
import type { SessionKey, SessionRecord } from '../../core/record.js'
import { publicIdOf } from '../../core/token.js'
import { longestData } from './mysql-record.js'

/**
 * A record, and the very bytes that are stored for it. Without a keepsake it is named by a hash of its key, which hardly
 * any request asks for, so that it is made when it is.
 */
export class ExpressRecord implements SessionRecord {
  declare readonly publicId: string
  readonly key: SessionKey
  readonly userId: string | undefined
  readonly authenticatedAt: number | undefined
  readonly data: Uint8Array
  readonly version: number
  readonly createdAt: number
  readonly seenAt: number
  readonly expiresAt: number
  readonly readAt: number
  readonly stored: Buffer

  constructor(row: RowDataPacket) {
    this.key = keyOfRow(row)
    this.stored = (row['data_bytes'] as Buffer | null) ?? Buffer.alloc(0)
    this.expiresAt = Number(row['expires_at']) * 1000
    this.readAt = Number(row['read_at'])
    const usual = usualIdleOf(this.stored)
    const session = usual === undefined ? sessionIn(this.stored) : undefined
    const keepsake = session && keepsakeIn(session)
    // The expiry was rounded up to a second, so count from the one before: what was seen a moment ahead was never seen.
    const seenAt = this.expiresAt - 1000 - (usual ?? idleOf(session))
    this.seenAt = Math.min(Math.max(seenAt, keepsake?.createdAt ?? 0), this.readAt)
    this.createdAt = keepsake?.createdAt ?? this.seenAt
    this.userId = keepsake?.userId
    this.authenticatedAt = keepsake?.authenticatedAt
    this.version = Number(row['fingerprint']) + (keepsake ? keepsakeBit : 0)
    this.data = (keepsake && textWithoutKeepsake(session)) ?? this.stored
    Object.defineProperty(
      this,
      'publicId',
      keepsake ? { value: keepsake.publicId, enumerable: true } : namedByKey,
    )
  }
}

/** The record's own, as its other properties are: whoever copies it gets it. */
const namedByKey: PropertyDescriptor & ThisType<ExpressRecord> = {
  get() {
    return publicIdOf(this.key)
  },
  enumerable: true,
}

const oneDay = 86_400_000
const longestKey = 128
/** Nothing but visible characters of ASCII, as ids nearly always are. */
const usualKey = /^[!-~]{1,128}$/
/** How express-session begins the text of a session, whose data is after the cookie. */
const usualHead = /^\{"cookie":\{"originalMaxAge":(null|\d+),/
const headLength = 64
const keepsakeName = Buffer.from('"coatcheck"')
/** Above the 52 bits of the fingerprint, a version says whether the session has a keepsake. */
const keepsakeBit = 2 ** 52

export function keyOfRow(row: RowDataPacket): SessionKey {
  return (row['id_bytes'] as Buffer).toString() as SessionKey
}

/**
 * Whether there can be a session of this key. Longer ones do not fit; and the column takes texts that differ in
 * spaces at their ends for the same.
 */
export function mayBeThere(key: string): boolean {
  return usualKey.test(key) || mayFit(key)
}

function mayFit(key: string): boolean {
  return !key.endsWith(' ') && Buffer.from(key).toString() === key && [...key].length <= longestKey
}

/** @throws ERR_SESSION_OPTION for a key of a new session that could not be found again */
export function assertFits(key: string): void {
  if (mayBeThere(key)) return
  throw new SessionError(
    'ERR_SESSION_OPTION',
    `A session id in a table of express-mysql-session is a text of at most ${longestKey} characters that does not end in a space. Change what makes the ids (genid).`,
  )
}

/** The very bytes that lie in the table for a record that came from there. */
export function asStored(record: SessionRecord): Buffer {
  return (record as ExpressRecord).stored
}

export function hasKeepsake(version: number): boolean {
  return version >= keepsakeBit
}

export function fingerprintIn(version: number): number {
  return version % keepsakeBit
}

/**
 * The text that is stored for a session's data. It always has a `cookie`, because express-session fails on a session
 * without one.
 *
 * @throws ERR_SESSION_DATA if the data is no JSON object, ERR_SESSION_RESERVED_NAME if it has a `coatcheck` of its
 *   own, ERR_SESSION_TOO_LARGE
 */
export function storedText(data: Uint8Array, idle: number, keepsake: Keepsake | undefined): Buffer {
  const session = sessionIn(data)
  if (!session) {
    throw new SessionError(
      'ERR_SESSION_DATA',
      'A table of express-mysql-session holds sessions as JSON objects. Leave out the codec, or store sessions in a table of their own.',
    )
  }
  const named = Object.hasOwn(session, 'coatcheck')
  // The keepsake of a row that an app has read and copied says nothing of this one, and is left out.
  if (named && !keepsakeIn(session)) {
    throw new SessionError(
      'ERR_SESSION_RESERVED_NAME',
      'req.session.coatcheck is where the user and the name of a session are kept in a table of express-mysql-session. Give your data another name.',
    )
  }
  const cookie = isObject(session['cookie']) ? undefined : { cookie: cookieFor(idle) }
  const asItIs = cookie === undefined && keepsake === undefined && !named
  const text = asItIs
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(
        JSON.stringify({ ...cookie, ...session, ...cookie, coatcheck: keepsake && storedKeepsake(keepsake) }),
      )
  if (text.length > longestData) {
    throw new SessionError(
      'ERR_SESSION_TOO_LARGE',
      `MySQL holds at most ${longestData} bytes of data a session.`,
    )
  }
  return text
}

/**
 * Texts that tell the sessions of this user. The first is the id alone, which stands in every one of them. The others are the id in its
 * place: as we write it, and as MySQL writes it in a column of the type JSON, with spaces.
 */
export function tracesOfUser(userId: string): Buffer[] {
  const id = JSON.stringify(escapedUserId(userId))
  return [id, `"coatcheck":{"userId":${id},"publicId":"`, `"coatcheck": {"userId": ${id}, "publicId": "`].map(
    (text) => Buffer.from(text),
  )
}

function cookieFor(idle: number): object {
  // A Date ends with the year 275760.
  const expires = new Date(Math.min(Date.now() + idle, 8.64e15)).toISOString()
  return { originalMaxAge: idle, expires, httpOnly: true, path: '/' }
}

/** The idle time that a text names which begins as usual and has no keepsake: that is known without parsing it. */
function usualIdleOf(stored: Buffer): number | undefined {
  const head = usualHead.exec(stored.toString('latin1', 0, headLength))
  if (!head || stored.includes(keepsakeName)) return undefined
  return head[1] === 'null' ? oneDay : Number(head[1])
}

function idleOf(session: Record<string, unknown> | undefined): number {
  const cookie = session?.['cookie']
  const maxAge = isObject(cookie) ? cookie['originalMaxAge'] : undefined
  return typeof maxAge === 'number' ? maxAge : oneDay
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function sessionIn(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(bytes))
    return isObject(value) && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

/**
 * What a session holds but for the keepsake. `undefined` for one that is nested too deep for JSON.stringify, which on Node before 26
 * JSON.parse is not. Its data then is all that is stored, and the engine takes that for corrupt.
 */
export function textWithoutKeepsake(session: object | undefined): Buffer | undefined {
  try {
    return Buffer.from(JSON.stringify({ ...session, coatcheck: undefined }))
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
