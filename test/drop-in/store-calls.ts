import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { isDeepStrictEqual } from 'node:util'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

// The same calls on express-mysql-session and on coatcheck/express-mysql-session, one by one, and what came of each: promises,
// callbacks, errors, and the rows that lie in the table afterwards.

const require = createRequire(import.meta.url)
/** Lengths of life, in seconds, that rows are told by: the two sides were asked a moment apart. */
const lengths = { now: 0, 'half a minute': 30, 'a day': 86_400 }
/** A moment that both sides are told, so that the second in the row must be the same one. */
export const inAnHour = Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000
/** The cookie of a session that ends with the browser. */
export const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }

export type Method = (...given: unknown[]) => Promise<unknown>
/** The store, as an app without types has it. */
export type StoreObject = Record<
  | 'onReady' | 'get' | 'set' | 'touch' | 'destroy' | 'all' | 'length' | 'clear' | 'close' | 'query' | 'createDatabaseTable'
  | 'setOptions' | 'createPool' | 'setExpirationInterval' | 'clearExpirationInterval' | 'clearExpiredSessions',
  Method
> & { state: string; options: unknown; connection: unknown; createSession(request: object, data: unknown): object } // prettier-ignore
interface StoreClass {
  new (options?: object | null, connection?: unknown): StoreObject
  call(store: unknown, options?: object | null, connection?: unknown): void
  readonly prototype: StoreObject
}

const packages = {
  theirs: ['express-mysql-session', 'express-session'],
  ours: ['coatcheck/express-mysql-session', 'coatcheck/express'],
} as const

/** One of the two packages, and the store under test on a database of its own. */
export class Side {
  readonly MySQLStore: StoreClass
  readonly session: { readonly Store: new () => object }
  readonly url: string
  readonly isOurs: boolean
  readonly store: StoreObject
  readonly database: Connection

  constructor(name: keyof typeof packages, url: string, database: Connection) {
    const [store, session] = packages[name]
    this.session = require(session) as Side['session']
    this.MySQLStore = (require(store) as (session: unknown) => StoreClass)(this.session)
    this.url = url
    this.isOurs = name === 'ours'
    this.database = database
    this.store = new this.MySQLStore(this.where)
  }

  get where(): object {
    const { hostname, port, username, password, pathname } = new URL(this.url)
    return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
  }

  /** Another store, closed after the test. */
  make(options?: object | null, connection?: unknown): StoreObject {
    const store = new this.MySQLStore(connection ? options : { ...this.where, ...options }, connection)
    onTestFinished(async () => void (await store.close().catch(() => undefined)))
    return store
  }

  async sql(text: string, values: unknown[] = []): Promise<RowDataPacket[]> {
    return (await this.database.query<RowDataPacket[]>(text, values))[0]
  }

  /** What lies in the table. An expiry that is near one of the lengths from now is told as that. */
  async rows(): Promise<unknown[]> {
    const rows = await this.sql(
      'SELECT session_id AS id, data, expires, CAST(expires AS SIGNED) - UNIX_TIMESTAMP() AS left_over FROM sessions ORDER BY 1',
    )
    return rows.map(({ id, data, expires, left_over }) => {
      const near = Object.entries(lengths).find(([, length]) => Math.abs(Number(left_over) - length) <= 10)
      return [id, shortened(data), near?.[0] ?? (expires as number)] as const
    })
  }

  async empty(): Promise<void> {
    await this.sql('DELETE FROM sessions')
  }
}

/** What is long or deep, by its hash. */
function shortened(value: unknown): unknown {
  const json = JSON.stringify(value) ?? ''
  return json.length > 5_000 ? hash('sha256', json) : value
}

/** What came of a call: its value, or the error of the driver, or what kind of error JavaScript has for it. */
export async function outcome(act: () => unknown): Promise<unknown> {
  try {
    return told(await act())
  } catch (error) {
    return failure(error)
  }
}

/** What the server says there, of a statement that is not even sent here. */
const refusedByServer: Readonly<Record<string, string>> = {
  ERR_SESSION_DATA: 'ER_BAD_FIELD_ERROR', // a cookie.expires that is no moment
  ERR_SESSION_OPTION: 'ER_DATA_TOO_LONG', // an id that is too long
}

/** Ours carry the driver's error as their cause. */
function failure(error: unknown): unknown {
  const { cause } = error as { cause?: unknown }
  const { code, name } = (cause ?? error) as { code?: string; name: string }
  return `fails: ${(code && refusedByServer[code]) ?? code ?? name}`
}

/** As it is, but for what depends on the driver's version. */
export function told(value: unknown): unknown {
  if (!Array.isArray(value) || !isHeader(value[0])) return shortened(value)
  const { affectedRows, insertId, warningStatus } = value[0]
  return [{ affectedRows, insertId, warningStatus }, ...(value.slice(1) as unknown[])]
}

function isHeader(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && 'affectedRows' in value
}

/** All that a call of a method makes: what it calls back with, each time, and what its promise comes to. */
export async function called(
  act: (callback: (...given: unknown[]) => unknown) => unknown,
): Promise<unknown[]> {
  const calls: unknown[] = []
  const value = await outcome(() =>
    act((...given) => {
      calls.push(given.map((one) => (one instanceof Error ? failure(one) : told(one))))
      return 'what the callback gave'
    }),
  )
  return [...calls, value]
}

export type Script = (store: StoreObject, side: Side) => Promise<unknown>
/** Deliberately otherwise here: what comes of it on both sides. Told in docs/migrating.md. */
export interface Difference {
  readonly theirs: unknown
  readonly ours: unknown
}

/** Scripts, by what they do; and of those that come to something else here, what they come to on both sides. */
export type SameOf = (
  subject: string,
  scripts: Readonly<Record<string, Script>>,
  differences?: Readonly<Record<string, Difference>>,
) => void

/**
 * Runs the same calls on both packages, each on a database of its own.
 * @param body is handed what compares: it runs each script on both sides, on an empty table, and compares what came of it and
 *   the rows that lie there afterwards
 */
export function onBothSides(title: string, body: (sameOf: SameOf) => void): void {
  onEachServer(title, ({ server }) => {
    let both: Side[]

    beforeAll(async () => {
      both = await Promise.all(
        (['theirs', 'ours'] as const).map(async (name) => {
          const url = await freshDatabase(server)
          const side = new Side(name, url, await createConnection({ uri: url, timezone: 'Z' }))
          await side.store.onReady()
          return side
        }),
      )
    })

    afterAll(async () => {
      await Promise.all(both.flatMap(({ store, database }) => [store.close(), database.end()]))
    })

    body((subject, scripts, differences = {}) => {
      const names = Object.keys(scripts)
      test(`${subject}: ${names.length} cases`, async () => {
        const [theirs, ours] = [await playedOn(both[0]!, scripts), await playedOn(both[1]!, scripts)]
        for (const [name, expected] of Object.entries(differences)) {
          expect(theirs[name], `${name}: theirs`).toMatchObject(expected.theirs as object)
          expect(ours[name], `${name}: ours`).toMatchObject(expected.ours as object)
          expect(ours[name], `${name} is no difference any more`).not.toEqual(theirs[name])
        }
        // Only what differs: a whole subject would be a hundred pages.
        const differing = names.filter(
          (name) => !(name in differences) && !isDeepStrictEqual(ours[name], theirs[name]),
        )
        const of = (side: Record<string, unknown>) =>
          Object.fromEntries(differing.map((name) => [name, side[name]]))
        expect(of(ours)).toEqual(of(theirs))
        expect(differing).toEqual([])
      })
    })
  })
}

async function playedOn(
  side: Side,
  scripts: Readonly<Record<string, Script>>,
): Promise<Record<string, unknown>> {
  const seen: Record<string, unknown> = {}
  for (const [name, script] of Object.entries(scripts)) {
    await side.empty()
    const came = await outcome(() => script(side.store, side))
    seen[name] = { came, rows: await side.rows() }
  }
  return seen
}
