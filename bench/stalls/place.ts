import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  type Codec,
  createSessions,
  MemoryStore,
  type SessionId,
  type Sessions,
  type SessionStore,
  type SessionWrite,
} from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import type { Places } from '../apps/session-kinds.ts'

export type StoreName = 'memory' | 'SQLite' | 'MySQL'

const secret = 'a secret of the bench, and of no app'
const lifetime = { idle: 86_400_000, absolute: undefined } // a day, in ms
const batch = 100

/** A store of its own, and sessions in it with the default limits. */
export class Place {
  readonly sessions: Sessions
  readonly #store: SessionStore

  constructor(storeName: StoreName, places: Places) {
    this.#store = openStore(storeName, places)
    this.sessions = createSessions({ store: this.#store, secret, sweep: false })
    // Without a listener each is a process warning.
    this.sessions.on('storeError', () => undefined)
  }

  /** Stores a session with this data. @returns its token */
  stored(data: object): Promise<string> {
    return store(this.sessions, data)
  }

  /** Puts bytes where the data of a session is stored, as whoever can write to the database may. @returns the session's token */
  planted(bytes: Uint8Array): Promise<string> {
    const codec: Codec = { encode: () => bytes, decode: () => ({}) }
    const writer = createSessions({ store: this.#store, secret, sweep: false, codec, sizeLimit: 2 ** 30 })
    return store(writer, { planted: true })
  }

  /** Signs a user in so many times, without a request for each. @returns the publicIds */
  async signedIn(userId: string, count: number, data: object, idle = lifetime.idle): Promise<string[]> {
    const ids = Array.from({ length: count }, () => randomBytes(12).toString('base64url') as SessionId)
    const bytes = Buffer.from(JSON.stringify(data))
    for (let from = 0; from < count; from += batch) {
      const writes = ids.slice(from, from + batch).map((id): SessionWrite => ({
        type: 'insert',
        id,
        hash: randomBytes(32),
        format: 1,
        mark: randomBytes(8),
        userId,
        signedIn: true,
        data: bytes,
        lifetime: { ...lifetime, idle },
      }))
      const failed = (await this.#store.write(writes)).find((result) => result !== 'done')
      if (failed !== undefined) throw new Error(`A write was ${String(failed)}.`)
    }
    return ids
  }

  removeExpired(limit: number): Promise<number> {
    return this.#store.removeExpired(limit)
  }

  close(): Promise<void> {
    return this.sessions.close()
  }
}

async function store(sessions: Sessions, data: object): Promise<string> {
  const work = sessions.begin()
  Object.assign(work.session!, data)
  await work.commit()
  const { outcome } = work
  if (outcome.action !== 'issue') throw new Error('A session was not stored.')
  return outcome.token
}

function openStore(name: StoreName, { folder, mysql }: Places): SessionStore {
  if (name === 'memory') return new MemoryStore()
  return name === 'SQLite' ? new SQLiteStore(join(folder, 'sessions.db')) : new MySQLStore(mysql)
}
