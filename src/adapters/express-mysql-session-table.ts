import { metadataIn } from '../core/data/embedded-metadata.js'
import { SessionError } from '../core/errors.js'
import type { SessionRecord } from '../core/store/record.js'
import { KeyedSerialQueues } from '../core/serial-queue.js'
import { notePrefix } from '../core/token.js'
import type { NativeStore } from '../express-session/foreign/foreign-store.js'
import type { StoredSession } from '../express-session/bridge/bridge-form.js'
import { StoreBridge } from '../express-session/bridge/store-bridge.js'
import { MySQLStore, type MySQLTarget } from '../stores/mysql.js'
import { mysqlFailure } from '../stores/mysql/errors.js'
import { asStored, assertFits } from '../stores/mysql-express/record.js'
import { expirySecond, type ResolvedOptions, usualLifetime } from './express-mysql-session-options.js'

/** What the driver returns for a statement. */
export type QueryResult = [rows: unknown, fields: unknown]

/** The store as the app sees it. Its `query` and `options` are looked up at each call, because apps replace them. */
interface StoreInUse {
  readonly connection: MySQLTarget
  readonly options: ResolvedOptions
  query(sql: string, parameters?: readonly unknown[]): Promise<QueryResult>
}

/** A placeholder for the bytes of a text, so that the character set of the app's connection does not matter. */
const text = 'CONVERT(? USING utf8mb4)'
const statements = {
  set: `INSERT INTO ?? (??, ??, ??) VALUES (?, ?, ${text}) ON DUPLICATE KEY UPDATE ?? = VALUES(??), ?? = VALUES(??)`,
  touch: 'UPDATE ?? SET ?? = ? WHERE ?? = ?',
  destroy: 'DELETE FROM ?? WHERE ?? = ?',
  /**
   * A row counts until half a second after its expiry, because the package rounds the current second. Notes of
   * coatcheck do not count.
   */
  length: `SELECT COUNT(*) AS live FROM ?? WHERE ?? >= ROUND(UNIX_TIMESTAMP(NOW(3))) AND ?? NOT LIKE '${notePrefix}%'`,
  clear: 'DELETE FROM ??',
  largest: 'SELECT @@max_allowed_packet AS most',
}

/** The bytes of a statement that every server accepts: 1 MiB is the lowest default of `max_allowed_packet`. */
const taken = 1_048_576

/** The bytes that data takes in a statement, where it is in hexadecimal. */
function inStatement(data: Uint8Array): number {
  return 2 * data.length + 4_096
}

/**
 * The table of a store of express-mysql-session.
 *
 * What the app itself passes to `set` is stored as the package does: blindly, in one statement. The session of a
 * request goes through the bridge: it is merged with what others have stored, and an ended session is not brought back.
 */
export class SessionTable {
  readonly native: NativeStore
  readonly #store: StoreInUse
  readonly #bridge: StoreBridge
  /** Calls for one id take turns, so that they run in their order even if nobody awaits them. */
  readonly #turns = new KeyedSerialQueues()
  /** Settled when the table is there, or could not be made. */
  readonly ready: Promise<void>

  /** @param start makes the table. */
  constructor(store: StoreInUse, start: () => Promise<void>) {
    const { schema, createDatabaseTable, disableTouch } = store.options
    const idle = usualLifetime(store.options)
    const native = new MySQLStore(store.connection, {
      layout: 'express-mysql-session',
      table: schema.tableName,
      columns: schema.columnNames,
      createTable: createDatabaseTable === true,
    })
    this.native = { store: native, idle, touches: disableTouch !== true }
    this.#store = store
    this.#bridge = new StoreBridge(native, idle)
    // In a later turn, so that methods are called that the app has replaced by then.
    this.ready = Promise.resolve().then(start)
    // onReady() reports the error. A database that is away at the start must not end the process.
    this.ready.catch(() => undefined)
  }

  /** The stored data; `null` if there is no live row, or its text is no JSON. */
  async get(id: unknown): Promise<unknown> {
    const key = textOf(id)
    const record = key === undefined ? undefined : await this.#bridge.find(key)
    return (record && this.#dataOf(record)) ?? null
  }

  async set(id: unknown, data: unknown): Promise<QueryResult | undefined> {
    const { options } = this.#store
    const key = textOf(id)
    if (key !== undefined && isOfRequest(data)) {
      return this.#turns.take(key, () => this.#bridge.set(key, data)) as Promise<undefined>
    }
    if (key !== undefined) assertFits(key)
    const { session_id, expires, data: column } = options.schema.columnNames
    const second = expirySecond(data, usualLifetime(options))
    const json = JSON.stringify(data) as string | undefined
    const bytes = json === undefined ? null : Buffer.from(json)
    if (bytes && inStatement(bytes) > taken) await this.#assertTaken(bytes, key)
    const row = [key ?? null, second, bytes]
    const names = [expires, expires, column, column]
    return this.#send('storing a session', statements.set, key, [
      session_id,
      expires,
      column,
      ...row,
      ...names,
    ])
  }

  /**
   * Only for large data: a server drops the connection at a statement that is too large, sometimes before it says why.
   */
  async #assertTaken(bytes: Uint8Array, key: string | undefined): Promise<void> {
    const [rows] = await this.#send('storing a session', statements.largest, key, [])
    const most = Number((rows as readonly { readonly most?: unknown }[] | undefined)?.[0]?.most)
    // An app's own `query` may return something else.
    if (Number.isNaN(most) || inStatement(bytes) <= most) return
    throw new SessionError(
      'ERR_SESSION_TOO_LARGE',
      `The session takes ${bytes.length} bytes, of which the database takes half of its max_allowed_packet, ${most}, at most. Keep large things in a table of yours and only their id in the session, or raise max_allowed_packet of the server.`,
    )
  }

  async touch(id: unknown, data: unknown): Promise<QueryResult | undefined> {
    const { options } = this.#store
    if (options.disableTouch) return undefined
    const key = textOf(id)
    if (key !== undefined && isOfRequest(data)) {
      return this.#turns.take(key, () => this.#bridge.touch(key, data)) as Promise<undefined>
    }
    const { expires, session_id } = options.schema.columnNames
    const second = expirySecond(data, usualLifetime(options))
    return this.#send('moving an expiry', statements.touch, key, [expires, second, session_id, key ?? null])
  }

  destroy(id: unknown): Promise<QueryResult> {
    const key = textOf(id)
    const { session_id } = this.#store.options.schema.columnNames
    return this.#send('removing a session', statements.destroy, key, [session_id, key ?? null])
  }

  /** All live sessions that can be read, by id. */
  async all(): Promise<Record<string, unknown>> {
    const sessions: [id: string, data: unknown][] = []
    for await (const records of this.#bridge.pages()) {
      for (const record of records) {
        const data = this.#dataOf(record)
        if (data !== undefined) sessions.push([record.id, data])
      }
    }
    return Object.fromEntries(sessions)
  }

  async length(): Promise<number> {
    const { expires, session_id } = this.#store.options.schema.columnNames
    const [rows] = await this.#send('counting sessions', statements.length, undefined, [expires, session_id])
    return Number((rows as { live: number }[])[0]!.live)
  }

  clear(): Promise<QueryResult> {
    return this.#send('removing all sessions', statements.clear, undefined, [])
  }

  /** Remembers that `session` is the session of a request, made of `data`, which `get` returned. */
  link(data: object, session: object): void {
    this.#bridge.link(data, session)
  }

  /** Closes the store's side of the connection, after all answers have come. */
  async close(): Promise<void> {
    await this.ready.catch(() => undefined)
    await this.#bridge.close()
  }

  /** The data of a row, as it was stored. */
  #dataOf(record: Omit<SessionRecord, 'marks'>): unknown {
    const stored = asStored(record)
    if (stored.length === 0) return null
    let data: unknown
    try {
      data = JSON.parse(stored.toString())
    } catch {
      return undefined
    }
    if (typeof data === 'object' && data !== null)
      this.#bridge.remember(record.id, data as StoredSession, { ...record, marks: undefined })
    return data
  }

  /** @param key the id whose turn the statement waits for; `undefined`: none. */
  async #send(
    doing: string,
    sql: string,
    key: string | undefined,
    parameters: readonly unknown[],
  ): Promise<QueryResult> {
    const { schema } = this.#store.options
    const send = async (): Promise<QueryResult> => {
      await this.ready.catch(() => undefined)
      return asking(doing, () => this.#store.query(sql, [schema.tableName, ...parameters]))
    }
    return key === undefined ? send() : this.#turns.take(key, send)
  }
}

/** Asks, and turns errors into SessionErrors: the driver's own name the host and the user. */
export async function asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    throw mysqlFailure(doing, error)
  }
}

/** The data that a request sees: without the store's own `coatcheck` object. */
export function withoutMetadata(data: object): object {
  if (!metadataIn(data as Record<string, unknown>)) return data
  const { coatcheck: _, ...rest } = data as { coatcheck?: unknown }
  return rest
}

/** Whether a value is a `req.session`, of either package, or the result of `load`. */
function isOfRequest(data: unknown): data is StoredSession {
  if (typeof data !== 'object' || data === null) return false
  return Object.getOwnPropertyDescriptor(data, 'req')?.enumerable === false
}

/** An id as text, as the table has it; `undefined` if there is none. */
function textOf(id: unknown): string | undefined {
  return id === undefined || id === null ? undefined : `${id as string}`
}
