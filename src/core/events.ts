import type { SessionError } from './errors.js'

/** The session that an event is about. It never holds a token. */
export interface SessionReference {
  /** Names the session; safe to log. */
  readonly publicId: string
  /** The user who is signed in on it; `undefined` if nobody is. */
  readonly userId: string | undefined
}

/**
 * Why a session was ended: the method of `req.session` that did it; `revoke` for `sessions.user(id).revoke` and
 * `revokeAll`; `limit` for `sessionsPerUser`.
 */
export type EndReason = 'destroy' | 'limit' | 'regenerate' | 'revoke' | 'signOut'

/**
 * The events of `sessions.on(name, listener)`. Each listener gets one argument.
 *
 * An event fires after the change is stored, and only in the process that made it. If a listener throws, the request
 * goes on, and the process gets an uncaught exception.
 * @example
 * sessions.on('destroyed', ({ publicId, userId, reason }) => console.log('ended', publicId, userId, reason))
 */
export interface SessionEvents {
  /** A session was stored for the first time. */
  created: [event: SessionReference]
  /**
   * Changes of a session were stored: data, user or token. A move of the expiry alone does not count. `version` grows
   * by 1 each time, except on a table of express-mysql-session, where it is a fingerprint of the content.
   */
  committed: [event: SessionReference & { readonly version: number }]
  /** A stored session got a new token. The old one still works for `rotationGrace` (10 seconds by default). */
  rotated: [event: SessionReference]
  /**
   * A session was ended. It does not fire when one expires, or if its deletion is confirmed only after its reply was
   * lost.
   */
  destroyed: [event: SessionReference & { readonly reason: EndReason }]
  /**
   * A request was refused because it may be forged (CSRF), or would have been with `csrf: { report: true }`. `rule` is
   * the one that decided, of `CsrfRule`.
   */
  forged: [
    event: {
      readonly rule: string
      readonly method: string
      /** As it was sent, without the query. */
      readonly path: string
      readonly origin: string | undefined
    },
  ]
  /** A sweep of this process removed `count` expired sessions. */
  expired: [event: { readonly count: number }]
  /**
   * The store failed, holds a record that cannot be read (`ERR_SESSION_CORRUPT`), or could not be swept six times in a
   * row because of a lock. It fires once for each fault, however many requests that fails. Without a listener, it is a
   * process warning, at most once a minute for each code.
   */
  storeError: [error: SessionError]
}
