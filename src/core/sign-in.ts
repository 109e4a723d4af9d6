import { hash } from 'node:crypto'
import { mostAttempts } from './attempts.js'
import { changedTooOften, type SessionError, signInRevoked, tooManySessions } from './errors.js'
import type { EndReason } from './events.js'
import type { SessionKey, SessionRecord } from './record.js'
import { performance } from './scheduling.js'
import type { Lifetime } from './store.js'
import type { SignIn, WorkContext } from './work-context.js'

/** How many sessions one user may have at once. */
export interface UserLimit {
  readonly most: number
  readonly whenFull: 'endOldest' | 'refuse'
  /** How long no session can outlive, in milliseconds: so long is remembered who was let in. */
  readonly longestLife: number
}

/** One user's sessions, as far as a sign-in goes. */
interface SessionsOfUser {
  records(): Promise<readonly SessionRecord[]>
  end(publicId: string, reason: EndReason): Promise<boolean>
}

/** A note about a user. */
interface Note {
  /** The publicId of the session that it spares, or gives a place to. */
  readonly text: string
  /** When that session, too, was last to be ended, by the store's clock. */
  readonly before?: number | undefined
}

/** What the checks of a sign-in go by. */
export interface SignInRules {
  readonly limit: UserLimit | undefined
  /** Milliseconds by which the store's times may be off, as those are that are kept in seconds. */
  readonly precision: number
}

/** A sign-in that takes longer than this, from the beginning of its request, is not reached by what was revoked meanwhile. */
const longestSignIn = 86_400_000 // milliseconds: a day
const noteName = 'note'

/*
 * What is remembered of a user, across all apps, lies in the store as records of their own: under keys that no token
 * leads to, and of no user, so that no listing of a user's sessions shows them. Every store can keep them as it is.
 */

/** Remembers that all sessions of a user end now. Call it before they are removed. */
export async function rememberRevocation(
  context: WorkContext,
  userId: string,
  except: string | undefined,
): Promise<void> {
  const lifetime = { idle: longestSignIn, absolute: undefined }
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const key = noteKey(context, 'revoked', userId)
    const note = await context.find(key)
    // Who is spared now may have been among those that were ended before.
    const before = note && (said(note).text === except ? said(note).before : note.seenAt)
    if (await takeNote(context, key, note, { text: except ?? '', before }, lifetime)) return
  }
  throw changedTooOften(mostAttempts)
}

/**
 * Why a sign-in that was just stored may not stay.
 *
 * A revocation is remembered first, and then the sessions that are stored are removed. A sign-in is stored first, and
 * then asks what is remembered. So whichever comes first, one of the two finds the other.
 */
export async function signInRefusal(
  context: WorkContext,
  signIn: SignIn,
  user: SessionsOfUser,
  { limit, precision }: SignInRules,
): Promise<SessionError | undefined> {
  if (await wasRevoked(context, signIn, precision)) return signInRevoked()
  if (limit?.whenFull === 'endOldest') await endOldest(user, limit)
  if (limit?.whenFull !== 'refuse' || signIn.wasTheirs) return undefined
  if (!(await takesPlace(context, signIn, user, limit))) return tooManySessions(limit.most)
  return undefined
}

async function wasRevoked(
  context: WorkContext,
  { userId, publicId, readAt, begunAt }: SignIn,
  precision: number,
): Promise<boolean> {
  const note = await context.find(noteKey(context, 'revoked', userId))
  if (!note) return false
  const { text: spared, before } = said(note)
  const revokedAt = spared === publicId ? before : note.seenAt
  // Taken after the answer, so that the way there and back makes the request older and not younger.
  const began = readAt ?? note.readAt - (performance.now() - begunAt)
  // The store's moments are cut off to whole milliseconds.
  return revokedAt !== undefined && began < revokedAt + 1 + precision
}

/**
 * Everyone who signs in ends those that are too many among the sessions that they see, the order being the same for all:
 * whoever looks last sees all, and the newest are among the newest of any part of them.
 */
async function endOldest(user: SessionsOfUser, { most }: UserLimit): Promise<void> {
  const records = await user.records()
  if (records.length <= most) return
  const newestFirst = records.toSorted(
    (one, other) => signedInAt(other) - signedInAt(one) || (one.publicId < other.publicId ? -1 : 1),
  )
  for (const { publicId } of newestFirst.slice(most)) await user.end(publicId, 'limit')
}

/**
 * There are as many places as there may be sessions, and a place goes to one session, by a write that fails if another
 * was faster. The places are read before the sessions: whoever holds one was stored before that, so it is listed if it lives.
 */
async function takesPlace(
  context: WorkContext,
  { userId, publicId }: SignIn,
  user: SessionsOfUser,
  { most, longestLife }: UserLimit,
): Promise<boolean> {
  const keys = Array.from({ length: most }, (_, place) => noteKey(context, `place${place}`, userId))
  const lifetime = { idle: longestLife, absolute: undefined }
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const places = await Promise.all(keys.map((key) => context.find(key)))
    const live = new Set((await user.records()).map((record) => record.publicId))
    if (places.some((place) => place && said(place).text === publicId)) return true
    const free = keys.flatMap((key, index) => {
      const place = places[index]
      return place && live.has(said(place).text) ? [] : [{ key, place }]
    })
    if (free.length === 0) return false
    const { key, place } = free[Math.floor(Math.random() * free.length)]!
    if (await takeNote(context, key, place, { text: publicId }, lifetime)) return true
  }
  throw changedTooOften(mostAttempts)
}

/** @returns false if another was faster */
async function takeNote(
  context: WorkContext,
  key: SessionKey,
  before: SessionRecord | undefined,
  note: Note,
  lifetime: Lifetime,
): Promise<boolean> {
  // With a cookie, as stores that keep sessions like older libraries do read times from it.
  const cookie = { originalMaxAge: lifetime.idle, expires: new Date(Date.now() + lifetime.idle) }
  const data = Buffer.from(JSON.stringify({ cookie, ...note }))
  const content = { key, userId: undefined, data, lifetime }
  const result = await context.write(
    before
      ? { type: 'update', version: before.version, ...content }
      : { type: 'insert', publicId: noteName, signedIn: false, ...content },
  )
  return result === 'done'
}

/** Where a note about a user lies. Stores that know sessions by their tokens get a text that no token of ours can be. */
function noteKey(context: WorkContext, what: string, userId: string): SessionKey {
  return context.keyOf(`${noteName}.${what}.${hash('sha256', userId, 'base64url')}`)
}

/** Whether a record is a note about a user, and no session. */
export function isNote({ publicId, key }: Pick<SessionRecord, 'publicId' | 'key'>): boolean {
  return publicId === noteName || key.startsWith(`${noteName}.`)
}

/** What a note says; nothing, if something else lies there. */
function said({ data }: SessionRecord): Note {
  try {
    const { text, before } = JSON.parse(Buffer.from(data).toString()) as Record<string, unknown>
    return {
      text: typeof text === 'string' ? text : '',
      before: typeof before === 'number' ? before : undefined,
    }
  } catch {
    return { text: '' }
  }
}

function signedInAt({ authenticatedAt, createdAt }: SessionRecord): number {
  return authenticatedAt ?? createdAt
}
