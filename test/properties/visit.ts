import type { Session, Sessions, UnitOfWork } from 'coatcheck'
import { bag } from '../core/works.ts'
import type { Canary, Life, Login, Ticket, View } from './facts.ts'
import type { History } from './history.ts'
import type { Action } from './program.ts'
import type { Timing } from './acts.ts'

interface Pending {
  readonly kind: 'set' | 'same' | 'delete' | 'increment'
  readonly name: string
  /** In which sessions it may be by now, as an entry of their changes. */
  readonly tried: Map<Life, Life['changes'][number]>
}

/** What a visit needs of the play that it is part of. */
export interface Stage {
  readonly history: History
  readonly timing: Timing
  readonly sessions: Sessions
}

/** As which a visit is known. */
interface Request {
  readonly name: string
  readonly browser: number
  readonly ticket: Ticket | undefined
}

/**
 * One request, from the model's side: it acts on the session as a handler does, and tells the history what it is told.
 * It goes by what the calls of the library promised, and by no look behind it.
 */
export class Visit {
  readonly #stage: Stage
  readonly #work: UnitOfWork
  readonly #name: string
  readonly #browser: number
  /** When the session was found. */
  #found: number
  #life: Life | undefined
  #base: string | undefined
  /** The rotations of its session that were done before its token was given. */
  #rotated: number
  /** As whose its session is stored. */
  #storedUser: string | undefined
  /** The claims on its session by others that began before it found that, and those of its own. */
  #claims = 0
  #login: Login | undefined
  /** The login that its session is stored with. */
  #storedLogin: Login | undefined
  #signingIn = false
  #rotating = false
  #claiming = false
  /** Those whose token this request tries to change, until the browser is told. */
  readonly #untold = new Set<Life>()
  /** An ending that failed, and will be tried again by the commit. */
  #ending: { readonly life: Life; readonly base: string | undefined } | undefined
  #pending: Pending[] = []
  /** Whether its session was found by a former token. */
  #isFormer = false
  #gone = false
  #over = false
  #steps = 0

  constructor(stage: Stage, work: UnitOfWork, { name, browser, ticket }: Request) {
    this.#stage = stage
    this.#rotated = ticket?.rotated ?? 0
    this.#work = work
    this.#name = name
    this.#browser = browser
    this.#found = stage.timing.now
    if (!ticket || work.isNew) return
    this.#life = ticket.life
    this.#claims = ticket.life.claims
    this.#isFormer = work.isFormer
    this.#base = this.#storedUser = work.userId
    this.#login = this.#storedLogin = this.#base === undefined ? undefined : ticket.login
  }

  /** @throws what the library throws */
  async act(action: Action): Promise<void> {
    if (!this.#work.session) return
    const session = bag(this.#work)
    const name = `${this.#name}.${this.#steps++}`
    switch (action) {
      case 'set':
        return this.#set(session, `own${name}`)
      case 'same':
        session.same = name
        this.#change('same', name)
        return
      case 'delete':
        return this.#delete(session, `seed${this.#steps % 3}`)
      case 'increment':
        return this.#increment(session)
      case 'save':
        return this.#storing(() => session.save())
      case 'touch':
        session.touch()
        return
      case 'reload':
        return this.#reload(session)
      case 'rotate':
        return this.#rotate(session)
      case 'signInAda':
        return this.#signIn(session, 'ada', name)
      case 'signInBob':
        return this.#signIn(session, 'bob', name)
      case 'regenerate':
      case 'signOut':
      case 'destroy':
        return this.#end(() => session[action]())
      case 'revokeOthers':
        return this.#revokeOthers(session)
    }
  }

  /** Commits, as before the first byte of a response; gives the browser's next ticket, or `null` if it is to forget its own. */
  async finish(): Promise<Ticket | null | undefined> {
    await this.#storing(async () => this.#work.commit())
    if (this.#ending) this.#ended(this.#ending)
    this.#over = true
    for (const life of this.#untold) life.untold--
    const { outcome } = this.#work
    if (outcome.action === 'clear') return null
    if (outcome.action === 'keep') return undefined
    const life = this.#stage.history.life(this.#work.publicId, this.#browser)
    // Whoever claims a session meanwhile leaves this request's token with nothing.
    const isSure = life.untold === 0 && life.claims === this.#claims
    const rotations = isSure ? life.rotations : undefined
    return {
      token: outcome.token,
      life,
      login: this.#login,
      user: this.#work.userId,
      rotations,
      rotated: life.rotated,
      given: this.#stage.timing.now,
    }
  }

  get #canary(): Canary {
    return { browser: this.#browser, as: this.#work.userId }
  }

  #set(session: Session & Record<string, unknown>, name: string): void {
    session[name] = this.#canary
    session.nest = { ...(session.nest as object | undefined), [name]: this.#canary }
    this.#change('set', name)
  }

  #delete(session: Session & Record<string, unknown>, name: string): void {
    if (!(name in session)) return
    delete session[name]
    this.#change('delete', name)
  }

  #change(kind: Pending['kind'], name: string): void {
    this.#pending.push({ kind, name, tried: new Map() })
  }

  async #increment(session: Session): Promise<void> {
    const change = (data: { count?: number }): void => void (data.count = (data.count ?? 0) + 1)
    this.#change('increment', 'count')
    const increment = this.#pending.at(-1)
    try {
      await this.#storing(() => session.update((data) => change(data as { count?: number })))
    } catch (error) {
      // It may have been stored; but the request does not try it again.
      this.#pending = this.#pending.filter((pending) => pending !== increment)
      throw error
    }
  }

  async #reload(session: Session): Promise<void> {
    const { history, timing } = this.#stage
    await session.reload()
    this.#found = timing.now
    this.#abandon()
    const before = this.#storedUser
    this.#base = this.#storedUser = this.#work.userId
    this.#signingIn = this.#rotating = this.#claiming = false
    this.#isFormer = this.#work.isFormer
    // The user has proved meanwhile who they are: to whoever has the token from before that, it is nobody's, and holds nothing.
    const isNobodys = this.#isFormer && before !== undefined && this.#base === undefined
    if (isNobodys) this.#storedLogin = undefined
    this.#login = this.#storedLogin
    const { login } = session as Session & { login?: string }
    history.check('I4', login === this.#login?.id, () => `a reload led from ${this.#login?.id} into ${login}`)
  }

  async #rotate(session: Session): Promise<void> {
    const before = session.id
    await session.rotate()
    this.#rotating ||= this.#life !== undefined && session.id !== before
  }

  async #signIn(session: Session & Record<string, unknown>, user: string, name: string): Promise<void> {
    const { history } = this.#stage
    const signIn = () => session.signIn(user, { keep: true })
    if (this.#isFormer || this.#work.isFormer) {
      // A request that has found out itself that its token was replaced may end the session of another user, or leave it.
      if (!this.#isFormer && this.#base !== user && this.#life) this.#life.endStarts++
      await signIn()
      if (session.publicId !== this.#life?.publicId) {
        this.#abandon()
        this.#life = undefined
      }
    } else if (this.#base !== undefined && this.#base !== user) await this.#end(signIn)
    else {
      await signIn()
      // By a former token, a session of its own begins.
      if (this.#gone || session.publicId !== this.#life?.publicId) this.#life = undefined
    }
    this.#gone = this.#isFormer = false
    this.#base = user
    this.#login = history.login(name, user, this.#found)
    this.#signingIn = true
    this.#life?.users.add(user)
    session.login = name
  }

  async #end(end: () => Promise<void>): Promise<void> {
    const [life, base] = [this.#life, this.#base]
    const stored = life !== undefined && !this.#gone
    const pending = this.#pending
    if (stored) life.endStarts++
    this.#abandon()
    if (stored) this.#ending = { life, base: this.#signingIn ? undefined : base }
    try {
      await end()
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_SESSION_ROTATED') {
        if (stored) life.endStarts--
        this.#ending = undefined
        if (this.#work.session) this.#pending = pending
      }
      throw error
    }
    if (this.#ending) this.#ended(this.#ending)
    this.#life = this.#base = this.#storedUser = this.#login = this.#storedLogin = undefined
    this.#signingIn = this.#rotating = this.#claiming = this.#gone = this.#isFormer = false
  }

  #ended({ life, base }: { life: Life; base: string | undefined }): void {
    const { history, timing } = this.#stage
    this.#ending = undefined
    // A user's session is found again whatever its token; where tokens are keys, an anonymous one only by one that leads to it.
    if (base === undefined && history.mayHaveEscaped(life, this.#rotated)) return
    life.ended ??= { at: timing.now, base }
  }

  async #revokeOthers(session: Session): Promise<void> {
    const { history, timing, sessions } = this.#stage
    if (this.#work.userId === undefined) return
    const [life, user] = [this.#life, this.#work.userId]
    const claims = life !== undefined && !this.#gone && !this.#isFormer && this.#storedUser === user
    const mayLose = this.#work.isFormer
    const except = this.#isFormer ? undefined : session.publicId
    const revocation = history.revoking({ user, except, claims, mayLose, started: timing.now })
    const revoke = () => sessions.user(user).revokeAll({ except: session })
    if (!claims) await revoke()
    else {
      this.#claiming = this.#rotating = true
      await this.#storing(revoke)
    }
    // It has another name where a sign-in found it ended, and began anew.
    if (!this.#isFormer) revocation.except = session.publicId
    revocation.acknowledged = timing.now
  }

  /** Something that stores all that is pending. */
  async #storing(store: () => Promise<unknown> | undefined): Promise<void> {
    const { timing } = this.#stage
    this.#started()
    try {
      await store()
    } catch (error) {
      this.#failed(error)
      throw error
    }
    this.#stored(timing.now)
  }

  #started(): void {
    const now = this.#stage.timing.now
    const life = this.#life
    if (!life || this.#ending || this.#gone) return
    if (this.#signingIn && this.#login) {
      this.#login.started ??= now
      if (!life.logins.includes(this.#login)) life.logins.push(this.#login)
    }
    if (this.#claiming || (this.#signingIn && this.#base === this.#storedUser)) {
      life.claims++
      this.#claims++
    }
    if (this.#rotating || this.#signingIn) {
      life.rotations++
      if (!this.#untold.has(life)) life.untold++
      this.#untold.add(life)
    }
    for (const pending of this.#pending) this.#entry(pending, life, now)
  }

  #entry({ kind, name, tried }: Pending, life: Life, started: number): Life['changes'][number] {
    let entry = tried.get(life)
    if (!entry) {
      entry = { kind, name, base: this.#base, started, over: undefined, acknowledged: undefined }
      tried.set(life, entry)
      life.changes.push(entry)
    }
    entry.over = undefined
    return entry
  }

  #stored(now: number): void {
    const { history } = this.#stage
    if (this.#ending) return
    if (this.#work.isNew) return this.#notStored()
    const life = history.life(this.#work.publicId, this.#browser)
    if (this.#base !== undefined) life.users.add(this.#base)
    for (const pending of this.#pending) {
      const entry = this.#entry(pending, life, now)
      entry.base = this.#base
      entry.acknowledged = entry.over = now
    }
    if (this.#signingIn && this.#login) this.#login.acknowledged ??= now
    if ((this.#rotating || this.#signingIn) && !this.#work.isFormer) this.#rotated = ++life.rotated
    if (life !== this.#life) this.#claims = life.claims
    this.#life = life
    this.#storedUser = this.#base
    this.#storedLogin = this.#login
    this.#pending = []
    this.#signingIn = this.#rotating = this.#claiming = false
  }

  /** Nothing is stored, and that was no failure: so there was nothing to store, or the session is not this request's any more. */
  #notStored(): void {
    const { history } = this.#stage
    const life = this.#life
    const content = this.#pending.some(({ kind }) => kind !== 'delete') || this.#signingIn
    const right = life
      ? !this.#signingIn &&
        (history.mayHaveEnded(life) ||
          history.mayHaveLost(life, this.#rotated) ||
          (this.#base === undefined && life.logins.length > 0) ||
          life.logins.some((login) => this.#mayHaveCome(login)))
      : !content
    // Whatever others did, no sign-in is dropped.
    const excuse = life && !this.#signingIn ? { ended: life.publicId, moved: life.publicId } : {}
    if (this.#pending.length > 0 || this.#signingIn)
      history.check('I8', right, () => `what ${this.#name} changed was dropped`, excuse)
    this.#gone = life !== undefined
    this.#abandon()
  }

  /** Whether somebody else may have signed in, or proved again who they are, since this request found its session. */
  #mayHaveCome(login: Login): boolean {
    return (
      login !== this.#login && login.started !== undefined && (login.acknowledged ?? Infinity) > this.#found
    )
  }

  #failed(error: unknown): void {
    const { history, timing } = this.#stage
    const { code } = error as { code?: string }
    for (const { tried } of this.#pending) for (const entry of tried.values()) entry.over = timing.now
    const life = this.#life
    if (code === 'ERR_SESSION_REVOKED') {
      const user = this.#login?.user
      const revoked = history.revocations.some((revocation) => revocation.user === user)
      const refused = () => `${this.#name} was refused, and nobody revoked`
      history.check('I11', revoked, refused, user === undefined ? {} : { revoked: user })
      if (life) life.endStarts++
      this.#abandon()
      this.#life = this.#base = this.#storedUser = this.#login = this.#storedLogin = undefined
      this.#signingIn = this.#rotating = this.#claiming = this.#gone = false
    } else if (code === 'ERR_SESSION_GONE') {
      this.#notStored()
    } else if (!code?.startsWith('ERR_SESSION_STORE') && code !== 'ERR_SESSION_CONFLICT') throw error
  }

  #abandon(): void {
    this.#pending = []
  }

  /** Whether the request has been answered. */
  get isOver(): boolean {
    return this.#over
  }
}

/** What a request sees of its session as it begins. */
export function viewOf(work: UnitOfWork): View | undefined {
  if (work.isNew || !work.session) return undefined
  return { publicId: work.publicId, userId: work.userId, data: { ...bag(work) } }
}
