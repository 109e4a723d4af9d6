import { createHash } from 'node:crypto'
import type { SessionId, SessionRecord } from 'coatcheck'
import { idOf } from './shorten.ts'
import { store } from './store.ts'

/** A session's row in the table `coatcheck_sessions`, for the panel. Times are milliseconds since the Unix epoch. */
export interface Row {
  readonly id: string
  /** At another site, by hand-off: the id of the session that this one came from. */
  readonly rootId: string | undefined
  /** At another site: which. */
  readonly about: string | undefined
  readonly userId: string | undefined
  readonly version: number
  /** The beginning of the token's hash. It shows whether the token was replaced. */
  readonly hash: string
  /** The session's data, as JSON. */
  readonly data: string
  readonly authenticatedAt: number | undefined
  readonly createdAt: number
  readonly expiresAt: number
}

/**
 * Reads the row of a token from the database. Real apps do not need this: they have `req.session`.
 *
 * Without a valid token there is no row. An id is no secret, and an old token may be a thief's.
 * @param clientId the site that the token is for; `undefined`: accounts, shop and API
 */
export async function readRow(token: string, clientId: string | undefined): Promise<Row | undefined> {
  const record = await recordOf(idOf(token))
  if (record?.hash === undefined || !hashOf(token, clientId).equals(record.hash)) return undefined
  const { id, rootId, about, userId, version, hash, data, authenticatedAt, createdAt, expiresAt } = record
  return {
    id,
    rootId,
    about,
    userId,
    version,
    hash: Buffer.from(hash).toString('hex').slice(0, 8),
    data: Buffer.from(data).toString(),
    authenticatedAt,
    createdAt,
    expiresAt,
  }
}

/** As the store has it: docs/decisions/a-token-is-for-one-site.md. */
function hashOf(token: string, clientId: string | undefined): Buffer {
  const text = clientId === undefined ? token : `coatcheck token of ${clientId} ${token}`
  return createHash('sha256').update(text).digest()
}

/** Whether a session's row is still there. */
export async function hasRow(id: string): Promise<boolean> {
  return (await recordOf(id)) !== undefined
}

/** What the database has of a code of the hand-off. It does not have the code. */
export interface CodeRow {
  readonly id: string
  readonly clientId: string
  readonly rootId: string
  /** `issued`, `used` or `void`. */
  readonly state: string
  /** The session that was made for it. */
  readonly childId: string | undefined
  readonly expiresAt: number
}

/** The id of a code's row: a hash, so it is no secret. */
export function codeRowIdOf(code: string): string {
  return createHash('sha256').update(`coatcheck note handoff code ${code}`).digest('base64url').slice(0, 16)
}

export async function readCodeRow(id: string): Promise<CodeRow | undefined> {
  const record = await recordOf(id)
  if (record === undefined) return undefined
  const { text } = JSON.parse(Buffer.from(record.data).toString()) as { text: string }
  const { grant, state } = JSON.parse(text) as {
    grant: { clientId: string; rootId: string }
    state: { is: string; childId?: string }
  }
  const { clientId, rootId } = grant
  return { id, clientId, rootId, state: state.is, childId: state.childId, expiresAt: record.expiresAt }
}

async function recordOf(id: string): Promise<SessionRecord | undefined> {
  const [record] = await store.find([id as SessionId])
  return record
}
