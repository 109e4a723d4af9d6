import type { SessionRecord } from 'coatcheck'
import type { StoreTraits } from './subjects.ts'

/** Those of SAFETY: what must hold whatever happens in whichever order. */
export const invariants = {
  I1: 'no update is lost',
  I2: 'what has ended stays ended',
  I3: 'an ending is seen everywhere at once',
  I4: 'no token from before a login leads into it',
  I5: 'what was told stored is read, and nothing goes back',
  I6: 'nobody sees what is not theirs',
  I7: 'no session outlives its absolute lifetime, and no touch shortens it',
  I8: 'acknowledged is stored, rejected is the old state or the whole new one',
  I9: 'a revocation reaches a login that began before it',
  I10: 'reading writes nothing but touches',
  I11: 'what was not ended works once all is well again',
} as const

export type Invariant = keyof typeof invariants

/** What a session held when it was looked at. */
export interface View {
  readonly publicId: string
  readonly userId: string | undefined
  readonly data: Readonly<Record<string, unknown>>
}

/** What one request changed. `base` is the user that its session had, and moments are by the schedule's count. */
interface Change {
  readonly kind: 'set' | 'same' | 'delete' | 'increment'
  readonly name: string
  base: string | undefined
  started: number
  /** When its last attempt was over; `undefined` while it may still be stored. */
  over: number | undefined
  /** When it was told that it is stored. */
  acknowledged: number | undefined
}

/** One proof of who somebody is. */
export interface Login {
  readonly id: string
  readonly user: string
  /** When its request had found its session, or that there is none. */
  readonly began: number
  started: number | undefined
  acknowledged: number | undefined
}

/** All that is known of one session, by what apps were told. */
export interface Life {
  readonly publicId: string
  readonly browser: number
  /** Whether it is one of those that the program began with, so that all of its history is known. */
  readonly whole: boolean
  /** Everyone who was, or may have become, its user. */
  readonly users: Set<string>
  readonly logins: Login[]
  readonly changes: Change[]
  /** Attempts at giving it another token; those that were told done; requests that tried, and told no browser yet. */
  rotations: number
  rotated: number
  untold: number
  /** Somebody began to end it. */
  endStarted: boolean
  ended: { readonly at: number; readonly base: string | undefined } | undefined
  /** What was seen in it, and since when. */
  readonly seen: Map<string, number>
  readonly counted: { readonly count: number; readonly at: number }[]
}

/** A token that a browser was given, and what it may lead to: this one session, in this one login. */
export interface Ticket {
  readonly token: string
  readonly life: Life
  readonly login: Login | undefined
  readonly user: string | undefined
  /** `rotations` of its session as it was given; `undefined` if another rotation was under way. */
  readonly rotations: number | undefined
  /** `rotated` of its session as it was given. */
  readonly rotated: number
}

interface Revocation {
  readonly user: string
  readonly except: string | undefined
  readonly started: number
  acknowledged: number | undefined
}

/** All that apps were told. */
export interface Facts {
  readonly lives: Map<string, Life>
  readonly logins: Map<string, Login>
  readonly revocations: Revocation[]
  /** What did not hold, by what one app could know. */
  readonly violations: string[]
}

/** The values that a request stores tell whose they are. */
export interface Canary {
  readonly browser: number
  readonly as: string | undefined
}

/**
 * Keeps what apps were told, in plain data, and judges by it what they see. It knows nothing of how sessions are kept:
 * only that what is acknowledged holds, what failed may hold or not, and what overlaps may come in either order.
 */
export class History {
  readonly violations: string[]
  readonly checks: Record<string, number> = {}
  readonly lives: Map<string, Life>
  readonly revocations: Revocation[]
  readonly #records = new Map<string, Pick<SessionRecord, 'createdAt' | 'version'>>()
  readonly #logins: Map<string, Login>
  readonly #store: StoreTraits & { readonly absolute: number }

  constructor(store: StoreTraits & { readonly absolute: number }, facts: Partial<Facts> = {}) {
    this.#store = store
    this.lives = facts.lives ?? new Map<string, Life>()
    this.#logins = facts.logins ?? new Map<string, Login>()
    this.revocations = facts.revocations ?? []
    this.violations = facts.violations ?? []
  }

  get facts(): Facts {
    const { lives, revocations, violations } = this
    return { lives, logins: this.#logins, revocations, violations }
  }

  /**
   * Takes in what apps were told that knew nothing of each other. What they found wrong counts only where that does not
   * depend on what others did.
   */
  takeIn(all: readonly Facts[]): void {
    for (const { lives, logins, revocations, violations } of all) {
      for (const [id, login] of logins) this.#logins.set(id, login)
      this.revocations.push(...revocations)
      this.violations.push(...violations.filter((violation) => /^I[46] /.test(violation)))
      for (const theirs of lives.values())
        addTo(this.life(theirs.publicId, theirs.browser, theirs.whole), theirs)
    }
    for (const life of this.lives.values()) {
      // An app that ended it did not know that others had moved it too far away to be found.
      if (life.ended?.base === undefined && this.mayHaveLost(life, 0)) life.ended = undefined
    }
  }

  /** Counts a check of an invariant, and remembers that it did not hold. */
  check(invariant: Invariant, holds: boolean, otherwise: () => string): void {
    this.checks[invariant] = (this.checks[invariant] ?? 0) + 1
    if (!holds) this.violations.push(`${invariant} (${invariants[invariant]}): ${otherwise()}`)
  }

  life(publicId: string, browser: number, whole = false): Life {
    let life = this.lives.get(publicId)
    if (!life) {
      life = {
        publicId,
        browser,
        whole,
        users: new Set(),
        logins: [],
        changes: [],
        rotations: 0,
        rotated: 0,
        untold: 0,
        endStarted: false,
        ended: undefined,
        seen: new Map(),
        counted: [],
      }
      this.lives.set(publicId, life)
    }
    return life
  }

  login(id: string, user: string, began: number): Login {
    const login: Login = { id, user, began, started: undefined, acknowledged: undefined }
    this.#logins.set(id, login)
    return login
  }

  revoking(user: string, except: string | undefined, started: number): Revocation {
    const revocation: Revocation = { user, except, started, acknowledged: undefined }
    this.revocations.push(revocation)
    return revocation
  }

  /** Whether it would be right if this session were not there any more. */
  mayHaveEnded(life: Life): boolean {
    const revoked = this.revocations.some(
      ({ user, except }) => life.users.has(user) && except !== life.publicId,
    )
    return life.endStarted || revoked
  }

  /** Whether a token that was given when so many rotations were done may lead nowhere by now: the last one's grace is for the one before it. */
  mayHaveLost(life: Life, rotated: number): boolean {
    return life.rotations - rotated >= (this.#store.grace ? 2 : 1)
  }

  /** Each record on its way out of the store. */
  witness(record: SessionRecord): void {
    const { publicId, createdAt, version, expiresAt } = record
    const before = this.#records.get(publicId)
    const { absolute, precision, versionsGrow } = this.#store
    this.check('I7', expiresAt <= createdAt + absolute + precision, () => `${publicId} lives too long`)
    if (before) {
      this.check('I7', Math.abs(createdAt - before.createdAt) <= precision, () => `${publicId} began anew`)
      if (versionsGrow) {
        const fell = () => `the version of ${publicId} fell from ${before.version} to ${version}`
        this.check('I5', version >= before.version, fell)
      }
    }
    this.#records.set(publicId, { createdAt, version })
  }

  /** A request asked with a ticket, from `started` until now, and found `view`; `undefined`: nothing. */
  seen(ticket: Ticket, view: View | undefined, started: number, now: number): void {
    const { life, login, user } = ticket
    const current = ticket.rotations === life.rotations
    this.#checkStaysEnded('I3', life, view, started)
    if (!view) {
      if (current) this.#checkMayBeGone(life)
      return
    }
    this.check(
      'I4',
      view.publicId === life.publicId,
      () => `a token of ${life.publicId} led to ${view.publicId}`,
    )
    this.check('I4', view.userId === user && view.data['login'] === login?.id, () => {
      const [before, after] = [
        `login ${login?.id} of ${user}`,
        `login ${String(view.data['login'])} of ${view.userId}`,
      ]
      return `a token from ${before} led into ${after}`
    })
    this.#checkCanaries(life, view)
    for (const revocation of this.#revocationsOf(view, login)) {
      const reached = revocation.acknowledged === undefined || revocation.acknowledged > started
      this.check('I9', reached, () => `login ${login?.id} goes on after ${user} was revoked`)
    }
    if (current) this.#checkContent('I5', life, view, started, now)
  }

  /** What is stored in the end, when nothing is under way any more. */
  atTheEnd(views: readonly View[], now: number): void {
    const byName = new Map(views.map((view) => [view.publicId, view]))
    this.check('I8', byName.size === views.length, () => 'a session is stored twice')
    for (const life of this.lives.values()) {
      const view = byName.get(life.publicId)
      this.#checkStaysEnded('I2', life, view, now)
      if (!view) {
        this.#checkMayBeGone(life)
        continue
      }
      this.#checkCanaries(life, view)
      this.#checkContent('I1', life, view, now, now)
      const login = this.#logins.get(String(view.data['login']))
      for (const revocation of this.#revocationsOf(view, login)) {
        // One that nobody was told of is reached by nobody.
        const reached = revocation.acknowledged === undefined || login?.acknowledged === undefined
        this.check('I9', reached, () => `login ${login?.id} is there after ${view.userId} was revoked`)
      }
    }
  }

  /** The revocations that this login should not have outlived. */
  #revocationsOf(view: View, login: Login | undefined): Revocation[] {
    if (!login || view.userId === undefined) return []
    return this.revocations.filter(
      ({ user, except, started }) =>
        user === view.userId && except !== view.publicId && login.began < started,
    )
  }

  #checkMayBeGone(life: Life): void {
    this.check('I11', this.mayHaveEnded(life), () => `${life.publicId}, which nobody ended, is not there`)
  }

  #checkStaysEnded(invariant: 'I2' | 'I3', life: Life, view: View | undefined, started: number): void {
    if (!life.ended || life.ended.at > started) return
    const { at, base } = life.ended
    // An anonymous session on which somebody signs in meanwhile is theirs; within the grace the token from before the
    // login goes on showing what it was before.
    const signedIn = base === undefined && life.logins.some((login) => (login.started ?? at) < at)
    const theirs = signedIn && (invariant === 'I3' || view?.userId !== undefined)
    this.check(invariant, !view || theirs, () => `${life.publicId}, which was ended, is there`)
  }

  #checkCanaries(life: Life, { userId, data }: View): void {
    const canaries = [...Object.values(data), ...Object.values((data['nest'] ?? {}) as object)] as unknown[]
    for (const canary of canaries) {
      if (typeof canary !== 'object' || canary === null || !('browser' in canary)) continue
      const { browser, as } = canary as Canary
      const own = browser === life.browser && (as === undefined || as === userId)
      this.check('I6', own, () => `${life.publicId} of ${userId} holds what ${as} left at browser ${browser}`)
    }
  }

  /** Whether a view from the newest token, asked for after `started`, holds all that it must. */
  #checkContent(invariant: 'I1' | 'I5', life: Life, view: View, started: number, now: number): void {
    const { data, userId } = view
    const nest = (data['nest'] ?? {}) as Record<string, unknown>
    const must = life.changes.filter((change) => this.#mustBeSeen(life, change, userId, started))
    for (const { kind, name } of must) {
      if (kind === 'set') this.check(invariant, name in data, () => `${name} is lost from ${life.publicId}`)
      if (kind === 'delete')
        this.check(invariant, !(name in data), () => `${name} is back in ${life.publicId}`)
    }
    for (const name of new Set([...Object.keys(data), ...Object.keys(nest)])) {
      if (!name.startsWith('own')) continue
      this.check('I8', name in data && name in nest, () => `${name} is stored by half`)
      if (!life.seen.has(name)) life.seen.set(name, now)
    }
    for (const [name, since] of life.seen) {
      if (since < started)
        this.check('I5', name in data, () => `${name} was seen in ${life.publicId} and is not any more`)
    }
    if (!life.whole) return
    this.#checkCount(invariant, life, must, Number(data['count'] ?? 0), started, now)
    this.#checkSame(invariant, life, must, String(data['same']))
  }

  #mustBeSeen(life: Life, change: Change, userNow: string | undefined, started: number): boolean {
    const { acknowledged, base } = change
    if (acknowledged === undefined || acknowledged >= started) return false
    if (base === userNow) return true
    // What an anonymous request changes stands if nobody was signing in by then.
    return base === undefined && life.logins.every((login) => (login.started ?? Infinity) > acknowledged)
  }

  #checkCount(
    invariant: 'I1' | 'I5',
    life: Life,
    must: readonly Change[],
    count: number,
    started: number,
    now: number,
  ): void {
    const least = must.filter(({ kind }) => kind === 'increment').length
    const most = life.changes.filter(({ kind }) => kind === 'increment').length
    const counted = () => `${count} counted in ${life.publicId}, and ${least} to ${most} should be`
    this.check(invariant, least <= count && count <= most, counted)
    const before = Math.max(0, ...life.counted.filter(({ at }) => at < started).map((seen) => seen.count))
    this.check('I5', count >= before, () => `${before} were counted in ${life.publicId}, then ${count}`)
    life.counted.push({ count, at: now })
  }

  /** Of one leaf the later commit stands: what is there was not surely written over. */
  #checkSame(invariant: 'I1' | 'I5', life: Life, must: readonly Change[], name: string): void {
    const written = life.changes.find((change) => change.kind === 'same' && change.name === name)
    const over = written ? (written.over ?? Infinity) : 0
    const overwritten = must.find(({ kind, started }) => kind === 'same' && started > over)
    this.check(invariant, !overwritten, () => `${name} stands where ${overwritten?.name} was written later`)
  }
}

function addTo(life: Life, theirs: Life): void {
  for (const user of theirs.users) life.users.add(user)
  life.logins.push(...theirs.logins)
  life.changes.push(...theirs.changes)
  life.counted.push(...theirs.counted)
  for (const [name, since] of theirs.seen) life.seen.set(name, since)
  life.rotations += theirs.rotations
  life.endStarted ||= theirs.endStarted
  life.ended ??= theirs.ended
}
