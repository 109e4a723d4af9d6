import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { SessionStore } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { publicIdOf } from '../../dist/core/store/record.js'
import { type App, startApp } from '../servers/apps.ts'
import { freshDatabase } from '../servers/databases.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { Browser } from '../shared/browser.ts'

/** Where the sessions of apps that are killed lie. */
export interface CrashStore {
  readonly kind: 'sqlite' | 'mysql' | 'express-mysql-session' | 'postgresql'
  readonly title: string
  /** The server that it needs. */
  readonly server?: 'MySQL' | 'PostgreSQL'
  /** Whether a token from before a rotation finds something there, and versions are counted. */
  readonly own: boolean
  open(where: string): SessionStore
}

export const crashStores: readonly CrashStore[] = [
  { kind: 'sqlite', title: 'SQLite', own: true, open: (file) => new SQLiteStore(file) },
  { kind: 'mysql', title: 'MySQLStore', server: 'MySQL', own: true, open: (url) => new MySQLStore(url) },
  {
    kind: 'express-mysql-session',
    title: 'MySQLStore, a table of express-mysql-session',
    server: 'MySQL',
    own: false,
    open: (url) => new MySQLStore(url, { layout: 'express-mysql-session' }),
  },
  {
    kind: 'postgresql',
    title: 'PostgreSQLStore',
    server: 'PostgreSQL',
    own: true,
    open: (url) => new PostgreSQLStore(url),
  },
]

/** By publicId. */
export type Versions = ReadonlyMap<string, number>

/** A database with apps on it: one that stays well, and those that are the next to be killed. */
export class CrashPlace {
  readonly own: boolean
  readonly store: SessionStore
  /** The address of the app that stays well. */
  readonly url: string
  readonly #well: App
  readonly #start: () => Promise<App>
  readonly #folder: string
  readonly #bystander = new Browser()
  #bystanderId: string | undefined
  #counted = 0
  /** They start while others are looked at. */
  readonly #ahead: Promise<App>[] = []

  private constructor(kind: CrashStore, where: string, well: App, start: () => Promise<App>, folder: string) {
    this.own = kind.own
    this.store = kind.open(where)
    this.url = well.url
    this.#well = well
    this.#start = start
    this.#folder = folder
  }

  /**
   * @param server the URL of a server, for a store that needs one
   * @param program what the apps run
   */
  static async open(kind: CrashStore, server: string, program: string): Promise<CrashPlace> {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-crashes-'))
    const where =
      kind.server === undefined
        ? join(folder, 'sessions.db')
        : await (kind.server === 'MySQL' ? freshDatabase : freshPostgreSQL)(server)
    // Half the time that an app takes to start, it would compile what the one before compiled.
    const env = { STORE: kind.kind, WHERE: where, NODE_COMPILE_CACHE: join(folder, 'compiled') }
    const start = () => startApp(program, env)
    const place = new CrashPlace(kind, where, await start(), start, folder)
    await place.#bystander.post(place.url, '/begin/bystander')
    ;[place.#bystanderId] = (await place.versions()).keys()
    return place
  }

  /** An app that may be killed. It is the caller's to stop. */
  victim(): Promise<App> {
    while (this.#ahead.length < 3) {
      const starting = this.#start()
      // Told to whoever gets it.
      starting.catch(() => undefined)
      this.#ahead.push(starting)
    }
    return this.#ahead.shift()!
  }

  /** Removes whatever former clients left, but not the bystander. */
  async clear(): Promise<void> {
    const { items } = await this.store.list({ limit: 1_000, data: false })
    const left = items.filter((record) => publicIdOf(record) !== this.#bystanderId)
    await this.store.write(left.map(({ id, userId }) => ({ type: 'remove', id, userId })))
  }

  /**
   * Reads all that is stored.
   * @throws Error if a record cannot be read, or a session lies there twice
   */
  async versions(): Promise<Versions> {
    const versions = new Map<string, number>()
    for (const record of (await this.store.list({ limit: 1_000, data: true })).items) {
      const { userId, data, version, rootId } = record
      const publicId = publicIdOf(record)
      const held = JSON.parse(Buffer.from(data!).toString()) as Record<string, unknown>
      assert.ok(!versions.has(publicId), 'a session lies there twice')
      // A session that came by hand-off begins without one.
      const canary = held['canary'] ?? (rootId === undefined ? undefined : userId)
      assert.ok([undefined, canary].includes(userId), 'a session of another user')
      versions.set(publicId, version)
    }
    return versions
  }

  /** Throws if something is not sound, or older than it was, or somebody else cannot write, and be it for a moment. */
  async assertSound(since: Versions): Promise<void> {
    const versions = await this.versions()
    for (const [publicId, version] of versions) {
      if (this.own) assert.ok(version >= (since.get(publicId) ?? 1), 'an older version than before')
    }
    const { status, body } = await this.#bystander.post(this.url, '/count/bystander')
    assert.deepEqual({ status, body }, { status: 200, body: { count: ++this.#counted } })
  }

  async end(): Promise<void> {
    const ahead = await Promise.allSettled(this.#ahead)
    const started = ahead.flatMap((app) => (app.status === 'fulfilled' ? [app.value] : []))
    await Promise.all([this.#well, ...started].map((app) => app.stop()))
    await this.store.close()
    await rm(this.#folder, { recursive: true })
  }
}
