import { isError, SessionError } from '../../core/errors.js'
import { type FailureKind, storeFailure } from '../../core/store/store-failure.js'

/** What one of SQLite's result codes is. Neither text holds anything of what SQLite said. */
interface SQLiteRefusal {
  readonly name: string
  readonly kind: FailureKind
  readonly what: string
  readonly cure: string
}

const rights = 'Check that this process may read and write the file and its folder, and which user it runs as'
const again =
  'Try again; if it recurs, find which process holds the file, or give SQLiteStore a longer busyTimeout'
const restore = 'Restore the file from a backup, or move it away, which ends its sessions'
const program = 'What SQLite or the driver says is the cause of this error'

/** By result code; an extended one, above 255, stands before its primary one. */
const list: readonly (readonly [
  code: number,
  name: string,
  kind: FailureKind,
  what: string,
  cure: string,
])[] = [
  [3, 'SQLITE_PERM', 'configuration', 'the file cannot be used with the rights of this process', rights],
  [4, 'SQLITE_ABORT', 'busy', 'a statement was stopped', again],
  [5, 'SQLITE_BUSY', 'busy', 'another connection has the file locked', again],
  [6, 'SQLITE_LOCKED', 'busy', 'another statement has the table locked', again],
  [7, 'SQLITE_NOMEM', 'away', 'there is not enough memory', 'Give the process more memory'],
  [1032, 'SQLITE_READONLY_DBMOVED', 'configuration', 'the file was moved or removed while it was open', 'Restart the app, and leave the file where it is while apps run'],
  [8, 'SQLITE_READONLY', 'configuration', 'the file cannot be written', rights],
  [9, 'SQLITE_INTERRUPT', 'busy', 'a statement was interrupted', again],
  [10, 'SQLITE_IOERR', 'away', 'the disk failed to read or write the file', 'Check the disk, and that there is room on it'],
  [11, 'SQLITE_CORRUPT', 'configuration', 'the file is damaged', restore],
  [13, 'SQLITE_FULL', 'away', 'there is no room for more', 'Make room on the disk, or raise max_page_count'],
  [14, 'SQLITE_CANTOPEN', 'configuration', 'the file, or one beside it, cannot be opened', rights],
  [15, 'SQLITE_PROTOCOL', 'busy', 'others are locking the file', again],
  [17, 'SQLITE_SCHEMA', 'busy', 'others are changing the tables', again],
  [18, 'SQLITE_TOOBIG', 'data', 'the session is larger than SQLite takes', 'Keep less in the session, or raise the limit of the connection'],
  [19, 'SQLITE_CONSTRAINT', 'data', 'a constraint or a trigger of the table refuses the session', 'Change that, or what the session holds. What it says is the cause of this error'],
  [20, 'SQLITE_MISMATCH', 'data', 'something in the session is not of the type of its column', 'Give the table the columns that schema/sqlite.sql has'],
  [22, 'SQLITE_NOLFS', 'configuration', 'the file is larger than this system allows', restore],
  [23, 'SQLITE_AUTH', 'configuration', 'the connection may not do this', 'Leave out the authorizer of the connection, or let it allow what the store does'],
  [26, 'SQLITE_NOTADB', 'configuration', 'the file is no SQLite database, or an encrypted one', 'Give SQLiteStore the path of another file'],
] // prettier-ignore

const listed = new Map(
  list.map(([code, name, kind, what, cure]): [number, SQLiteRefusal] => [code, { name, kind, what, cure }]),
)
/** As it is while an app ends: whoever asks then is to ask another process. */
const closed: SQLiteRefusal = {
  name: 'ERR_INVALID_STATE',
  kind: 'away',
  what: 'the connection that SQLiteStore was given is closed',
  cure: 'Close the connection after the store, and the store after the server',
}
/** The app holds a transaction open on the connection that it gave. SQLite has no code of its own for that. */
const inTransaction: SQLiteRefusal = {
  name: 'SQLITE_ERROR',
  kind: 'busy',
  what: 'the connection that SQLiteStore was given is in a transaction of the app',
  cure: 'Give the store a connection of its own',
}
const unknown: SQLiteRefusal = {
  name: 'SQLITE_ERROR',
  kind: 'configuration',
  what: 'the reason is not one that SQLiteStore knows',
  cure: program,
}

/** Classifies what node:sqlite or SQLite fails with. */
export function classifySQLiteError(error: unknown): SQLiteRefusal {
  if (!isError(error)) return unknown
  if ('code' in error && error.code === closed.name) return closed
  if (error.message === 'cannot start a transaction within a transaction') return inTransaction
  const code = resultCode(error)
  return listed.get(code) ?? listed.get(code & 0xff) ?? unknown
}

/** Whether a later try may succeed: another connection holds the lock that was asked for, or the app a transaction on this one. */
export function isBusy(error: unknown): boolean {
  return classifySQLiteError(error).kind === 'busy'
}

/** @returns an error of ours, with `error` as its cause and nothing of it in its message. */
export function sqliteFailure(doing: string, error: unknown): SessionError {
  if (error instanceof SessionError) return error
  const { kind, name, what, cure } = classifySQLiteError(error)
  return storeFailure(kind, doing, `${what} (${name}). ${cure}.`, error)
}

/** 0 for an error that is not SQLite's. */
function resultCode(error: Error): number {
  return 'errcode' in error && typeof error.errcode === 'number' ? error.errcode : 0
}
