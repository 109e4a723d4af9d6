import { inspect } from 'node:util'
import type { UnitOfWork } from '../core/unit-of-work.js'

/**
 * How a session stands in its request, as a text to compare: another one once a handler has changed what the session holds,
 * put another in its place, planned a new token, or done what the browser is still to be told.
 *
 * Not encoded by the codec, since what the session holds may be what cannot be encoded. A secret, for the token is in it.
 *
 * @param session what the request gives its handlers
 */
export function sessionPicture(work: UnitOfWork, session: unknown): string {
  // What JSON leaves out, such as a Map, or cannot tell at all. Not deep: it may lead into all of an app's objects.
  const shown = `${work.id} ${work.action} ${work.unfinished} ${inspect(session, { customInspect: false })}`
  try {
    return shown + JSON.stringify(session)
  } catch {
    return shown
  }
}
