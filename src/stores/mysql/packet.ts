import { SessionError } from '../../core/errors.js'
import { select } from './pool.js'
import type { MySQLClient } from './pool.js'

/**
 * The most bytes of data that several sessions may have in one statement. The rest of a session takes at most 2 KiB. So
 * the statement stays below 1 MiB, the lowest default of `max_allowed_packet` of any server. A session with more data
 * goes alone.
 */
export const mostBytes = 896 * 1024
/** Bytes of one session's data that go without a question about the server's own limit: more than sessions have. */
const unasked = 64 * 1024
/** What a statement on one session has besides its data. */
const besides = 4 * 1024

/**
 * Holds data back that is more than the server takes in one statement: it would drop the connection, and the pool may hand
 * that to others before it notices. The server is asked only about what is large.
 *
 * @throws (by the promise) ERR_SESSION_TOO_LARGE.
 */
export async function assertTaken(client: MySQLClient, data: { readonly length: number }): Promise<void> {
  if (data.length <= unasked) return
  const [row] = await select(client, 'SELECT @@max_allowed_packet AS most')
  const most = Number(row?.['most']) - besides
  if (data.length <= most) return
  throw new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `The session's data takes ${data.length} bytes, and the database takes ${most} in one statement. Keep large things in a table of yours and only their id in the session, or raise max_allowed_packet of the server.`,
  )
}
