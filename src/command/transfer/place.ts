import { hash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SessionError } from '../../core/errors.js'
import { type RecordTransfer, recordTransfer, type TransferableStore } from '../../core/store/transfer.js'
import type { SessionStore } from '../../core/store/session-store.js'
import { openStore } from '../../stores/open.js'
import { CommandError } from '../command-error.js'

/** A store that sessions are moved from or to. */
export interface Place {
  /** Names it in messages, without user and password. */
  readonly name: string
  readonly records: RecordTransfer
  close(): Promise<void>
}

const usualTable = 'coatcheck_sessions'
const usualPorts: Readonly<Record<string, string>> = { mysql: '3306', postgres: '5432', redis: '6379' }
/** Schemes of one kind of store. */
const sameAs: Readonly<Record<string, string>> = {
  mariadb: 'mysql',
  postgresql: 'postgres',
  rediss: 'redis',
  file: 'sqlite',
}

/** Whether a text is a URL, and not the name of a table. */
export function isURL(text: string): boolean {
  return /^[a-z][a-z\d+.-]*:\/\/|^(?:sqlite|file|memory):/i.test(text)
}

/**
 * The name of a place: what two URLs of one database have in common. It has neither user nor password nor parameters.
 */
export function placeName(url: string, table: string = usualTable): string {
  const scheme = url.slice(0, url.indexOf(':')).toLowerCase()
  const kind = sameAs[scheme] ?? scheme
  if (kind === 'sqlite') return `sqlite:${sqlitePath(url)} ${table}`
  const [, rest = ''] = /^[^:]*:\/*(.*?)(?:[?#].*)?$/s.exec(url) ?? []
  const [, host = '', path = ''] = /^(?:.*@)?([^/]*)(.*)$/s.exec(rest) ?? []
  const withPort = /:\d+$/.test(host) || host === '' ? host : `${host}:${usualPorts[kind] ?? ''}`
  return `${kind}://${withPort.toLowerCase()}${path} ${table}`
}

/** The name of the ledger of copies between two places, in either direction. */
export function usualLedger(one: string, other: string): string {
  return `coatcheck-copy-${hash('sha256', [one, other].toSorted().join('\n')).slice(0, 8)}.db`
}

/** @param side the option that the URL is of. @throws CommandError, or ERR_SESSION_OPTION for a URL that is none */
export function openPlace(side: 'from' | 'to', url: string, table: string | undefined): Place {
  const name = placeName(url, table)
  if (side === 'from' && name.startsWith('sqlite:') && !existsSync(sqlitePath(url))) {
    throw new CommandError(`There is no SQLite file ${sqlitePath(url)}. Check --from.`)
  }
  // What is copied from must be there. It is only read.
  const store = openStore(url, { table, createTable: side === 'to' })
  const records = (store as SessionStore & Partial<TransferableStore>)[recordTransfer]?.()
  if (!records) {
    throw new CommandError(
      `--${side} names a store whose sessions cannot be copied: only those in a database can. Give the URL of one.`,
    )
  }
  return { name, records: told(side, records), close: () => store.close() }
}

/** The records of a place whose failures say which of the two places it is. */
function told(side: 'from' | 'to', records: RecordTransfer): RecordTransfer {
  const telling =
    <Args extends unknown[], Answer>(ask: (...args: Args) => Promise<Answer>) =>
    async (...args: Args): Promise<Answer> => {
      try {
        return await ask(...args)
      } catch (error) {
        throw error instanceof SessionError ? new CommandError(failureText(side, error)) : error
      }
    }
  return {
    now: telling(() => records.now()),
    count: telling(() => records.count()),
    page: telling((after, limit) => records.page(after, limit)),
    read: telling((ids) => records.read(ids)),
    write: telling((writes) => records.write(writes)),
  }
}

function failureText(side: 'from' | 'to', { code, message }: SessionError): string {
  if (side === 'from' && code === 'ERR_SESSION_MISSING_TABLE') {
    return 'There are no sessions at --from: it has no such table. Check --from and --from-table.'
  }
  return `At --${side}: ${message} What was copied stays; run the command again to go on.`
}

/** The file of a URL of SQLite, as the system knows it. */
function sqlitePath(url: string): string {
  const [, text = ''] = /^[^:]*:([^?#]*)/.exec(url) ?? []
  const path = text.startsWith('//') ? fileURLToPath(`file:${text}`) : resolve(decodeURIComponent(text))
  if (existsSync(path)) return realpathSync(path)
  return existsSync(dirname(path))
    ? join(realpathSync(dirname(path)), path.slice(dirname(path).length))
    : path
}
