import type { Done, SessionModule, StoredSession, StoreObject } from './express-session-types.ts'

/** Gives ids, which are random, names that both sides share: `#1`, `#2`, … as they come up. */
export class Ids {
  readonly #names = new Map<string, string>()

  name(id: unknown): string {
    if (typeof id !== 'string') return String(id)
    if (!this.#names.has(id)) this.#names.set(id, `#${this.#names.size + 1}`)
    return this.#names.get(id)!
  }
}

export interface RowStore extends StoreObject {
  /** What is stored, by the id itself. */
  readonly rows: Map<string, string>
  /** What was written, in order: `set #1`, `touch #1`, `destroy #1`. */
  readonly writes: string[]
  /** While set, that operation fails with it. */
  readonly failures: Partial<Record<'get' | 'set' | 'touch' | 'destroy', Error>>
  /** What is stored, by the ids' names and with times relative to now. */
  readable(): Record<string, unknown>
  /** The row of the one session that is stored. */
  only(): unknown
}

/** A store as apps write them for express-session, on that package's `Store` or on ours. */
export function rowStoreClass(session: SessionModule): new (ids: Ids) => RowStore {
  return class extends session.Store implements RowStore {
    readonly rows = new Map<string, string>()
    readonly writes: string[] = []
    readonly failures: RowStore['failures'] = {}
    readonly #ids: Ids

    constructor(ids: Ids) {
      super()
      this.#ids = ids
    }

    override get(id: string, done: (error?: unknown, session?: StoredSession | null) => void): void {
      const row = this.rows.get(id)
      const { get: failure } = this.failures
      setImmediate(() => (failure ? done(failure) : done(null, row === undefined ? null : JSON.parse(row))))
    }

    override set(id: string, value: StoredSession, done?: Done): void {
      this.#write('set', id, done, () => this.rows.set(id, JSON.stringify(value)))
    }

    override touch(id: string, value: StoredSession, done?: Done): void {
      this.#write('touch', id, done, () => {
        const row = this.rows.get(id)
        if (row === undefined) return
        this.rows.set(id, JSON.stringify({ ...(JSON.parse(row) as StoredSession), cookie: value.cookie }))
      })
    }

    override destroy(id: string, done?: Done): void {
      this.#write('destroy', id, done, () => this.rows.delete(id))
    }

    readable(): Record<string, unknown> {
      return Object.fromEntries([...this.rows].map(([id, row]) => [this.#ids.name(id), readableRow(row)]))
    }

    only(): unknown {
      const [row, ...others] = Object.values(this.readable())
      if (others.length > 0) throw new Error('more than one session is stored')
      return row
    }

    #write(name: 'set' | 'touch' | 'destroy', id: string, done: Done | undefined, act: () => unknown): void {
      const failure = this.failures[name]
      this.writes.push(`${name} ${this.#ids.name(id)}`)
      if (!failure) act()
      setImmediate(() => done?.(failure))
    }
  }
}

function readableRow(row: string): unknown {
  const data = JSON.parse(row) as Partial<StoredSession>
  const { cookie } = data
  if (!cookie || typeof cookie !== 'object') return data
  return { ...data, cookie: readableCookie(cookie) }
}

/** A cookie's data with its times to the second, and relative to now: to the ten seconds, since time goes on. */
export function readableCookie(cookie: Record<string, unknown>): Record<string, unknown> {
  const { expires, originalMaxAge, ...rest } = cookie
  return {
    ...rest,
    expires: expires ? fromNow(new Date(expires as string), new Date()) : expires,
    originalMaxAge:
      typeof originalMaxAge === 'number' ? Math.round(originalMaxAge / 1_000) * 1_000 : originalMaxAge,
  }
}

/** `in 60 s`, to the ten seconds: both moments are rounded and time goes on while we look. */
export function fromNow(moment: Date, now: Date): string {
  return `in ${Math.round((moment.valueOf() - now.valueOf()) / 10_000) * 10} s`
}
