import { mostAttempts } from '../attempts.js'
import { changedTooOften, type SessionError, signInRevoked, tooManySessions } from '../errors.js'
import type { EndReason } from '../events.js'
import type { RecentValues } from '../recent-values.js'
import { performance } from '../scheduling.js'
import type { SignIn, WorkContext } from '../session/work-context.js'
import { type ListedRecord, publicIdOf } from '../store/record.js'
import { readNote, type Subject, writeNote } from './notes.js'

/** How many sessions one user may have at once. */
export interface UserLimit {
  readonly most: number
  readonly whenFull: 'endOldest' | 'refuse'
  /** How long no session can outlive, in milliseconds: so long is remembered who was let in. */
  readonly longestLife: number
  /**
   * So many sign-ins of a user may pass in one process between two counts of their sessions. A count that finds too many ends as many more
   * than it has to. 0: every sign-in counts, and the limit is exact.
   */
  readonly slack: number
}

/** One user's sessions, as far as a sign-in goes. */
interface SessionsOfUser {
  records(): Promise<readonly ListedRecord[]>
  end(publicId: string, reason: EndReason): Promise<boolean>
}

/** What the checks of a sign-in go by. */
export interface SignInRules {
  readonly limit: UserLimit | undefined
  /** By user: how many more sign-ins may pass uncounted. */
  readonly uncounted: RecentValues<number>
  /** Milliseconds by which the store's times may be off, as those are that are kept in seconds. */
  readonly precision: number
}

/** A sign-in that takes longer than this, from the beginning of its request, is not reached by what was revoked meanwhile. */
const longestSignIn = 86_400_000 // milliseconds: a day

function revocationOf(userId: string): Subject {
  return { kind: 'revoked', of: userId }
}

/** Remembers that all sessions of a user end now, but for the one of the publicId `except`. Call it before they are removed. */
export async function rememberRevocation(
  context: WorkContext,
  userId: string,
  except: string | undefined,
): Promise<void> {
  const lifetime = { idle: longestSignIn, absolute: undefined }
  const subject = revocationOf(userId)
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const note = await readNote(context, subject)
    // Who is spared now may have been among those that were ended before.
    const before = note && (note.text === except ? note.before : note.record.seenAt)
    if (await writeNote(context, subject, note, { text: except ?? '', before }, lifetime)) return
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
  { limit, uncounted, precision }: SignInRules,
): Promise<SessionError | undefined> {
  if (await wasRevoked(context, signIn, precision)) return signInRevoked()
  if (limit?.whenFull === 'endOldest' && isToCount(signIn.userId, limit, uncounted))
    await endOldest(user, limit)
  if (limit?.whenFull !== 'refuse' || signIn.wasTheirs) return undefined
  if (!(await takesPlace(context, signIn, user, limit))) return tooManySessions(limit.most)
  return undefined
}

async function wasRevoked(
  context: WorkContext,
  { userId, publicId, readAt, begunAt }: SignIn,
  precision: number,
): Promise<boolean> {
  const note = await readNote(context, revocationOf(userId))
  if (!note) return false
  const revokedAt = note.text === publicId ? note.before : note.record.seenAt
  // Taken after the answer, so that the way there and back makes the request older and not younger.
  const began = readAt ?? note.record.readAt - (performance.now() - begunAt)
  // The store's moments are cut off to whole milliseconds.
  return revokedAt !== undefined && began < revokedAt + 1 + precision
}

/** To count reads all of the user's sessions, so where the limit need not be exact, few sign-ins do. */
function isToCount(userId: string, { slack }: UserLimit, uncounted: RecentValues<number>): boolean {
  const left = uncounted.get(userId) ?? 0
  if (slack > 0) uncounted.set(userId, left > 0 ? left - 1 : slack)
  return left === 0
}

/**
 * Ends the oldest of a user's sessions, beyond the limit. Of parallel sign-ins each does so with the sessions that it sees. All go by one
 * order, so none of them ends a session that is to stay. The last one to look sees them all.
 */
async function endOldest(user: SessionsOfUser, { most, slack }: UserLimit): Promise<void> {
  const records = await user.records()
  if (records.length <= most) return
  const newestFirst = records.toSorted(
    (one, other) => signedInAt(other) - signedInAt(one) || (publicIdOf(one) < publicIdOf(other) ? -1 : 1),
  )
  const tooMany = newestFirst.slice(most - slack).map(publicIdOf)
  // Many at once share statements. A few go one by one: on a table of express-mysql-session each is looked for in all of it.
  if (slack > 0) await Promise.all(tooMany.map((publicId) => user.end(publicId, 'limit')))
  else for (const publicId of tooMany) await user.end(publicId, 'limit')
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
  const subjects = Array.from({ length: most }, (_, place) => ({ kind: `place${place}`, of: userId }))
  const lifetime = { idle: longestLife, absolute: undefined }
  for (let attempt = 1; attempt <= mostAttempts; attempt++) {
    const places = await Promise.all(subjects.map((subject) => readNote(context, subject)))
    const live = new Set((await user.records()).map(publicIdOf))
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
