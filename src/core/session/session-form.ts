import { isSame } from '../data/compare.js'
import type { Lifetime } from '../store/session-store.js'
import type { SessionRecord } from '../store/record.js'
import {
  asideIn,
  dataOf,
  fillAside,
  openSession,
  refill,
  type Session,
  type SessionWork,
  visibleData,
} from './session.js'
import { createToken } from '../token.js'
import type { UserRule } from '../users/user-of.js'

type Data = Record<string, unknown>

/**
 * What the session in hand is to the app, and when that is something to store. One unit of work has one form:
 * `bagForm`, or one that behaves as older session libraries do.
 */
export interface SessionForm {
  /** The session for data that was read, or for none. */
  open(work: SessionWork, data: Data): Session
  /** Puts other data into a session, in place. */
  refill(session: Session, data: Data): void
  /** What is encoded and stored. */
  dataOf(session: Session): Data
  /** Of what was stored, the app's own data: what is compared and merged. */
  visible(data: Data): Data
  /** Names in what is stored that are not the app's: no sign-in drops them. */
  readonly ownNames?: readonly string[]
  /** The rest of what is stored, merged: what others changed from `before` to `theirs`, unless `mine` changed it too. */
  mergedRest?(before: Data, mine: Data, theirs: Data): Data
  /** Takes into the session what differs in the rest between two forms that were stored. */
  patchRest?(session: Session, from: Data, to: Data): void
  /** A session of its own, to try a change on, that holds `data` and whatever else this one has. */
  draft(session: Session, work: SessionWork, data: Data): Session
  /** Whether data that was read can be a session at all. */
  accepts(data: Data): boolean
  /** Whether the session holds something that the record does not. `encoded` is what `dataOf` gives, encoded. */
  differs(session: Session, encoded: Uint8Array, record: SessionRecord): boolean
  /** With it, the user follows from the data, and from nothing else. Given what `dataOf` gives. */
  readonly userOf?: UserRule | undefined
  /** Whether the first of a request's tokens that leads to a session decides, whoever's sessions the others lead to. */
  readonly takesFirst?: boolean
  /** Whether a session without data is stored. */
  keepsEmpty(regenerated: boolean): boolean
  /** Whether a session that nobody changed is stored again. */
  readonly keepsUnchanged: boolean
  /** Ends a session that was never stored. Left out: the store need not be asked for that. */
  endUnstored?(token: string): Promise<void>
  /** A token for a session that begins, or gets a new one. */
  createToken(): string
  /** @param merged what is stored, where that is not what the session in hand holds. */
  lifetime(merged?: Data): Lifetime
  /** For how many milliseconds after `seenAt` reading moves no expiry. */
  touchAfter(record: SessionRecord): number
}

/** What a hand-off has just put aside wins. Nothing else changes it. */
function mergedAside(before: Data, mine: Data, theirs: Data): Data {
  const [was, is] = [asideIn(before), asideIn(mine)]
  return isSame(was, is) ? asideIn(theirs) : is
}

/** The form of `createSessions`: a bag of data, stored once there is something in it. */
export function bagForm(settings: {
  readonly lifetime: Lifetime
  readonly touchAfter: number
  readonly userOf?: UserRule | undefined
}): SessionForm {
  return {
    open: openSession,
    refill,
    dataOf,
    visible: visibleData,
    mergedRest: mergedAside,
    patchRest: (session, _from, to) => fillAside(session, to),
    draft: (session, work, data) => openSession(work, { ...asideIn(dataOf(session)), ...data }),
    accepts: () => true,
    differs: (_session, encoded, record) => Buffer.compare(encoded, record.data) !== 0,
    userOf: settings.userOf,
    keepsEmpty: () => false,
    keepsUnchanged: false,
    createToken,
    lifetime: () => settings.lifetime,
    touchAfter: () => settings.touchAfter,
  }
}
