import type { RowDataPacket } from 'mysql2'
import { SessionError } from '../../core/errors.js'
import {
  escapedUserId,
  isSigned,
  metadataIn,
  type SignedMetadata,
} from '../../core/data/embedded-metadata.js'
import { recordFormat, type SessionId, type SessionRecord } from '../../core/store/record.js'
import { hashOf, sessionHash, idOf } from '../../core/token.js'
import { longestData } from '../mysql/record.js'

/** A record, and the very bytes that are stored for it. */
export class ExpressRecord implements SessionRecord {
  readonly id: SessionId
  readonly publicId: string
  readonly hash: Uint8Array | undefined
  readonly userId: string | undefined
  readonly authenticatedAt: number | undefined
  readonly data: Uint8Array
  readonly about = undefined
  readonly rootId = undefined
  readonly format = recordFormat
  readonly version: number
  readonly marks = undefined
  readonly createdAt: number
  readonly seenAt: number
  readonly expiresAt: number
  readonly readAt: number
  /** Whether there is a metadata in it that none of the keys has signed. It is left out. */
  readonly hasUnsigned: boolean
  readonly #stored: Buffer

  /** @param keys that may have signed its metadata. */
  constructor(row: RowDataPacket, keys: readonly string[]) {
    this.id = idOfRow(row)
    this.hash = sessionHash(this.id)
    this.#stored = (row['data_bytes'] as Buffer | null) ?? Buffer.alloc(0)
    this.expiresAt = Number(row['expires_at']) * 1000
    this.readAt = Number(row['read_at'])
    const usual = usualIdleOf(this.#stored)
    const session = usual === undefined ? sessionIn(this.#stored) : undefined
    const found = session && metadataIn(session)
    this.hasUnsigned = found !== undefined && !isSigned(session!, keys, subjectOf(this.id))
    const metadata = this.hasUnsigned ? undefined : found
    // The expiry was rounded up to a second, so count from the one before: what was seen a moment ahead was never seen.
    const seenAt = this.expiresAt - 1000 - (usual ?? idleOf(session))
    this.seenAt = Math.min(Math.max(seenAt, metadata?.createdAt ?? 0), this.readAt)
    this.createdAt = metadata?.createdAt ?? this.seenAt
    this.publicId = metadata?.publicId ?? idOf(this.id)
    this.userId = metadata?.userId
    this.authenticatedAt = metadata?.authenticatedAt
    this.version = Number(row['fingerprint']) + (metadata ? metadataBit : 0)
    this.data = (found && textWithoutMetadata(session)) ?? this.#stored
  }

  /** No part of the record, so that copies of it do without. */
  get stored(): Buffer {
    return this.#stored
  }
}

const oneDay = 86_400_000
const longestId = 128
/** Nothing but visible characters of ASCII, as ids nearly always are. */
const usualId = /^[!-~]{1,128}$/
/** How express-session begins the text of a session, whose data is after the cookie. */
const usualHead = /^\{"cookie":\{"originalMaxAge":(null|\d+),/
const headLength = 64
const metadataName = Buffer.from('"coatcheck"')
/** Above the 52 bits of the fingerprint, a version says whether the session has a metadata. */
const metadataBit = 2 ** 52

/** What a session's metadata is signed for: the hash of its token, which the copy of a table knows too. */
export function subjectOf(token: string): string {
  return Buffer.from(hashOf(token)).toString('hex')
}

export function idOfRow(row: RowDataPacket): SessionId {
  return (row['id_bytes'] as Buffer).toString() as SessionId
}

/**
 * Whether there can be a session of this id. Longer ones do not fit; and the column takes texts that differ in
 * spaces at their ends for the same.
 */
export function mayBeThere(id: string): boolean {
  return usualId.test(id) || mayFit(id)
}

function mayFit(id: string): boolean {
  return !id.endsWith(' ') && Buffer.from(id).toString() === id && [...id].length <= longestId
}

/** @throws ERR_SESSION_OPTION for an id of a new session that could not be found again. */
export function assertFits(id: string): void {
  if (mayBeThere(id)) return
  throw new SessionError(
    'ERR_SESSION_OPTION',
    `A session id in a table of express-mysql-session is a text of at most ${longestId} characters that does not end in a space. Change what makes the ids (genid).`,
  )
}

/** The very bytes that lie in the table for a record that came from there. */
export function asStored(record: Pick<SessionRecord, 'id'>): Buffer {
  return (record as ExpressRecord).stored
}

export function hasMetadata(version: number): boolean {
  return version >= metadataBit
}

export function fingerprintIn(version: number): number {
  return version % metadataBit
}

/**
 * The text that is stored for a session's data. It always has a `cookie`, because express-session fails on a session
 * without one.
 *
 * @throws ERR_SESSION_DATA if the data is no JSON object, ERR_SESSION_RESERVED_NAME if it has a `coatcheck` of its
 *   own, ERR_SESSION_TOO_LARGE.
 */
export function storedText(data: Uint8Array, idle: number, metadata: SignedMetadata | undefined): Buffer {
  const session = sessionIn(data)
  if (!session) {
    throw new SessionError(
      'ERR_SESSION_DATA',
      'A table of express-mysql-session holds sessions as JSON objects. Leave out the codec, or store sessions in a table of their own.',
    )
  }
  const named = Object.hasOwn(session, 'coatcheck')
  // The metadata of a row that an app has read and copied says nothing of this one, and is left out.
  if (named && !metadataIn(session)) {
    throw new SessionError(
      'ERR_SESSION_RESERVED_NAME',
      'req.session.coatcheck is where the user and the name of a session are kept in a table of express-mysql-session. Give your data another name.',
    )
  }
  const cookie = isObject(session['cookie']) ? undefined : { cookie: cookieFor(idle) }
  const asItIs = cookie === undefined && metadata === undefined && !named
  const text = asItIs
    ? Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    : Buffer.from(JSON.stringify({ ...cookie, ...session, ...cookie, coatcheck: metadata }))
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

/** The idle time that a text names which begins as usual and has no metadata: that is known without parsing it. */
function usualIdleOf(stored: Buffer): number | undefined {
  const head = usualHead.exec(stored.toString('latin1', 0, headLength))
  if (!head || stored.includes(metadataName)) return undefined
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
 * What a session holds but for the metadata. `undefined` for one that is nested too deep for JSON.stringify, which on Node before 26
 * JSON.parse is not. Its data then is all that is stored, and the engine takes that for corrupt.
 */
export function textWithoutMetadata(session: object | undefined): Buffer | undefined {
  try {
    return Buffer.from(JSON.stringify({ ...session, coatcheck: undefined }))
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
