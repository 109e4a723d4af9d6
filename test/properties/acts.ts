import { createSessions, type Sessions, type SessionStore } from 'coatcheck'
import { bag, committedToken, secret } from '../core/works.ts'
import type { Canary, Ticket } from './facts.ts'
import type { History } from './history.ts'
import type { Arrival, Program } from './program.ts'
import { viewOf, Visit } from './visit.ts'

export const hour = 3_600_000
/** For a call of the store: far above what all waits of the engine in one run add up to. */
export const deadline = 600_000

/** The tokens that one browser was given, the newest last; `null` where it was told to forget. */
export type Jar = (Ticket | null)[]

/** When things happen. */
export interface Timing {
  /** The order of what happened: later is more. */
  readonly now: number
  /** What happened, for whoever looks for what went wrong. */
  readonly log: string[]
  /** Waits until this may be done. */
  turn(app: number, what: string): Promise<unknown>
}

/** As things come, by one clock for all processes of a machine, in microseconds. */
export const realTime: Timing = {
  get now() {
    return Number(process.hrtime.bigint() / 1_000n)
  },
  log: [],
  turn: async () => undefined,
}

/** The apps live for an hour at most, which is also how long they idle: so every touch is at the limit. */
export function sessionsOn(store: SessionStore, touches: boolean): Sessions {
  const sessions = createSessions({
    store,
    secret,
    sweep: false,
    lifetime: { idle: hour, absolute: hour },
    touchAfter: touches ? 1 : hour - 1,
    storeLimits: { deadline },
  })
  // Told to the requests; without a listener it would be a warning besides.
  return sessions.on('storeError', () => undefined)
}

/** The sessions that a program begins with. */
export async function begin(
  { users }: Pick<Program, 'users'>,
  store: SessionStore,
  history: History,
  timing: Timing,
): Promise<Jar[]> {
  const sessions = sessionsOn(store, false)
  return Promise.all(
    users.map(async (user, browser) => {
      const work = sessions.begin()
      const canary: Canary = { browser, as: user }
      Object.assign(bag(work), {
        seed0: canary,
        seed1: canary,
        seed2: canary,
        count: 0,
        same: 'start',
        nest: {},
      })
      const login = user === undefined ? undefined : history.login(`start${browser}`, user, timing.now)
      if (login) {
        await bag(work).signIn(login.user, { keep: true })
        bag(work).login = login.id
        login.started = login.acknowledged = timing.now
      }
      const token = await committedToken(work)
      const life = history.life(work.publicId, browser, true)
      if (login) life.users.add(login.user)
      return [{ token, life, login, user, rotations: 0, rotated: 0, given: timing.now }]
    }),
  )
}

/** What arrives at the apps. */
export class Acts {
  readonly #history: History
  readonly #timing: Timing
  readonly #engines: readonly Sessions[]
  readonly #jars: readonly Jar[]

  constructor(history: History, timing: Timing, engines: readonly Sessions[], jars: readonly Jar[]) {
    this.#history = history
    this.#timing = timing
    this.#engines = engines
    this.#jars = jars
  }

  async arrive(arrival: Arrival, name: string): Promise<void> {
    await this.#timing.turn(arrival.app, `${name} arrives`)
    if (arrival.kind === 'request') return this.#request(arrival, name)
    await this.#tried(name, () =>
      arrival.kind === 'revoke' ? this.#revoke(arrival) : this.#revokeAll(arrival),
    )
  }

  async #request(arrival: Extract<Arrival, { kind: 'request' }>, name: string): Promise<void> {
    const { app, browser, age, actions } = arrival
    const [history, timing, sessions] = [this.#history, this.#timing, this.#engines[app]!]
    const jar = this.#jars[browser]!
    const ticket = jar[Math.max(0, jar.length - 1 - age)] ?? undefined
    const started = timing.now
    const work = await this.#tried(name, () => (ticket ? sessions.load(ticket.token) : sessions.load()))
    if (!work) return
    if (ticket) history.seen(ticket, viewOf(work), started, timing.now)
    const visit = new Visit({ history, timing, sessions }, work, { name, browser, ticket })
    for (const action of actions) {
      await timing.turn(app, `${name} ${action}`)
      // What throws ends the handler, and the app answers with its error page, which commits too.
      if (!(await this.#tried(name, () => visit.act(action).then(() => true)))) break
    }
    for (let page = 1; page <= 2 && !visit.isOver; page++) {
      await timing.turn(app, `${name} answers`)
      const next = await this.#tried(name, () => visit.finish())
      if (next !== undefined) jar.push(next)
    }
  }

  async #revoke({ app, browser }: Extract<Arrival, { kind: 'revoke' }>): Promise<void> {
    const ticket = this.#jars[browser]!.at(-1)
    if (ticket?.user === undefined) return
    const { life, user } = ticket
    life.endStarts++
    const ended = await this.#engines[app]!.user(user).revoke(life.publicId)
    if (ended) life.ended ??= { at: this.#timing.now, base: user }
  }

  async #revokeAll({ app, user }: Extract<Arrival, { kind: 'revokeAll' }>): Promise<void> {
    const revocation = this.#history.revoking({ user, started: this.#timing.now })
    await this.#engines[app]!.user(user).revokeAll()
    revocation.acknowledged = this.#timing.now
  }

  /** What an app would answer with an error page is no fault of the library, if it is one of the errors that it names. */
  async #tried<Answer>(name: string, act: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await act()
    } catch (error) {
      const { code } = error as { code?: string }
      const named =
        code?.startsWith('ERR_SESSION_STORE') ||
        ['ERR_SESSION_GONE', 'ERR_SESSION_ROTATED', 'ERR_SESSION_REVOKED', 'ERR_SESSION_CONFLICT'].includes(
          code!,
        )
      this.#history.check('I8', named === true, () => `${name} failed with ${String((error as Error).stack)}`)
      this.#timing.log.push(`${name} gets ${code}`)
      return undefined
    }
  }
}
