import type { RequestSession, Session, SessionData } from '../core/session/session.js'
import type { OldData, OldSession, OldStore, WithOldTypes } from '../express-session/model/old-types.js'
import type { OldMembers } from '../express-session/model/session.js'
import type { Store } from '../express-session/bridge/store.js'

/** The members that coatcheck adds to a session with express-session's types. */
type AddedMembers = Omit<Session, 'id' | 'userId' | 'regenerate' | 'destroy' | 'reload' | 'save' | 'touch'> &
  Pick<OldMembers, 'boundUserId'>

declare global {
  namespace Express {
    interface Request {
      /** The session of this request. It is `undefined` only after `destroy()`, and if `skip` left the request out. */
      session: WithOldTypes<
        OldSession & Partial<OldData>,
        RequestSession & Omit<Partial<OldMembers>, keyof SessionData | keyof Session>
      >
      /** The session's token. It is a secret: never log it. Log `req.session.publicId` instead. */
      sessionID: string
      /** The store, as under express-session. Only with `session(options)`. */
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
