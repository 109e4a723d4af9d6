/** Those of SAFETY: what must hold whatever happens in whichever order. */
export const invariants = {
  I1: 'no update is lost',
  I2: 'what has ended stays ended',
  I3: 'an ending is seen everywhere at once',
  I4: 'no token from before a login leads into it',
  I5: 'what was told stored is read, and nothing goes back',
  I6: 'nobody sees what is not theirs',
  I7: 'no session outlives its absolute lifetime, and no touch shortens it',
  I8: 'acknowledged is stored, rejected is the old state or the whole new one',
  I9: 'a revocation reaches a login that began before it',
  I10: 'reading writes nothing but touches',
  I11: 'what was not ended works once all is well again',
} as const

export type Invariant = keyof typeof invariants

/** What a session held when it was looked at. */
export interface View {
  readonly publicId: string
  readonly userId: string | undefined
  readonly data: Readonly<Record<string, unknown>>
}

/** What one request changed. `base` is the user that its session had, and moments are by the schedule's count. */
export interface Change {
  readonly kind: 'set' | 'same' | 'delete' | 'increment'
  readonly name: string
  base: string | undefined
  started: number
  /** When its last attempt was over; `undefined` while it may still be stored. */
  over: number | undefined
  /** When it was told that it is stored. */
  acknowledged: number | undefined
}

/** One proof of who somebody is. */
export interface Login {
  readonly id: string
  readonly user: string
  /** When its request had found its session, or that there is none. */
  readonly began: number
  started: number | undefined
  acknowledged: number | undefined
}

/** All that is known of one session, by what apps were told. */
export interface Life {
  readonly publicId: string
  readonly browser: number
  /** Whether it is one of those that the program began with, so that all of its history is known. */
  readonly whole: boolean
  /** Everyone who was, or may have become, its user. */
  readonly users: Set<string>
  readonly logins: Login[]
  readonly changes: Change[]
  /** Attempts at giving it another token; those that were told done; requests that tried, and told no browser yet. */
  rotations: number
  rotated: number
  untold: number
  /** Attempts that take the session from whoever else has rotated it: their tokens are no good at once. */
  claims: number
  /** How often somebody began to end it. */
  endStarts: number
  ended: { readonly at: number; readonly base: string | undefined } | undefined
  /** What was seen in it, and since when. */
  readonly seen: Map<string, number>
  readonly counted: { readonly count: number; readonly at: number }[]
}

/** A token that a browser was given, and what it may lead to: this one session, in this one login. */
export interface Ticket {
  readonly token: string
  readonly life: Life
  readonly login: Login | undefined
  readonly user: string | undefined
  /** `rotations` of its session as it was given; `undefined` if another rotation was under way. */
  readonly rotations: number | undefined
  /** `rotated` of its session as it was given. */
  readonly rotated: number
  /** When its browser was given it. */
  readonly given: number
}

export interface Revocation {
  readonly user: string
  except: string | undefined
  /** Whether what it spares was given another token first. */
  readonly claims: boolean
  /** Whether that may have failed, and it ended, because the request had lost its token before. */
  readonly mayLose: boolean
  readonly started: number
  acknowledged: number | undefined
}

/** All that apps were told. */
export interface Facts {
  readonly lives: Map<string, Life>
  readonly logins: Map<string, Login>
  readonly revocations: Revocation[]
}

/**
 * What others may have done that makes right what an app finds wrong that does not know of it: ended the session with that
 * public id; moved it to another token, as a sign-in does too; signed in on it; revoked what that user had. Or it takes all that
 * they did, and in which order.
 */
export type Excuse =
  | {
      readonly ended?: string
      readonly moved?: string
      readonly signedIn?: SignedIn
      readonly revoked?: string
    }
  | 'anything'

/** Somebody signed in on the session with that public id: by another login than that one, where it is given; before that moment, where it is. */
export interface SignedIn {
  readonly publicId: string
  readonly besides?: Login | undefined
  readonly before?: number
}

/** Something that did not hold, by what one app could know. */
export interface Violation {
  readonly text: string
  readonly excuse: Excuse
}

/** What one app was told, and what it thinks of it. */
export interface Account {
  readonly facts: Facts
  readonly violations: readonly Violation[]
  readonly checks: Checks
}

/** How often which invariant was checked. */
export type Checks = Readonly<Record<string, number>>

/** The values that a request stores tell whose they are. */
export interface Canary {
  readonly browser: number
  readonly as: string | undefined
}
