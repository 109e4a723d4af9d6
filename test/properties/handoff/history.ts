/** What must hold of a hub and its sites, whatever happens in whichever order. */
export const invariants = {
  H1: 'a session of a site is not found once its root has ended, or is of another sign-in',
  H2: 'what was ended stays ended',
  H3: 'a code gives one session at most',
  H4: 'nobody sees what is not theirs',
  H5: 'a revocation reaches what began before it',
  H6: 'a change that was acknowledged is there',
  H7: 'what nobody ended works',
  H8: 'errors have names',
  H9: 'lists and limits count roots, with their sites beneath',
  H10: 'every browser can begin again, and is signed in everywhere then',
} as const

export type Invariant = keyof typeof invariants

/** The row of a root. With `userOf`, several sign-ins may come one after the other on it. */
export interface Row {
  readonly publicId: string
  /** How often somebody began to end what is on it. */
  endStarts: number
}

/** A sign-in at the hub, until a sign-out or another user's sign-in. */
export interface Login {
  readonly key: string
  readonly user: string
  readonly row: Row
  /** When its request had found its session, or that there is none. */
  readonly began: number
  /** When its end was acknowledged. */
  ended: number | undefined
}

/** A code, and the children that browsers were given for it. */
export interface Code {
  readonly login: Login
  /** When the hub's request had found its session. */
  readonly began: number
  readonly children: Set<string>
}

/** A session of a site. */
export interface Child {
  readonly publicId: string
  readonly login: Login
  readonly browser: number
  /** When the request that it comes from had found its session. */
  readonly began: number
  endStarts: number
  ended: number | undefined
  /** How often somebody began to give it another token, and how often a browser was told one. */
  rotations: number
  told: number
  /** The names of changes, and when they were acknowledged. */
  readonly changes: Map<string, number>
}

export interface Revocation {
  readonly user: string
  readonly started: number
  /** The publicId of the root that it spares. */
  except: string | undefined
  acknowledged: number | undefined
}

/** A token that a browser was given, and where it leads. */
export interface Ticket {
  readonly token: string
  readonly browser: number
  readonly login?: Login | undefined
  readonly child?: Child | undefined
  /** The child's `rotations` at that time; `undefined` if another rotation was under way. */
  readonly rotations: number | undefined
}

/** What a request found. */
export interface View {
  readonly publicId: string
  readonly userId: string | undefined
  readonly data: Readonly<Record<string, unknown>>
  readonly root:
    | { readonly publicId: string; readonly userId: string; readonly data: Readonly<Record<string, unknown>> }
    | undefined
}

/** What stored values tell: at which browser they were stored, and as which user. */
export interface Canary {
  readonly browser: number
  readonly as: string | undefined
}

export interface HistoryOptions {
  /** Whether the hub's users are in the data of its sessions (`userOf`). Then a row may lose its user and get one again. */
  readonly byData: boolean
  /** How many sessions a user may have. */
  readonly most: number
}

/** Keeps what apps were told, and judges by it what they see. It knows nothing of how sessions are kept. */
export class History {
  readonly checks: Record<string, number> = {}
  readonly violations: string[] = []
  readonly revocations: Revocation[] = []
  readonly codes = new Map<string, Code>()
  readonly #options: HistoryOptions
  readonly #rows = new Map<string, Row>()
  readonly #logins = new Map<string, Login>()
  /** How often each user began to sign in at the hub. */
  readonly #signIns = new Map<string, number>()
  readonly #children = new Map<string, Child>()

  constructor(options: HistoryOptions) {
    this.#options = options
  }

  check(invariant: Invariant, holds: boolean, otherwise: () => string): void {
    this.checks[invariant] = (this.checks[invariant] ?? 0) + 1
    if (!holds) this.violations.push(`${invariant} (${invariants[invariant]}): ${otherwise()}`)
  }

  /** What tells one sign-in from another. */
  keyOf({ publicId, data }: Pick<View, 'publicId' | 'data'>): string {
    return this.#options.byData ? `${publicId} ${String(data['login'])}` : publicId
  }

  /** The sign-in that a request at the hub found, or has made; one that nobody knows yet began at `began`. */
  login(view: View | undefined, began: number): Login | undefined {
    if (view?.userId === undefined) return undefined
    const key = this.keyOf(view)
    let login = this.#logins.get(key)
    if (!login) {
      const { publicId, userId: user } = view
      const row = this.#rows.get(publicId) ?? { publicId, endStarts: 0 }
      this.#rows.set(publicId, row)
      login = { key, user, row, began, ended: undefined }
      this.#logins.set(key, login)
    }
    return login
  }

  /** All sign-ins on a row. */
  loginsOn({ publicId }: Row): Login[] {
    return [...this.#logins.values()].filter(({ row }) => row.publicId === publicId)
  }

  /** The child that a request at a site found, or has made. */
  child(publicId: string, made: () => Pick<Child, 'login' | 'browser' | 'began'>): Child {
    let child = this.#children.get(publicId)
    if (!child) {
      const none = {
        endStarts: 0,
        ended: undefined,
        rotations: 0,
        told: 0,
        changes: new Map<string, number>(),
      }
      this.#children.set(publicId, (child = { publicId, ...made(), ...none }))
    }
    return child
  }

  get children(): Iterable<Child> {
    return this.#children.values()
  }

  /** Somebody signs in, which may be one session more. */
  signingIn(user: string): void {
    this.#signIns.set(user, (this.#signIns.get(user) ?? 0) + 1)
  }

  revoking(user: string, started: number, except?: string): Revocation {
    const revocation: Revocation = { user, started, except, acknowledged: undefined }
    this.revocations.push(revocation)
    return revocation
  }

  /** Whether it would be right if this child were not there any more. */
  mayHaveEnded({ endStarts, login }: Child): boolean {
    const isRevoked = this.revocations.some(({ user }) => user === login.user)
    const isOneTooMany = (this.#signIns.get(login.user) ?? 0) > this.#options.most
    return isOneTooMany || endStarts > 0 || login.row.endStarts > 0 || isRevoked
  }

  /** A request at the hub that began at `started` found `view` by this ticket. */
  seenAtHub({ login, browser }: Ticket, view: View | undefined, started: number): void {
    if (view) this.#checkCanaries(view, browser)
    if (!login) return
    const isFound = view?.userId !== undefined && this.keyOf(view) === login.key
    if (isBefore(login.ended, started))
      this.check('H2', !isFound, () => `login ${login.key}, which was ended, is there`)
    for (const { user, except, ...revocation } of this.revocations) {
      if (user !== login.user || except === login.row.publicId) continue
      if (login.began < revocation.started && isBefore(revocation.acknowledged, started))
        this.check('H5', !isFound, () => `login ${login.key} is there after ${user} was revoked`)
    }
    if (view?.userId !== undefined) {
      const who = () => `a token of ${login.key} of ${login.user} leads to ${view.publicId} of ${view.userId}`
      this.check('H4', isFound && view.userId === login.user, who)
    }
  }

  /** The same, at a site. */
  seenAtSite(ticket: Ticket, view: View | undefined, started: number): void {
    const { child, browser } = ticket
    if (view) this.#checkCanaries(view, browser)
    if (!child) {
      this.check('H4', view?.userId === undefined, () => `a visitor's token leads to ${view?.userId}`)
      return
    }
    const { login, publicId } = child
    const isFound = view?.userId !== undefined
    if (isBefore(login.ended, started))
      this.check('H1', !isFound, () => `child ${publicId} is there after login ${login.key} has ended`)
    if (isBefore(child.ended, started))
      this.check('H2', !isFound, () => `child ${publicId}, which was ended, is there`)
    for (const { user, ...revocation } of this.revocations) {
      if (user !== login.user || child.began >= revocation.started) continue
      if (isBefore(revocation.acknowledged, started))
        this.check('H5', !isFound, () => `child ${publicId} is there after ${user} was revoked`)
    }
    const isCurrent = ticket.rotations === child.rotations
    if (!isFound) {
      if (isCurrent)
        this.check('H7', this.mayHaveEnded(child), () => `child ${publicId}, which nobody ended, is away`)
      return
    }
    this.#checkChild(child, view)
    if (!isCurrent) return
    for (const [name, acknowledged] of child.changes)
      if (acknowledged < started)
        this.check('H6', name in view.data, () => `${name} is lost from ${publicId}`)
  }

  #checkChild({ publicId, login }: Child, view: View): void {
    const { root } = view
    const who = () => `child ${publicId} of ${login.user} leads to ${view.publicId} of ${view.userId}`
    this.check('H4', view.publicId === publicId && view.userId === login.user, who)
    const isOfLogin = root !== undefined && this.keyOf(root) === login.key && root.userId === login.user
    this.check('H1', isOfLogin, () => `child ${publicId} of login ${login.key} is there in another one`)
    const told = Object.keys(root?.data ?? {}).filter((name) => name !== 'login' && name !== 'label')
    this.check('H4', told.length === 0, () => `the hub tells ${told.join()}`)
  }

  #checkCanaries({ publicId, userId, data, root }: View, browser: number): void {
    for (const canary of [...Object.values(data), ...Object.values(root?.data ?? {})]) {
      if (typeof canary !== 'object' || canary === null) continue
      // Sessions merge by leaves: where a sign-in begins anew, it has of an object only the leaves that it has changed.
      const left = canary as Partial<Canary>
      const isOwn =
        [undefined, browser].includes(left.browser) && (left.as === undefined || left.as === userId)
      const held = () => `${publicId} of ${userId} holds what ${left.as} left at browser ${left.browser}`
      this.check('H4', isOwn, held)
    }
  }
}

function isBefore(moment: number | undefined, started: number): boolean {
  return moment !== undefined && moment < started
}
