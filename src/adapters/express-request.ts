import type { RequestSession, Session, SessionData } from '../core/session.js'
import type { Cookie } from '../express-session/cookie.js'
import type { Store } from '../express-session/store.js'

/** What `req.session` has besides with `session(options)`. With `session(sessions)` these are not there. */
export interface OldMembers {
  /** The cookie of this session. Assigning its `maxAge`, in milliseconds, sets how long both live. */
  cookie?: Cookie
  /** Lets the cookie live for its `originalMaxAge` from now. */
  resetMaxAge?(): RequestSession
  /** Who is bound to the session. There, `userId` is data of yours, as under express-session. */
  readonly boundUserId?: string | undefined
}

/** What coatcheck adds to a session of express-session's types. */
type AddedMembers = Omit<Session, 'id' | 'userId' | 'regenerate' | 'destroy' | 'reload' | 'save' | 'touch'> &
  Pick<OldMembers, 'boundUserId'>

// An app that keeps @types/express-session keeps what it declares: `req.session` is then theirs, with our methods beside. The two
// declarations of `req.session` must be identical, so ours is read out of theirs. Importing theirs would be simpler. But that brings
// them into every program that can find them, such as that of another app in the same workspace.

/** @ts-ignore where a program is without @types/express-session, this is `any` */
type OldStore = Express.SessionStore
type OldData = OldStore extends {
  load(id: string, callback: (error: unknown, data?: infer Data) => unknown): void
}
  ? Data
  : never
type OldSession = OldStore extends { createSession(request: never, data: never): infer Made & OldData }
  ? Made
  : never

/** `Then` in a program that has @types/express-session. */
export type WithOldTypes<Then, Else> = [unknown] extends [OldStore] ? Else : Then

declare global {
  namespace Express {
    interface Request {
      /** The session of this request. `undefined` only after `destroy()`, and where `skip` said so. */
      session: WithOldTypes<
        OldSession & Partial<OldData>,
        RequestSession & Omit<OldMembers, keyof SessionData | keyof Session>
      >
      /** The session's token. A secret: never log it; `req.session.publicId` is for that. */
      sessionID: string
      /** With `session(options)`: the store, as express-session has it. */
      sessionStore: WithOldTypes<OldStore, Store>
    }
  }
}

type CoatcheckData = SessionData

/** @ts-ignore where a program is without @types/express-session, there is nothing to add to */
declare module 'express-session' {
  interface Session extends Omit<AddedMembers, keyof SessionData> {}
  interface SessionData extends CoatcheckData {}
}
