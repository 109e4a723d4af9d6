import { hash } from 'node:crypto'
import type { WorkContext } from '../session/work-context.js'
import { recordFormat, type SessionId, type SessionRecord } from '../store/record.js'
import { createMark } from '../store/mark.js'
import type { Lifetime } from '../store/session-store.js'
import { hashedId, notePrefix } from '../token.js'

/*
 * Notes are what coatcheck remembers about users across all apps, such as revocations. They lie in the store as records
 * of their own. They have no hash, so no token finds them. They have no user, so no listing shows them. Every store can
 * keep them.
 */

/** What a note is about: a kind, such as `revoked`, and what it is `of`, such as a user id. */
export interface Subject {
  readonly kind: string
  readonly of: string
}

/** The content of a note, and the record that it was read from. */
export interface Note {
  readonly text: string
  /** Milliseconds, by the store's clock. */
  readonly before: number | undefined
  readonly record: SessionRecord
}

/** Reads a note; `undefined` if there is none. */
export async function readNote(context: WorkContext, subject: Subject): Promise<Note | undefined> {
  const record = await context.find(idOf(context, subject))
  if (!record) return undefined
  const { subject: about, text, before } = contentOf(record)
  // Ids are short: an attacker could find another subject with the same id by trying. The full hash tells them apart.
  if (about !== hashOf(subject)) return undefined
  return {
    text: typeof text === 'string' ? text : '',
    before: typeof before === 'number' ? before : undefined,
    record,
  }
}

/**
 * Writes a note in place of `before`, the one that was read; or a new one, if there was none.
 * @returns false if somebody else was faster.
 */
export async function writeNote(
  context: WorkContext,
  subject: Subject,
  before: Note | undefined,
  content: { readonly text: string; readonly before?: number | undefined },
  lifetime: Lifetime,
): Promise<boolean> {
  // With a cookie: stores that keep sessions as older libraries do read times from it.
  const cookie = { originalMaxAge: lifetime.idle, expires: new Date(Date.now() + lifetime.idle) }
  const data = Buffer.from(JSON.stringify({ cookie, subject: hashOf(subject), ...content }))
  const write = { userId: undefined, data, format: recordFormat, mark: createMark(), lifetime }
  const id = idOf(context, subject)
  const result = await context.write(
    before
      ? { type: 'update', id, version: before.record.version, ...write }
      : { type: 'insert', id, publicId: 'note', hash: undefined, signedIn: false, ...write },
  )
  return result === 'done'
}

function idOf({ tokensAreKeys }: WorkContext, subject: Subject): SessionId {
  return tokensAreKeys
    ? (`${notePrefix}${subject.kind}.${hash('sha256', subject.of, 'base64url')}` as SessionId)
    : noteId(subject)
}

/** The id of a note, except in a `TokenKeyedStore`. */
export function noteId({ kind, of }: Subject): SessionId {
  return hashedId(`coatcheck note ${kind} ${of}`)
}

function hashOf({ kind, of }: Subject): string {
  return hash('sha256', `${kind} ${of}`, 'base64url')
}

/** The content of a note; empty if the record is no note. */
function contentOf({ data, hash }: SessionRecord): Readonly<Record<string, unknown>> {
  try {
    const content: unknown = hash === undefined && JSON.parse(Buffer.from(data).toString())
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
