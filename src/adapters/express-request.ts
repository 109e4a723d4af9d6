import type { RequestSession, Session, SessionData } from '../core/session/session.js'
import type { OldData, OldSession, OldStore, WithOldTypes } from '../express-session/model/old-types.js'
import type { OldMembers } from '../express-session/model/session.js'
import type { Store } from '../express-session/bridge/store.js'

/** What coatcheck adds to a session of express-session's types. */
type AddedMembers = Omit<Session, 'id' | 'userId' | 'regenerate' | 'destroy' | 'reload' | 'save' | 'touch'> &
  Pick<OldMembers, 'boundUserId'>

declare global {
  namespace Express {
    interface Request {
      /** The session of this request. `undefined` only after `destroy()`, and where `skip` said so. */
      session: WithOldTypes<
        OldSession & Partial<OldData>,
        RequestSession & Omit<Partial<OldMembers>, keyof SessionData | keyof Session>
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
