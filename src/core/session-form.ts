import type { Lifetime } from './store.js'
import type { SessionRecord } from './record.js'
import {
  dataOf,
  fillAside,
  openSession,
  refill,
  type Session,
  type SessionWork,
  visibleData,
} from './session.js'
import { createToken } from './token.js'
import type { UserRule } from './user-of.js'

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
  /** Takes in, beside the app's own data, what others changed in the rest from `before` to `theirs`, unless this session changed it too. */
  mergeRest?(session: Session, before: Data, theirs: Data): void
  /** Whether data that was read can be a session at all. */
  accepts(data: Data): boolean
  /** Whether the session holds something that the record does not. `encoded` is what `dataOf` gives, encoded. */
  differs(session: Session, encoded: Uint8Array, record: SessionRecord): boolean
  /** With it, the user follows from the data, and from nothing else. Given what `dataOf` gives. */
  readonly userOf?: UserRule | undefined
  /** Whether a session without data is stored. */
  keepsEmpty(regenerated: boolean): boolean
  /** Whether a session that nobody changed is stored again. */
  readonly keepsUnchanged: boolean
  /** Ends a session that was never stored. Left out: the store need not be asked for that. */
  endUnstored?(token: string): Promise<void>
  /** A token for a session that begins, or gets a new one. */
  createToken(): string
  lifetime(session: Session | undefined): Lifetime
  /** For how many milliseconds after `seenAt` reading moves no expiry. */
  touchAfter(record: SessionRecord): number
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
    mergeRest: (session, _before, theirs) => fillAside(session, theirs),
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
