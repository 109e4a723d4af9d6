import type { ListedRecord } from 'coatcheck'
import { publicIdOf } from '../../dist/core/store/record.js'
import {
  type Account,
  type Canary,
  type Change,
  type Excuse,
  type Facts,
  type Invariant,
  invariants,
  type Life,
  type Login,
  type Revocation,
  type SignedIn,
  type Ticket,
  type View,
  type Violation,
} from './facts.ts'
import type { StoreTraits } from './store-traits.ts'

/**
 * Keeps what apps were told, in plain data, and judges by it what they see. It knows nothing of how sessions are kept:
 * only that what is acknowledged holds, what failed may hold or not, and what overlaps may come in either order.
 */
export class History {
  readonly checks: Record<string, number> = {}
  readonly lives: Map<string, Life>
  readonly revocations: Revocation[]
  readonly #alone: boolean
  readonly #violations: Violation[] = []
  readonly #records = new Map<string, Pick<ListedRecord, 'createdAt' | 'version'>>()
  readonly #logins: Map<string, Login>
  readonly #store: StoreTraits & { readonly absolute: number }

  /** @param before what there was before one app began, which is then not told what others do meanwhile */
  constructor(store: StoreTraits & { readonly absolute: number }, before?: Facts) {
    this.#store = store
    this.#alone = before !== undefined
    this.lives = before?.lives ?? new Map<string, Life>()
    this.#logins = before?.logins ?? new Map<string, Login>()
    this.revocations = before?.revocations ?? []
  }

  get violations(): string[] {
    return this.#violations.map(({ text }) => text)
  }

  get facts(): Facts {
    return { lives: this.lives, logins: this.#logins, revocations: this.revocations }
  }

  get account(): Account {
    return { facts: this.facts, violations: this.#violations, checks: this.checks }
  }

  /**
   * Takes in what apps were told that knew nothing of each other, and what each of them found wrong that nothing excuses
   * which the others did.
   *
   * By itself an app can judge where a token leads (I4), whose data it shows (I6), whether what it ended or revoked itself
   * stays away (I3, I9) and what it stored itself stays there (I5), whether errors are named and nothing is stored by
   * half (I8). That a session is not there, or takes a change no more, is right if another app ended or moved it; that a
   * sign-in is refused, if another one revoked (I8, I11). The rest is left to who knows all: how much is counted and
   * which value stands, since others change them too (I1, I5), and what is stored in the end (I1, I2, I7). I10 is seen
   * by a store that counts, which apps in processes of their own do not have.
   */
  takeIn(accounts: readonly Account[]): void {
    for (const { facts, checks } of accounts) {
      for (const [id, login] of facts.logins) this.#logins.set(id, login)
      this.revocations.push(...facts.revocations)
      for (const theirs of facts.lives.values())
        addTo(this.life(theirs.publicId, theirs.browser, theirs.whole), theirs)
      for (const [invariant, times] of Object.entries(checks)) {
        this.checks[invariant] = (this.checks[invariant] ?? 0) + times
      }
    }
    const found = accounts.flatMap(({ violations }) => violations)
    this.#violations.push(...found.filter(({ excuse }) => !this.#excuses(excuse)))
    for (const life of this.lives.values()) {
      // An app that ended it did not know that others had moved it too far away to be found.
      if (life.ended?.base === undefined && this.mayHaveEscaped(life, 0)) life.ended = undefined
    }
  }

  /** Counts a check of an invariant, and remembers that it did not hold: for good if nothing is there to excuse it. */
  check(invariant: Invariant, holds: boolean, otherwise: () => string, excuse: Excuse = {}): void {
    if (this.#alone && excuse === 'anything') return
    this.checks[invariant] = (this.checks[invariant] ?? 0) + 1
    if (holds) return
    this.#violations.push({ text: `${invariant} (${invariants[invariant]}): ${otherwise()}`, excuse })
  }

  #excuses(excuse: Excuse): boolean {
    if (excuse === 'anything') return true
    const [ended, moved] = [excuse.ended, excuse.moved].map((publicId) => this.lives.get(publicId ?? ''))
    return (
      (ended !== undefined && this.mayHaveEnded(ended)) ||
      (moved !== undefined && moved.rotations > 0) ||
      (excuse.signedIn !== undefined && this.#wasSignedIn(excuse.signedIn)) ||
      this.revocations.some(({ user }) => user === excuse.revoked)
    )
  }

  #wasSignedIn({ publicId, besides, before = Infinity }: SignedIn): boolean {
    const logins = this.lives.get(publicId)?.logins ?? []
    return logins.some(({ id, started = before }) => id !== besides?.id && started < before)
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
        claims: 0,
        endStarts: 0,
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

  revoking(begun: Pick<Revocation, 'user' | 'started'> & Partial<Revocation>): Revocation {
    const none = { except: undefined, claims: false, mayLose: false, acknowledged: undefined }
    const revocation: Revocation = { ...none, ...begun }
    this.revocations.push(revocation)
    return revocation
  }

  /** Whether it would be right if this session were not there any more. */
  mayHaveEnded(life: Life): boolean {
    // A session is not spared by who comes from before a sign-in on it, nor where a rotation has moved it away.
    const mayLose = !this.#store.rowsStay || life.logins.length > 0
    const revoked = this.revocations.some(
      ({ user, except, claims, ...revocation }) =>
        life.users.has(user) &&
        (except !== life.publicId || (claims && (mayLose || revocation.mayLose || life.claims > 1))),
    )
    return life.endStarts > 0 || revoked
  }

  /** Whether a token that was given when so many rotations were done may lead nowhere by now: the last one's grace is for the one before it. */
  mayHaveLost(life: Life, rotated: number): boolean {
    return life.rotations - rotated >= (this.#store.rowsStay && life.claims === 0 ? 2 : 1)
  }

  /** Whether an ending by such a token may not have found its anonymous session. */
  mayHaveEscaped(life: Life, rotated: number): boolean {
    return !this.#store.rowsStay && this.mayHaveLost(life, rotated)
  }

  /** Each record on its way out of the store. */
  witness(record: Pick<ListedRecord, 'id' | 'publicId' | 'createdAt' | 'version' | 'expiresAt'>): void {
    const { createdAt, version, expiresAt } = record
    const publicId = publicIdOf(record)
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
    for (const { except, claims, ...revocation } of this.revocations) {
      if (!claims || except !== life.publicId || ticket.given >= revocation.started) continue
      const stillGood = revocation.acknowledged === undefined || revocation.acknowledged > started
      this.check(
        'I9',
        !view || stillGood,
        () => `a token of ${life.publicId} from before it was spared leads on`,
      )
    }
    if (!view) {
      if (current) this.#checkMayBeGone(life)
      return
    }
    this.check(
      'I4',
      view.publicId === life.publicId,
      () => `a token of ${life.publicId} led to ${view.publicId}`,
    )
    // After a later proof of who its user is, an old token is nobody's, and shows nothing.
    const isNobodys = view.userId === undefined && Object.keys(view.data).length === 0
    if (user !== undefined && isNobodys && life.logins.some((other) => other !== login)) return
    const isTheirs = view.userId === user && view.data['login'] === login?.id
    const mixed = () => {
      const before = `login ${login?.id} of ${user}`
      return `a token from ${before} led into login ${String(view.data['login'])} of ${view.userId}`
    }
    // That proof may have been given at an app of which this one does not know.
    const { publicId } = life
    this.check('I4', isTheirs, mixed, isNobodys ? { signedIn: { publicId, besides: login } } : {})
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
    const { publicId } = life
    const gone = () => `${publicId}, which nobody ended, is not there`
    this.check('I11', this.mayHaveEnded(life), gone, { ended: publicId, moved: publicId })
  }

  #checkStaysEnded(invariant: 'I2' | 'I3', life: Life, view: View | undefined, started: number): void {
    if (!life.ended || life.ended.at > started) return
    const { at, base } = life.ended
    // An anonymous session on which somebody signs in meanwhile is theirs; within the grace the token from before the
    // login goes on showing what it was before.
    const signedIn = base === undefined && life.logins.some((login) => (login.started ?? at) < at)
    const theirs = signedIn && (invariant === 'I3' || view?.userId !== undefined)
    // A user's session is found wherever others moved it; an anonymous one is not in every store.
    // And an app by itself does not know of a sign-in at another one.
    const { publicId } = life
    const anonymous = this.#store.rowsStay ? { signedIn: { publicId, before: at } } : { moved: publicId }
    const excuse = base === undefined ? anonymous : {}
    this.check(invariant, !view || theirs, () => `${life.publicId}, which was ended, is there`, excuse)
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
    // Within its grace a token from before shows what there was before.
    const excuse = { moved: life.publicId }
    for (const { kind, name } of must) {
      if (kind === 'set')
        this.check(invariant, name in data, () => `${name} is lost from ${life.publicId}`, excuse)
      if (kind === 'delete')
        this.check(invariant, !(name in data), () => `${name} is back in ${life.publicId}`, excuse)
    }
    for (const name of new Set([...Object.keys(data), ...Object.keys(nest)])) {
      if (!name.startsWith('own')) continue
      this.check('I8', name in data && name in nest, () => `${name} is stored by half`)
      if (!life.seen.has(name)) life.seen.set(name, now)
    }
    for (const [name, since] of life.seen) {
      const lost = () => `${name} was seen in ${life.publicId} and is not any more`
      if (since < started) this.check('I5', name in data, lost, excuse)
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
    const excuse = { moved: life.publicId }
    this.check(invariant, least <= count, counted, excuse)
    this.check(invariant, count <= most, counted, 'anything')
    const before = Math.max(0, ...life.counted.filter(({ at }) => at < started).map((seen) => seen.count))
    const fell = () => `${before} were counted in ${life.publicId}, then ${count}`
    this.check('I5', count >= before, fell, excuse)
    life.counted.push({ count, at: now })
  }

  /** Of one leaf the later commit stands: what is there was not surely written over. */
  #checkSame(invariant: 'I1' | 'I5', life: Life, must: readonly Change[], name: string): void {
    const written = life.changes.find((change) => change.kind === 'same' && change.name === name)
    const over = written ? (written.over ?? Infinity) : 0
    const overwritten = must.find(({ kind, started }) => kind === 'same' && started > over)
    const stands = () => `${name} stands where ${overwritten?.name} was written later`
    this.check(invariant, !overwritten, stands, 'anything')
  }
}

function addTo(life: Life, theirs: Life): void {
  for (const user of theirs.users) life.users.add(user)
  life.logins.push(...theirs.logins)
  life.changes.push(...theirs.changes)
  life.counted.push(...theirs.counted)
  for (const [name, since] of theirs.seen) life.seen.set(name, since)
  life.rotations += theirs.rotations
  life.claims += theirs.claims
  life.endStarts += theirs.endStarts
  life.ended ??= theirs.ended
}
