import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from '../servers/apps.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

// One process on the real express-session and express-mysql-session, one on coatcheck, one table.

const operations = 1_000
const users = 20

onEachServer('one table of two packages', ({ server }) => {
  let apps: App[]

  beforeAll(async () => {
    const DATABASE_URL = await freshDatabase(server)
    apps = await Promise.all([
      startApp('test/drop-in/one-table-app.ts', {
        DATABASE_URL,
        NO_DEPRECATION: 'express-session',
        MODULES: 'express-session express-mysql-session',
      }),
      startApp('test/drop-in/one-table-app.ts', {
        DATABASE_URL,
        MODULES: 'coatcheck/express coatcheck/express-mysql-session',
      }),
    ])
  })

  afterAll(() => Promise.all(apps.map((app) => app.stop())))

  /** Numbers that look random and are the same in each run. */
  function numbers(seed: number): () => number {
    let state = seed
    return () => {
      state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
      return state / 2 ** 32
    }
  }

  /** One user's browser, and what both apps are to say of its session. */
  class Visitor {
    readonly #name: string
    readonly #next: () => number
    #cookie = ''
    #expected: { user: string | null; changes: Record<string, string> | null } = { user: null, changes: null }
    readonly counts = { 'sign-in': 0, change: 0, 'sign-out': 0 }

    constructor(index: number) {
      this.#name = `user-${index}`
      this.#next = numbers(index + 1)
    }

    /** One sign-in, change or sign-out in either app, and then a look at the session in both. */
    async act(): Promise<{ said: unknown; expected: unknown }> {
      const app = this.#either()
      const dice = this.#next()
      const [answer, expectedAnswer] = await this.#actOn(app, dice)
      const looks = await Promise.all(apps.map((each) => this.#look(each)))
      return {
        said: [answer, ...looks],
        expected: structuredClone([expectedAnswer, this.#expected, this.#expected]),
      }
    }

    #actOn(app: App, dice: number): Promise<[answer: string, expected: string]> {
      if (dice < 0.25) return this.#signIn(app)
      return dice < 0.9 ? this.#change(app) : this.#signOut(app)
    }

    async #signIn(app: App): Promise<[answer: string, expected: string]> {
      this.counts['sign-in']++
      this.#expected = { user: this.#name, changes: {} }
      return [await this.#post(app, `sign-in/${this.#name}`), 'signed in']
    }

    async #change(app: App): Promise<[answer: string, expected: string]> {
      this.counts.change++
      const [key, value] = [`key-${Math.floor(this.#next() * 5)}`, String(Math.floor(this.#next() * 1e9))]
      const signedIn = this.#expected.changes
      if (signedIn) signedIn[key] = value
      return [await this.#post(app, `change/${key}/${value}`), signedIn ? 'changed' : 'sign in first']
    }

    async #signOut(app: App): Promise<[answer: string, expected: string]> {
      this.counts['sign-out']++
      const before = this.#cookie
      this.#expected = { user: null, changes: null }
      const answer = await this.#post(app, 'sign-out')
      // The cookie from before is tried again, as a thief would who has kept it.
      this.#cookie = before
      return [answer, 'signed out']
    }

    async #post(app: App, path: string): Promise<string> {
      const response = await this.#fetch(app, path, 'POST')
      return response.text()
    }

    async #look(app: App): Promise<unknown> {
      const response = await this.#fetch(app, 'look', 'GET')
      return response.json()
    }

    async #fetch(app: App, path: string, method: string): Promise<Response> {
      const response = await fetch(`${app.url}/${path}`, { method, headers: { cookie: this.#cookie } })
      for (const cookie of response.headers.getSetCookie()) this.#cookie = cookie.split(';', 1)[0]!
      return response
    }

    #either(): App {
      return apps[this.#next() < 0.5 ? 0 : 1]!
    }
  }

  test(`after each of ${operations} mixed sign-ins, changes and sign-outs, both apps say the same of the session`, async () => {
    const visitors = Array.from({ length: users }, (_, index) => new Visitor(index))
    await Promise.all(
      visitors.map(async (visitor) => {
        for (let done = 0; done < operations / users; done++) {
          const { said, expected } = await visitor.act()
          expect(said).toEqual(expected)
        }
      }),
    )
    const sum = (name: keyof Visitor['counts']) =>
      visitors.reduce((total, { counts }) => total + counts[name], 0)
    expect(sum('sign-in') + sum('change') + sum('sign-out')).toBe(operations)
    for (const name of ['sign-in', 'change', 'sign-out'] as const) expect(sum(name), name).toBeGreaterThan(50)
  })
})
