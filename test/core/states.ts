import {
  type SentWrite,
  type Base,
  type ContentWrite,
  type Former,
  formerState,
  type Live,
  liveState,
  type New,
  newState,
  noIntent,
  type State,
} from '../../dist/core/session/state.js'
import { recordFormat, type SessionId, type SessionRecord } from '../../dist/core/store/record.js'
import type { InsertWrite, UpdateWrite } from '../../dist/core/store/session-store.js'

/** States of a session for tables, and what they are made of. */
export { noIntent }

const id = 'abcdefghijklmnop' as SessionId
const lifetime = { idle: 60_000, absolute: undefined }

/** A hash or a mark that no other letter gives. */
export const bytesOf = (letter: string, length = 32): Uint8Array => Buffer.alloc(length, letter)
export const markOf = (letter: string): Uint8Array => bytesOf(letter, 8)

export const data = (value: object): Uint8Array => Buffer.from(JSON.stringify(value))

/** A record with the token `t`, at version 3. */
export function record(with_: Partial<SessionRecord> = {}): SessionRecord {
  return {
    id,
    hash: bytesOf('t'),
    userId: undefined,
    authenticatedAt: undefined,
    data: data({ n: 1 }),
    about: undefined,
    rootId: undefined,
    format: recordFormat,
    version: 3,
    marks: Buffer.concat(['3', '2', '1'].map(markOf)),
    createdAt: 1,
    seenAt: 2,
    expiresAt: 60_000,
    readAt: 3,
    ...with_,
  }
}

export function base(with_: Partial<SessionRecord> = {}, owner = with_.userId): Base {
  return { record: record(with_), owner }
}

/** An update that was sent onto version 3, with the mark `m`. */
export function updateWrite(with_: Partial<UpdateWrite> = {}): UpdateWrite {
  const content = { userId: undefined, data: data({ n: 2 }), format: recordFormat, mark: markOf('m') }
  return { type: 'update', id, version: 3, ...content, lifetime, ...with_ }
}

export function insertWrite(with_: Partial<InsertWrite> = {}): InsertWrite {
  const content = { userId: undefined, data: data({ n: 2 }), format: recordFormat, mark: markOf('m') }
  return { type: 'insert', id, hash: bytesOf('t'), signedIn: false, ...content, lifetime, ...with_ }
}

/** A write whose answer was lost. */
export function attempt(with_: Partial<SentWrite> = {}, write: ContentWrite = updateWrite()): SentWrite {
  const held = record().data
  return { write, held, seen: held, intent: noIntent, token: 'the token', ...with_ }
}

export const newly: New = newState('begun')
export const carrying: New = { ...newly, copiedFrom: base() }
export const live: Live = liveState('the token', base())
export const saved: Live = { ...live, isSaved: true }
export const issued: Live = { ...saved, isIssued: true }
export const behind: Live = { ...live, isBehind: true }
export const former: Former = formerState('the token', base())
export const ending: State = { kind: 'ending', of: live }
export const left: State = { kind: 'left', of: live }
export const ended: State = { kind: 'ended', token: 'the token' }
export const gone: State = { kind: 'gone', token: 'the token' }
