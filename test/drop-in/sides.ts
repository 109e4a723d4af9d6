import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRequire } from 'node:module'
import { onTestFinished, expect, test } from 'vitest'
import { type Served, type ServeExtras, Visited } from './visited.ts'
import { type RowStore, rowStoreClass } from './row-store.ts'
import type { Handler, SessionModule, SessionOptions } from './express-session-types.ts'

// The form in which apps load express-session, so `require` of the package is tested with every line below.
const require = createRequire(import.meta.url)

/** What users are told of the differences. */
const migrating = readFileSync(join(import.meta.dirname, '../../docs/migrating.md'), 'utf8').toLowerCase()

// express-session says on stderr what is deprecated, once for each place that does it. Tests that are about it listen.
process.env['NO_DEPRECATION'] ??= 'express-session'

export const sideNames = ['express-session', 'coatcheck/express'] as const
type SideName = (typeof sideNames)[number]

/** Why coatcheck answers otherwise than express-session does. Each is explained in docs/migrating.md. */
export type Reason =
  | 'safer defaults'
  | 'headers wait for the save'
  | 'a failed save is no 200'
  | 'paths as in RFC 6265'
  | 'destroy clears the cookie'
  | 'answers with a cookie are not to be cached'
  | 'cookie attributes come from the configuration only'
  | 'ended sessions never come back'
  | 'concurrent updates are merged'
  | 'old signatures are renewed'
  | 'a corrupt row is signed out'
  | 'wrong options throw at start-up'
  | 'errors carry a status'
  | 'reload fills the same object'
  | 'what is stored has its cookie'
  | 'assigning `req.sessionID` does not switch the session'

export const secret = 'a secret that only these tests use'

/** express-session and ours, as apps load them. */
export function packages(): [theirs: SessionModule, ours: SessionModule] {
  return sideNames.map((name) => require(name) as SessionModule) as [SessionModule, SessionModule]
}

/** One of the two packages, and what a test's body needs to look at it. */
export class Side {
  readonly name: SideName
  readonly session: SessionModule
  /** What is compared besides what the body returns: every answer, and the rows of every store. */
  readonly visited: Visited

  constructor(name: SideName) {
    this.name = name
    this.session = require(name) as SessionModule
    this.visited = new Visited({ neverCached: name === 'coatcheck/express' })
  }

  /** A store as apps write them for express-session: JSON in a map, and a log of what was written. */
  store(): RowStore {
    const store = new (rowStoreClass(this.session))(this.visited.ids)
    this.visited.stores.push(store)
    return store
  }

  /**
   * Serves `handler` behind the session middleware. `options` go over what the package's documentation
   * recommends: `resave` and `saveUninitialized` false.
   */
  serve(options: SessionOptions, handler: Handler, extras: ServeExtras = {}): Promise<Served> {
    const merged = { secret, resave: false, saveUninitialized: false, ...options }
    return this.serveWith(() => this.session(merged), handler, { secret: merged.secret, ...extras })
  }

  /** As `serve`, with a middleware that the body makes. */
  serveWith(
    middleware: () => Handler,
    handler: Handler,
    extras: ServeExtras & { secret?: unknown } = {},
  ): Promise<Served> {
    return this.visited.serve(
      [...(extras.before ?? []), middleware(), ...(extras.after ?? []), handler],
      extras,
    )
  }
}

/** What both sides show, or what each does where they are meant to differ, and why. `'as there'`: whatever express-session does. */
type Expected<Seen> =
  | 'as there'
  | { readonly both: Seen }
  | { readonly theirs: Seen; readonly ours: Seen; readonly reason: Reason }

/** Throws if docs/migrating.md does not tell of a difference. */
export function assertTold(reason: Reason): void {
  if (!migrating.includes(reason.toLowerCase())) throw new Error(`docs/migrating.md does not say: ${reason}.`)
}

/**
 * A statement about express-session, tested on it and on coatcheck. The body returns what it saw. Where both are
 * to be the same, so are all the statuses, headers and bodies that came, and the rows that are in the stores at the end.
 */
export function sideBySide<Seen>(
  statement: string,
  body: (side: Side) => Promise<Seen> | Seen,
  expected: Expected<NoInfer<Seen>>,
): void {
  const differs = typeof expected === 'object' && 'theirs' in expected
  if (differs) assertTold(expected.reason)
  test(`${statement}${differs ? ` [differs: ${expected.reason}]` : ''}`, async () => {
    const [incumbent, coatcheck] = [new Side('express-session'), new Side('coatcheck/express')]
    const there = await body(incumbent)
    const { theirs, ours } = differs
      ? expected
      : { theirs: bothOf(expected, there), ours: bothOf(expected, there) }
    expect(there, incumbent.name).toEqual(theirs)
    expect(await body(coatcheck), coatcheck.name).toEqual(ours)
    const all = coatcheck.visited.all()
    expect(all, 'all that came and is stored').toEqual(differs ? all : incumbent.visited.all())
  })
}

function bothOf<Seen>(expected: 'as there' | { readonly both: Seen }, there: Seen): Seen {
  return expected === 'as there' ? there : expected.both
}

/** The deprecations that express-session announces while `act` runs. */
export async function deprecationsOf(act: () => unknown): Promise<string[]> {
  const messages: string[] = []
  const listener = (error: Error): void => void messages.push(error.message)
  process.on('deprecation' as never, listener as never)
  onTestFinished(() => void process.off('deprecation', listener))
  await act()
  process.off('deprecation', listener)
  return messages
}

/** What `act` throws, as `Name: message`, or `undefined`. */
export function thrownBy(act: () => unknown): string | undefined {
  try {
    act()
    return undefined
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  }
}
