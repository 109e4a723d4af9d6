import type { SessionReference } from './events.js'
import type { SessionRecord } from './record.js'
import type { SessionWrite } from './store.js'

/** A write that stores a session's content. */
export type ContentWrite = Extract<SessionWrite, { type: 'insert' | 'update' | 'rotate' }>

/** The record as a write that was done left it. Its times are this process's guess, until it is read again. */
export function recordAfter(
  write: ContentWrite,
  before: SessionRecord | undefined,
  publicId: string,
): SessionRecord {
  const now = Date.now()
  return {
    key: write.type === 'rotate' ? write.newKey : write.key,
    publicId,
    userId: write.userId,
    authenticatedAt: write.type !== 'update' && write.signedIn ? now : before?.authenticatedAt,
    data: write.data,
    version: (before?.version ?? 0) + 1,
    createdAt: before?.createdAt ?? now,
    seenAt: now,
    expiresAt: now + write.lifetime.idle,
    readAt: now,
  }
}

/** What may be told of a record. */
export function referenceTo(record: SessionRecord): SessionReference {
  return { publicId: record.publicId, userId: record.userId }
}
