import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { callbackify } from 'node:util'
import cookieParser from 'cookie-parser'
import { describe, onTestFinished } from 'vitest'
import { express4Framework } from '../adapters/frameworks.ts'
import type {
  Done,
  Handler,
  SessionModule,
  SideRequest,
  StoredSession,
  StoreObject,
} from './express-session-types.ts'
import { readableCookie } from './row-store.ts'
import { secret, type Side, sideBySide } from './sides.ts'
import { routes } from './visited.ts'

// A store as Etherpad has one: a subclass of `session.Store` with async methods of its own names, made into express-session's
// by `util.callbackify` on the prototype. It keeps a timer for each session that expires, and writes a touch down only
// when the row is behind by more than `refresh` milliseconds.

interface Sparing extends StoreObject {
  readonly rows: Map<string, string>
  /** What the database was asked to do. */
  readonly writes: string[]
  stop(): void
}

interface End {
  /** As the row has it, and as the last touch has it, in milliseconds since the epoch. */
  stored: number | undefined
  real: number
  timer: NodeJS.Timeout
}

function sparingStore({ Store }: SessionModule, refresh: number | null): Sparing {
  class SparingStore extends Store {
    readonly rows = new Map<string, string>()
    readonly writes: string[] = []
    readonly #ends = new Map<string, End>()

    stop(): void {
      for (const { timer } of this.#ends.values()) clearTimeout(timer)
    }

    async read(id: string): Promise<StoredSession | null> {
      const row = this.rows.get(id)
      return this.#follow(id, row === undefined ? null : (JSON.parse(row) as StoredSession), true)
    }

    async write(id: string, session: StoredSession): Promise<void> {
      if (await this.#follow(id, session, true)) this.#put(id, session)
    }

    async prolong(id: string, session: StoredSession): Promise<void> {
      if (!(await this.#follow(id, session, false))) return
      const end = this.#ends.get(id)
      if (!end || (end.stored !== undefined && (refresh === null || end.real < end.stored + refresh))) return
      this.#put(id, session)
      end.stored = end.real
    }

    async remove(id: string): Promise<void> {
      clearTimeout(this.#ends.get(id)?.timer)
      this.#ends.delete(id)
      this.writes.push('remove')
      this.rows.delete(id)
    }

    /** Notes when a session ends, and gives it; `null` if it has ended. */
    async #follow(
      id: string,
      session: StoredSession | null,
      isStored: boolean,
    ): Promise<StoredSession | null> {
      const before = this.#ends.get(id)
      clearTimeout(before?.timer)
      const expires = session?.cookie.expires
      if (!session || !expires) {
        this.#ends.delete(id)
        return session
      }
      const moment = new Date(expires as string).getTime()
      const stored = isStored ? moment : before?.stored
      const real = Math.max(before?.real ?? 0, stored ?? 0, moment)
      if (real <= Date.now()) {
        await this.remove(id)
        return null
      }
      // What was read shows the touches that were not written down.
      if (typeof expires === 'string') session.cookie.expires = new Date(real).toJSON()
      const timer = setTimeout(() => void this.read(id), real - Date.now())
      this.#ends.set(id, { stored, real, timer })
      return session
    }

    #put(id: string, session: StoredSession): void {
      this.writes.push('write')
      this.rows.set(id, JSON.stringify(session))
    }
  }

  const own = { get: 'read', set: 'write', touch: 'prolong', destroy: 'remove' } as const
  for (const [name, method] of Object.entries(own)) {
    Object.assign(SparingStore.prototype, {
      [name]: callbackify(SparingStore.prototype[method] as () => Promise<unknown>),
    })
  }
  const store = new SparingStore()
  onTestFinished(() => store.stop())
  return store as unknown as Sparing
}

const rowsOf = (store: Sparing): unknown[] =>
  [...store.rows.values()].map((row) => {
    const { cookie, ...data } = JSON.parse(row) as StoredSession
    // `null` and left out are the same to whoever reads it.
    return {
      ...data,
      cookie: readableCookie({
        ...cookie,
        originalMaxAge: cookie.originalMaxAge ?? null,
        expires: cookie.expires ?? null,
      }),
    }
  })

const handlers: Record<string, Handler> = {
  '/': (request, response) => {
    request.session['author'] = 'Ada'
    response.end('written')
  },
  '/look': (request, response) => response.end(String(request.session['author'])),
  '/end': (request, response) => {
    request.session.destroy((error) => response.end(error instanceof Error ? error.message : 'ended'))
  },
}

const optionsFor = (store: Sparing, maxAge: number | undefined) => ({
  secret, store, rolling: true, resave: false, saveUninitialized: false, name: 'express_sid',
  cookie: { maxAge, sameSite: 'Lax', secure: 'auto' },
}) // prettier-ignore

function served(side: Side, store: Sparing, maxAge: number | undefined) {
  return side.serve(optionsFor(store, maxAge), routes(handlers), {
    framework: express4Framework,
    before: [cookieParser(secret)],
  })
}

describe.each([
  ['a day', 86_400_000, 864_000_000],
  ['no time', 0, 864_000_000],
  ['never', null, 864_000_000],
  ['a day, for cookies without an end', 86_400_000, undefined],
] as const)('a store that lets a row be behind by %s', (_what, refresh, maxAge) => {
  sideBySide(
    'is read, written, touched and cleared as under express-session',
    async (side) => {
      const store = sparingStore(side.session, refresh)
      const app = await served(side, store, maxAge)
      const first = await app.get('/')
      const bodies = []
      for (const path of ['/look', '/look', '/', '/look'])
        bodies.push((await app.get(path, { cookie: first })).body)
      return {
        bodies,
        rows: rowsOf(store),
        destroys: store.writes.filter((each) => each === 'remove').length,
        cookie: first.cookies,
      }
    },
    'as there',
  )

  sideBySide(
    'keeps a session that a socket holds: `middleware(request, {}, next)`, then `save` and `touch`',
    async (side) => {
      const store = sparingStore(side.session, refresh)
      const app = await served(side, store, maxAge)
      const first = await app.get('/')
      const request = new IncomingMessage(new Socket()) as SideRequest
      Object.assign(request, { url: '/socket.io/?transport=websocket', headers: { cookie: first.jar } })
      const middleware = side.session(optionsFor(store, maxAge))
      await new Promise((resolve) => void middleware(request, {} as never, resolve))
      const { session } = request
      session['connections'] = Number(session['connections'] ?? 0) + 1
      await new Promise<void>((resolve) => {
        session.save(resolve as Done)
      })
      session.touch()
      return {
        author: session['author'],
        same: session.id === request.sessionID,
        rows: rowsOf(store),
        next: (await app.get('/look', { cookie: first })).body,
      }
    },
    'as there',
  )

  sideBySide(
    'forgets a session that is destroyed',
    async (side) => {
      const store = sparingStore(side.session, refresh)
      const app = await served(side, store, maxAge)
      const first = await app.get('/')
      const { body, cookies } = await app.get('/end', { cookie: first })
      const removals = store.writes.filter((each) => each === 'remove').length
      return [
        body,
        removals,
        store.rows.size,
        (await app.get('/look', { cookie: first })).body,
        cookies.length,
      ]
    },
    {
      theirs: ['ended', 1, 0, 'undefined', 0],
      ours: ['ended', 1, 0, 'undefined', 1],
      reason: 'destroy clears the cookie',
    },
  )
})
