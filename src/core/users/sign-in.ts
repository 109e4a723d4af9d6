import { mostAttempts } from '../attempts.js'
import { changedTooOften, type SessionError, signInRevoked, tooManySessions } from '../errors.js'
import type { EndReason } from '../events.js'
import type { RecentValues } from '../recent-values.js'
import { performance } from '../scheduling.js'
import type { Beginning, SignIn, WorkContext } from '../session/work-context.js'
import { type ListedRecord, publicIdOf, type SessionId } from '../store/record.js'
import { type Note, noteId, readNote, type Subject, writeNote } from './notes.js'

/** How many sessions one user may have at once. */
export interface UserLimit {
  readonly most: number
  readonly whenFull: 'endOldest' | 'refuse'
  /** The longest lifetime of a session, in milliseconds. With 'refuse', it is remembered that long who has a place. */
  readonly longestLife: number
  /**
   * How many sign-ins of a user pass in one process between two counts of their sessions. A count that finds too many
   * ends this many more, to make room. 0: every sign-in counts the sessions, and the limit is exact.
   */
  readonly slack: number
}

/** What a sign-in needs of its user's sessions. */
interface SessionsOfUser {
  /** Without the children, which do not count. */
  roots(): Promise<readonly ListedRecord[]>
  end(publicId: string, reason: EndReason): Promise<boolean>
}

/** The rules that a sign-in is checked by. */
export interface SignInRules {
  readonly limit: UserLimit | undefined
  /** For each user: how many more sign-ins may pass without a count. */
  readonly uncounted: RecentValues<number>
  /** Milliseconds by which the store's times may be wrong, for stores that keep whole seconds. */
  readonly precision: number
}

/**
 * How long a revocation is remembered. A request that takes longer than this to sign a user in is not stopped by it.
 */
const longestSignIn = 86_400_000 // milliseconds: a day

function revocationOf(userId: string): Subject {
  return { kind: 'revoked', of: userId }
}

/** The id of the note that remembers when all sessions of a user were revoked. Its `seenAt` is that time. */
export function revocationNoteId(userId: string): SessionId {
  return noteId(revocationOf(userId))
}

/**
 * Remembers that all sessions of a user end now, except the one with the publicId `except`. Call it before they are
 * removed.
 */
export async function rememberRevocation(
  context: WorkContext,
  userId: string,
  except: string | undefined,
): Promise<void> {
  const lifetime = { idle: longestSignIn, absolute: undefined }
  const subject = revocationOf(userId)
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const note = await readNote(context, subject)
    // The session that is spared now may have been ended by an earlier revocation: keep that one's time.
    const before = note && (note.text === except ? note.before : note.record.seenAt)
    if (await writeNote(context, subject, note, { text: except ?? '', before }, lifetime)) return
  }
  throw changedTooOften(mostAttempts)
}

/**
 * Why a sign-in that was just stored must be undone; `undefined` if it may stay.
 *
 * A revocation is first remembered, and then removes the stored sessions. A sign-in is first stored, and then looks for
 * revocations. So one of the two always finds the other.
 */
export async function signInRefusal(
  context: WorkContext,
  signIn: SignIn,
  user: SessionsOfUser,
  { limit, uncounted, precision }: SignInRules,
): Promise<SessionError | undefined> {
  if (await wasRevoked(context, signIn, precision)) return signInRevoked()
  if (limit?.whenFull === 'endOldest' && isToCount(signIn.userId, limit, uncounted))
    await endOldest(user, limit)
  if (limit?.whenFull !== 'refuse' || signIn.wasTheirs) return undefined
  if (!(await takesPlace(context, signIn, user, limit))) return tooManySessions(limit.most)
  return undefined
}

/**
 * Whether the user's sessions were revoked when something began, or since. A session that was spared then does not matter:
 * what began before is over.
 */
export async function revokedSince(
  context: WorkContext,
  userId: string,
  beginning: Beginning,
): Promise<boolean> {
  const note = await readNote(context, revocationOf(userId))
  return note !== undefined && beganBy(context, note, beginning) < note.record.seenAt + 1
}

/**
 * When something began, by the clock of a note. Where a record that it read is of another clock, its age is measured in
 * this process. The clock is read after the answer: so the round trip makes it look older, never younger.
 */
function beganBy({ comparesTimes }: WorkContext, { record }: Note, { readAt, begunAt }: Beginning): number {
  return comparesTimes && readAt !== undefined ? readAt : record.readAt - (performance.now() - begunAt)
}

async function wasRevoked(
  context: WorkContext,
  { userId, publicId, ...beginning }: SignIn,
  precision: number,
): Promise<boolean> {
  const note = await readNote(context, revocationOf(userId))
  if (!note) return false
  const revokedAt = note.text === publicId ? note.before : note.record.seenAt
  const began = beganBy(context, note, beginning)
  // The store cuts its times to whole milliseconds.
  return revokedAt !== undefined && began < revokedAt + 1 + precision
}

/** Whether this sign-in counts. A count reads all of the user's sessions, so with `slack` only a few sign-ins do. */
function isToCount(userId: string, { slack }: UserLimit, uncounted: RecentValues<number>): boolean {
  const left = uncounted.get(userId) ?? 0
  if (slack > 0) uncounted.set(userId, left > 0 ? left - 1 : slack)
  return left === 0
}

/**
 * Ends the oldest of a user's sessions, beyond the limit. Parallel sign-ins each do so with the sessions that they see.
 * They use the same order, so none of them ends a session that should stay. The last one to look sees all sessions.
 */
async function endOldest(user: SessionsOfUser, { most, slack }: UserLimit): Promise<void> {
  const records = await user.roots()
  if (records.length <= most) return
  const newestFirst = records.toSorted(
    (one, other) => signedInAt(other) - signedInAt(one) || (publicIdOf(one) < publicIdOf(other) ? -1 : 1),
  )
  const tooMany = newestFirst.slice(most - slack).map(publicIdOf)
  // Many at once share statements. A few go one by one, because a table of express-mysql-session is scanned for each.
  if (slack > 0) await Promise.all(tooMany.map((publicId) => user.end(publicId, 'limit')))
  else for (const publicId of tooMany) await user.end(publicId, 'limit')
}

/**
 * Takes a place for a session; false if there is none. There are `most` places. Each goes to one session, by a write
 * that fails if another sign-in was faster.
 *
 * The places are read before the sessions. A session is stored before it takes a place, so a live one is always listed.
 */
async function takesPlace(
  context: WorkContext,
  { userId, publicId }: SignIn,
  user: SessionsOfUser,
  { most, longestLife }: UserLimit,
): Promise<boolean> {
  const subjects = Array.from({ length: most }, (_, place) => ({ kind: `place${place}`, of: userId }))
  const lifetime = { idle: longestLife, absolute: undefined }
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const places = await Promise.all(subjects.map((subject) => readNote(context, subject)))
    const live = new Set((await user.roots()).map(publicIdOf))
    if (places.some((place) => place?.text === publicId)) return true
    const free = subjects.flatMap((subject, index) => {
      const place = places[index]
      return place && live.has(place.text) ? [] : [{ subject, place }]
    })
    if (free.length === 0) return false
    const { subject, place } = free[Math.floor(Math.random() * free.length)]!
    if (await writeNote(context, subject, place, { text: publicId }, lifetime)) return true
  }
  throw changedTooOften(mostAttempts)
}

function signedInAt({ authenticatedAt, createdAt }: ListedRecord): number {
  return authenticatedAt ?? createdAt
}
