import type { SessionError } from './errors.js'

/** Which session an event speaks of. Never holds a token. */
export interface SessionReference {
  readonly publicId: string
  readonly userId: string | undefined
}

/** Why a session ended. */
export type EndReason = 'destroy' | 'limit' | 'regenerate' | 'revoke' | 'signOut'

/** What `sessions.on(name, listener)` tells, after it has happened. Each listener gets one argument. */
export interface SessionEvents {
  /** A session was stored for the first time. */
  created: [event: SessionReference]
  /** Changes were stored. `version` counts them, but on a table of express-mysql-session, where it is a fingerprint. A mere move of the expiry is no change. */
  committed: [event: SessionReference & { readonly version: number }]
  /** The session has a new token. The old one works for `rotationGrace` more. */
  rotated: [event: SessionReference]
  /** The session was ended. */
  destroyed: [event: SessionReference & { readonly reason: EndReason }]
  /** So many expired records were swept. */
  expired: [event: { readonly count: number }]
  /** The store failed, holds a record that cannot be read, or could not be swept six times in a row because of a lock. */
  storeError: [error: SessionError]
}
