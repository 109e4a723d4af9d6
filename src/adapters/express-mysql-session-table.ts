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

/** What the driver gives for a statement. */
export type QueryResult = [rows: unknown, fields: unknown]

/** The store as the app has it. Its `query` and `options` are looked up at each call, because apps replace them. */
interface StoreInUse {
  readonly connection: MySQLTarget
  readonly options: ResolvedOptions
  query(sql: string, parameters?: readonly unknown[]): Promise<QueryResult>
}

/** Text as its bytes, so that the character set of the app's connection has no say. */
const text = 'CONVERT(? USING utf8mb4)'
const statements = {
  set: `INSERT INTO ?? (??, ??, ??) VALUES (?, ?, ${text}) ON DUPLICATE KEY UPDATE ?? = VALUES(??), ?? = VALUES(??)`,
  touch: 'UPDATE ?? SET ?? = ? WHERE ?? = ?',
  destroy: 'DELETE FROM ?? WHERE ?? = ?',
  /** A row counts until half a second after its expiry, because that package rounds the current second; what coatcheck remembers does not. */
  length: `SELECT COUNT(*) AS live FROM ?? WHERE ?? >= ROUND(UNIX_TIMESTAMP(NOW(3))) AND ?? NOT LIKE '${notePrefix}%'`,
  clear: 'DELETE FROM ??',
  largest: 'SELECT @@max_allowed_packet AS most',
}

/** Bytes of a statement that any server takes: 1 MiB is the lowest `max_allowed_packet` that one comes with. */
const taken = 1_048_576

/** Bytes that data takes in a statement: it goes in hexadecimal. */
function inStatement(data: Uint8Array): number {
  return 2 * data.length + 4_096
}

/**
 * The table of a store of express-mysql-session's kind.
 *
 * What the app itself stores is stored as that package does: whatever it is, blindly, in one statement. The session of a request
 * goes through the bridge: it is merged with what others stored, and does not bring back what has ended.
 */
export class SessionTable {
  readonly native: NativeStore
  readonly #store: StoreInUse
  readonly #bridge: StoreBridge
  /** Calls for one id take turns, so that those that nobody awaits are carried out in their order. */
  readonly #turns = new KeyedSerialQueues()
  /** Settled when the table is there, or could not be made. */
  readonly ready: Promise<void>

  /** @param start makes the table */
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
    // In a turn of its own, so that methods which an app puts in place of the store's are called.
    this.ready = Promise.resolve().then(start)
    // Whoever wants to know asks onReady(); a database that is down at the start must not end the process.
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

  /** Asked of what is large only: the server drops the connection, at times before it says why, where a statement is larger than it takes. */
  async #assertTaken(bytes: Uint8Array, key: string | undefined): Promise<void> {
    const [rows] = await this.#send('storing a session', statements.largest, key, [])
    const most = Number((rows as readonly { readonly most?: unknown }[] | undefined)?.[0]?.most)
    // An app's own `query` may give something else.
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

  /** All that is live and can be read, by id. */
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

  /** Says that `session` is that of a request, made of `data`, which `get` gave. */
  link(data: object, session: object): void {
    this.#bridge.link(data, session)
  }

  /** Lets go of the connection, once it has answered. */
  async close(): Promise<void> {
    await this.ready.catch(() => undefined)
    await this.#bridge.close()
  }

  /** What the row holds, as it was stored. */
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

  /** @param key whose turn it is; `undefined`: nobody's */
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

/** With errors of ours: those of the driver name the host and the user. */
export async function asking<Answer>(doing: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    throw mysqlFailure(doing, error)
  }
}

/** The session as a request sees it: without what the store keeps for itself. */
export function withoutMetadata(data: object): object {
  if (!metadataIn(data as Record<string, unknown>)) return data
  const { coatcheck: _, ...rest } = data as { coatcheck?: unknown }
  return rest
}

/** Whether it is `req.session`, of either package, or what `load` gave. */
function isOfRequest(data: unknown): data is StoredSession {
  if (typeof data !== 'object' || data === null) return false
  return Object.getOwnPropertyDescriptor(data, 'req')?.enumerable === false
}

/** An id as the table has it; `undefined` for none. */
function textOf(id: unknown): string | undefined {
  return id === undefined || id === null ? undefined : `${id as string}`
}
