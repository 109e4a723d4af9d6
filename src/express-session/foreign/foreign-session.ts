import { hash } from 'node:crypto'
import { SessionError } from '../../core/errors.js'
import {
  type EmbeddedMetadata,
  metadataIn,
  metadataOf,
  storedMetadata,
} from '../../core/data/embedded-metadata.js'
import { recordFormat, type SessionId, type SessionRecord } from '../../core/store/record.js'
import { sessionHash, idOf } from '../../core/token.js'
import { Cookie } from '../model/cookie.js'

/** A session that such a store gave; `kept` says whether there was a metadata in it. */
export interface ForeignRecord extends SessionRecord {
  readonly publicId: string
  readonly kept: boolean
}

/** The end of time as Date has it. */
const never = 8.64e15

/**
 * Reads a session as such a store gives it. That may be a parsed object, the very object that was handed in, or
 * anything else. The engine treats what is no session as corrupt.
 *
 * Times that only the store knows are worked out from the session's cookie. On a touch, many stores move their own
 * expiry and leave the cookie in the data as it was. So a session whose cookie has expired there may still be live: if
 * the store gives it, it counts.
 */
export function readForeign(id: SessionId, given: unknown): ForeignRecord {
  const session = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : undefined
  const metadata = session && metadataIn(session)
  const { coatcheck: _, ...stripped } = metadata ? session : {}
  const readAt = Date.now()
  const { seenAt, expiresAt } = timesOf(session?.['cookie'], readAt)
  return {
    id,
    publicId: metadata?.publicId ?? idOf(id),
    hash: sessionHash(id),
    userId: metadata?.userId,
    authenticatedAt: metadata?.authenticatedAt,
    data: Buffer.from(String(JSON.stringify(metadata ? stripped : given))),
    about: undefined,
    rootId: undefined,
    format: recordFormat,
    version: session ? fingerprintOf(session) : 0,
    marks: undefined,
    createdAt: metadata?.createdAt ?? seenAt,
    seenAt,
    expiresAt,
    readAt,
    kept: metadata !== undefined,
  }
}

/** Stands for a session that is there, but that the store itself could not parse. */
export function unreadableForeign(id: SessionId): ForeignRecord {
  return readForeign(id, 'not JSON')
}

/**
 * Makes what such a store expects to be handed: the session's data with a cookie whose `expires` is a Date, and whose
 * `maxAge` counts down to it.
 *
 * @throws ERR_SESSION_RESERVED_NAME if the data has a `coatcheck` of its own: it would be read back as a metadata.
 */
export function writeForeign(data: Uint8Array, metadata?: EmbeddedMetadata): object {
  const session = parsed(data) as Record<string, unknown>
  // The metadata of a session that an app has read and copied says nothing of this one, and is left out.
  if (metadataIn(session)) delete session['coatcheck']
  if (Object.hasOwn(session, 'coatcheck')) {
    throw new SessionError(
      'ERR_SESSION_RESERVED_NAME',
      'req.session.coatcheck is where the user and the name of a session are kept in a store written for express-session. Give your data another name.',
    )
  }
  session['cookie'] = cookieOf(session['cookie'])
  if (metadata) {
    session['coatcheck'] = storedMetadata(metadataOf(metadata.userId, metadata, metadata.authenticatedAt))
  }
  return session
}

/**
 * What such a store is handed to move the expiry of a session: what was just found there, with the cookie that this request
 * has moved. Where another gave the cookie a new `maxAge` meanwhile, theirs stays as it was stored: it was moved then.
 *
 * @param data the session as this request has it; left out: as it was found.
 * @returns `undefined` if what lies there is no session.
 */
export function touchedForeign(found: ForeignRecord, data: Uint8Array = found.data): object | undefined {
  const session = parsed(found.data)
  if (typeof session !== 'object' || session === null) return undefined
  const { cookie: stored } = session as { cookie?: StoredCookie | null }
  const { cookie: moved } = parsed(data) as { cookie?: StoredCookie | null }
  const length = stored?.originalMaxAge
  const cookie = length === undefined || length === moved?.originalMaxAge ? moved : stored
  const touched = Buffer.from(JSON.stringify({ ...session, cookie }))
  return writeForeign(touched, found.kept ? found : undefined)
}

function parsed(data: Uint8Array): unknown {
  return JSON.parse(Buffer.from(data).toString())
}

interface StoredCookie {
  readonly expires?: unknown
  readonly originalMaxAge?: unknown
}

function timesOf(cookie: unknown, now: number): { seenAt: number; expiresAt: number } {
  const { expires, originalMaxAge } = (cookie ?? {}) as StoredCookie
  // A Date from stores that keep the object itself, its text from all others. Any other object may not even become a text.
  const isMoment = expires instanceof Date || (typeof expires === 'string' && expires !== '')
  const end = isMoment ? new Date(expires).getTime() : NaN
  const maxAge = typeof originalMaxAge === 'number' ? originalMaxAge : NaN
  const seenAt = Number.isNaN(end - maxAge) ? now : Math.min(end - maxAge, now)
  if (end > now) return { seenAt, expiresAt: end }
  return { seenAt, expiresAt: Number.isNaN(maxAge) ? never : now + maxAge }
}

/**
 * A number of 52 bits that is another one after each change of what the session holds. The order of its names does not
 * count: a store may keep each apart. Of the cookie only the original maxAge counts: all else there moves with every
 * touch, or comes from the configuration.
 */
function fingerprintOf(session: Record<string, unknown>): number {
  const parts = Object.keys(session)
    .sort()
    .map((name) => [
      name,
      name === 'cookie' ? (session[name] as StoredCookie | null)?.originalMaxAge : session[name],
    ])
  return parseInt(hash('sha256', JSON.stringify(parts)).slice(0, 13), 16)
}

function cookieOf(stored: unknown): Cookie {
  const { expires, originalMaxAge, ...attributes } = (stored ?? {}) as StoredCookie
  const cookie = new Cookie(attributes)
  cookie.expires = typeof expires === 'string' ? new Date(expires) : ((expires ?? null) as boolean | null)
  // Last, because setting `expires` sets this too.
  cookie.originalMaxAge = (originalMaxAge ?? null) as number | null
  return cookie
}
