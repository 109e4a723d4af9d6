import type { Session, Sessions, UnitOfWork } from 'coatcheck'
import type { Hub, Site } from 'coatcheck/handoff'
import { bag } from '../../core/works.ts'
import { keepCookies, loaded, locationOf, pageRequest } from '../../handoff/without-http.ts'
import type { Timing } from '../acts.ts'
import type { Canary, Child, Code, History, Login, Ticket, View } from './history.ts'
import type { Arrival, HubAct, SiteAct, SiteName } from './program.ts'

/** One process of the hub. */
export interface HubProcess {
  /** Its number in the schedule. */
  readonly app: number
  readonly sessions: Sessions
  readonly role: Hub
}

/** One process of a site. */
export interface SiteProcess {
  readonly app: number
  readonly sessions: Sessions
  readonly role: Site
}

/** Tokens that one browser was given, the newest last; `null` where it was told to forget. */
export type Jar = (Ticket | null)[]

/** A browser at one site. */
export interface AtSite {
  readonly jar: Jar
  /** Those of the hand-off. */
  readonly cookies: Map<string, string>
}

export interface Browser {
  readonly hub: Jar
  readonly sites: Readonly<Record<SiteName, AtSite>>
}

export const origins = {
  hub: 'https://hub.test',
  shop: 'https://shop.test',
  blog: 'https://blog.test',
} as const

/** What a handler has done. `acknowledged` is called once the commit has succeeded. */
interface Handled {
  readonly response?: Response
  readonly acknowledged?: () => void
}

interface Request<Process> {
  readonly name: string
  readonly on: Process
  readonly browser: number
  readonly ticket: Ticket | undefined
}

export interface ActsOptions {
  /** Whether the hub's users are in the data (`userOf`). */
  readonly byData: boolean
  readonly hubs: readonly HubProcess[]
  readonly sites: Readonly<Record<SiteName, readonly SiteProcess[]>>
  readonly browsers: readonly Browser[]
}

/** What browsers and operators do at the hub and at sites. It tells the history what they are told. */
export class Acts {
  readonly #history: History
  readonly #timing: Timing
  readonly #options: ActsOptions

  constructor(history: History, timing: Timing, options: ActsOptions) {
    this.#history = history
    this.#timing = timing
    this.#options = options
  }

  async arrive(arrival: Arrival, name: string): Promise<void> {
    const { act, process, site } = arrival
    switch (act) {
      case 'handOff':
      case 'handOffTwice':
        return this.#handOff(arrival, name)
      case 'change':
      case 'stepUpAtSite':
      case 'rotateAtSite':
      case 'signOutAtSite':
      case 'signOutEverywhere':
        return this.#atSite(arrival, name, this.#options.sites[site][process]!, act)
      default:
        return this.#atHub(arrival, name, act)
    }
  }

  // At the hub

  async #atHub({ browser, user, age, process }: Arrival, name: string, act: HubAct): Promise<void> {
    const on = this.#options.hubs[process]!
    await this.#arrives(on, name)
    const ticket = newest(this.#options.browsers[browser]!.hub, age)
    if (act === 'revoke' || act === 'revokeAll') {
      await this.#tried(name, () => (act === 'revoke' ? this.#revoke(on, ticket) : this.#revokeAll(on, user)))
      return
    }
    await this.#hubRequest({ name, on, browser, ticket }, async (work, login) => {
      switch (act) {
        case 'signIn':
          return this.#signIn(work, login, { name, browser, user })
        case 'stepUp':
          // It may begin a session of its own.
          if (login) this.#history.signingIn(login.user)
          if (login) await bag(work).signIn(login.user)
          return {}
        case 'rotate':
          await bag(work).rotate()
          return {}
        case 'signOut':
          return this.#signOut(work, login)
        case 'revokeOthers':
          if (login) await this.#revokeOthers(on, work, login)
          return {}
      }
    })
  }

  async #hubRequest(
    request: Request<HubProcess>,
    handle: (work: UnitOfWork, login: Login | undefined, found: number) => Promise<Handled>,
  ): Promise<Handled | undefined> {
    const history = this.#history
    const { ticket, browser } = request
    let found = 0
    return this.#request(
      request,
      (view, started) => {
        found = this.#timing.now
        if (ticket) history.seenAtHub(ticket, view, started)
      },
      (work) => handle(work, history.login(viewOf(work), found), found),
      (work, token) => {
        const login = history.login(viewOf(work), found)
        const issued = token === null ? null : { token, browser, login, rotations: 0 }
        this.#options.browsers[browser]!.hub.push(issued)
      },
    )
  }

  async #signIn(
    work: UnitOfWork,
    before: Login | undefined,
    { name, browser, user }: { readonly name: string; readonly browser: number; readonly user: string },
  ): Promise<Handled> {
    const session = bag(work)
    const label: Canary = { browser, as: user }
    const ends = before !== undefined && before.user !== user && !work.isFormer
    if (ends) before.row.endStarts++
    this.#history.signingIn(user)
    if (!this.#options.byData) {
      await session.signIn(user, { keep: true })
      if (ends) before.ended ??= this.#timing.now
      Object.assign(session, { label, hidden: label })
      return {}
    }
    if (before?.user === user) return {}
    const { publicId } = work
    Object.assign(session, { user, login: name, label, hidden: label })
    return {
      acknowledged: () => {
        if (ends && work.publicId === publicId) before.ended ??= this.#timing.now
      },
    }
  }

  async #signOut(work: UnitOfWork, before: Login | undefined): Promise<Handled> {
    const session = bag(work)
    if (before) before.row.endStarts++
    if (!this.#options.byData) {
      await session.signOut()
      if (before) before.ended ??= this.#timing.now
      return {}
    }
    for (const name of ['user', 'login', 'label', 'hidden']) delete session[name]
    return {
      acknowledged: () => {
        if (before && !work.isNew && work.userId === undefined) before.ended ??= this.#timing.now
      },
    }
  }

  async #revoke({ sessions }: HubProcess, ticket: Ticket | undefined): Promise<void> {
    const login = ticket?.login
    if (!login) return
    const { row, user } = login
    row.endStarts++
    if (await sessions.user(user).revoke(row.publicId)) this.#endRow(login)
  }

  #endRow({ row, user }: Login): void {
    for (const login of this.#history.loginsOn(row)) if (login.user === user) login.ended ??= this.#timing.now
  }

  async #revokeAll({ sessions }: HubProcess, user: string): Promise<void> {
    const revocation = this.#history.revoking(user, this.#timing.now)
    await sessions.user(user).revokeAll()
    revocation.acknowledged = this.#timing.now
  }

  async #revokeOthers({ sessions }: HubProcess, work: UnitOfWork, { user }: Login): Promise<void> {
    const session = bag(work)
    const except = work.isFormer ? undefined : session.publicId
    const revocation = this.#history.revoking(user, this.#timing.now, except)
    await sessions.user(user).revokeAll({ except: session })
    revocation.acknowledged = this.#timing.now
  }

  // At a site

  /** From a site to the hub and back, as a browser follows redirects. */
  async #handOff({ act, browser, site, process, age }: Arrival, name: string): Promise<void> {
    const at = this.#options.browsers[browser]!.sites[site]
    const [first, second] = [process, 1 - process].map((number) => this.#options.sites[site][number]!)
    await this.#arrives(first!, `${name} begins`)
    const begun = await this.#siteRequest(
      { name: `${name} begins`, on: first!, browser, ticket: newest(at.jar, age) },
      site,
      async (work) => {
        const request = pageRequest(`${origins[site]}/members`, at)
        return { response: first!.role.begin(request, work.session!, { returnTo: '/members' }) }
      },
    )
    if (!begun?.response) return
    keepCookies(at.cookies, begun.response)
    const authorized = await this.#authorize(name, { browser, process }, locationOf(begun.response))
    if (!authorized) return
    const callback = { url: authorized, cookies: new Map(at.cookies) }
    const ticket = newest(at.jar, 0)
    const on = act === 'handOff' ? [first!] : [first!, second!]
    await Promise.all(on.map((each) => this.#callback(name, { browser, site, on: each }, callback, ticket)))
    await this.#arrives(first!, `${name} follows`)
    await this.#siteRequest(
      { name: `${name} follows`, on: first!, browser, ticket: newest(at.jar, 0) },
      site,
      noAct,
    )
  }

  /** @returns the address at the site that the hub sends the browser to, if that has a code */
  async #authorize(
    name: string,
    { browser, process }: Pick<Arrival, 'browser' | 'process'>,
    url: string,
  ): Promise<string | undefined> {
    const on = this.#options.hubs[process]!
    await this.#arrives(on, `${name} asks the hub`)
    const ticket = newest(this.#options.browsers[browser]!.hub, 0)
    let code: Code | undefined
    const handled = await this.#hubRequest(
      { name: `${name} asks the hub`, on, browser, ticket },
      async (work, login, began) => {
        if (login) code = { login, began, children: new Set() }
        return { response: (await on.role.respond(pageRequest(url), work.session!))! }
      },
    )
    const location = handled?.response && locationOf(handled.response)
    const issued = location === undefined ? null : new URL(location, origins.hub).searchParams.get('code')
    if (issued === null || !code) return undefined
    this.#history.codes.set(issued, code)
    return location
  }

  async #callback(
    name: string,
    { browser, site, on }: { readonly browser: number; readonly site: SiteName; readonly on: SiteProcess },
    { url, cookies }: { readonly url: string; readonly cookies: ReadonlyMap<string, string> },
    ticket: Ticket | undefined,
  ): Promise<void> {
    await this.#arrives(on, `${name} comes back`)
    const code = this.#history.codes.get(new URL(url).searchParams.get('code')!)!
    const handled = await this.#siteRequest(
      { name: `${name} comes back`, on, browser, ticket },
      site,
      async (work) => {
        const before = this.#childOf(work, { browser, ticket })
        const { publicId } = work
        // A child of the same root stays, and gets another token.
        if (before?.login === code.login) before.rotations++
        else if (before) before.endStarts++
        const response = (await on.role.respond(pageRequest(url, { cookies }), work.session!))!
        if (before && work.root && work.publicId !== publicId) before.ended ??= this.#timing.now
        return { response }
      },
      code,
    )
    if (handled?.response) keepCookies(this.#options.browsers[browser]!.sites[site].cookies, handled.response)
  }

  async #atSite(
    { browser, site, age }: Arrival,
    name: string,
    on: SiteProcess,
    act: Exclude<SiteAct, 'handOff' | 'handOffTwice'>,
  ): Promise<void> {
    await this.#arrives(on, name)
    const ticket = newest(this.#options.browsers[browser]!.sites[site].jar, age)
    await this.#siteRequest({ name, on, browser, ticket }, site, async (work) => {
      const child = this.#childOf(work, { browser, ticket })
      if (!child) return act === 'change' ? this.#changeAsVisitor(work, browser) : {}
      switch (act) {
        case 'change':
          return this.#change(work, child, name)
        case 'stepUpAtSite':
          child.rotations++
          await bag(work).signIn(child.login.user)
          return {}
        case 'rotateAtSite':
          child.rotations++
          await bag(work).rotate()
          return {}
        default:
          return this.#signOutAtSite(work, child, { on, site, isEverywhere: act === 'signOutEverywhere' })
      }
    })
  }

  #changeAsVisitor(work: UnitOfWork, browser: number): Handled {
    const canary: Canary = { browser, as: undefined }
    bag(work).basket = canary
    return {}
  }

  #change(work: UnitOfWork, child: Child, name: string): Handled {
    const canary: Canary = { browser: child.browser, as: child.login.user }
    bag(work)[`own${name}`] = canary
    return {
      acknowledged: () => {
        if (work.publicId === child.publicId && work.userId !== undefined)
          child.changes.set(`own${name}`, this.#timing.now)
      },
    }
  }

  async #signOutAtSite(
    work: UnitOfWork,
    child: Child,
    { on, site, isEverywhere }: { on: SiteProcess; site: SiteName; isEverywhere: boolean },
  ): Promise<Handled> {
    const { login } = child
    child.endStarts++
    if (isEverywhere) login.row.endStarts++
    const url = `${origins[site]}/handoff/sign-out?returnTo=/${isEverywhere ? '&everywhere' : ''}`
    const response = (await on.role.respond(pageRequest(url, { method: 'POST' }), work.session!))!
    child.ended ??= this.#timing.now
    if (isEverywhere) login.ended ??= this.#timing.now
    return { response }
  }

  /** The child that a request at a site has in hand. */
  #childOf(
    work: UnitOfWork,
    { browser, ticket }: Pick<Request<unknown>, 'browser' | 'ticket'>,
    code?: Code,
    found = 0,
  ): Child | undefined {
    const { root, publicId } = work
    if (!root) return undefined
    // A step-up may have begun another one, in place of the one that was found.
    const login = code?.login ?? ticket?.child?.login
    if (!login) throw new Error(`${publicId} is a child, and nobody knows whence`)
    return this.#history.child(publicId, () => ({ login, browser, began: code?.began ?? found }))
  }

  async #siteRequest(
    request: Request<SiteProcess>,
    site: SiteName,
    handle: (work: UnitOfWork) => Promise<Handled>,
    code?: Code,
  ): Promise<Handled | undefined> {
    const history = this.#history
    const { ticket, browser } = request
    let found = 0
    return this.#request(
      request,
      (view, started) => {
        found = this.#timing.now
        if (ticket) history.seenAtSite(ticket, view, started)
      },
      handle,
      (work, token) => {
        const { jar } = this.#options.browsers[browser]!.sites[site]
        if (token === null) return void jar.push(null)
        const isKnown = ticket?.child?.publicId === work.publicId
        const child = isKnown ? ticket.child : this.#childOf(work, { browser, ticket }, code, found)
        if (code && child && !isKnown) code.children.add(child.publicId)
        if (code) history.check('H3', code.children.size <= 1, () => `it gave ${[...code.children].join()}`)
        if (isKnown) child!.told++
        const isAlone = child?.told === child?.rotations
        jar.push({ token, browser, child, rotations: isAlone ? child?.rotations : undefined })
      },
    )
  }

  // Both

  #arrives({ app }: HubProcess | SiteProcess, name: string): Promise<unknown> {
    return this.#timing.turn(app, `${name} arrives`)
  }

  /** One request, from its session's load to the answer; `undefined` if it failed. */
  async #request(
    { name, on, ticket }: Request<HubProcess | SiteProcess>,
    seen: (view: View | undefined, started: number) => void,
    handle: (work: UnitOfWork) => Promise<Handled>,
    issued: (work: UnitOfWork, token: string | null) => void,
  ): Promise<Handled | undefined> {
    const timing = this.#timing
    const started = timing.now
    const work = await this.#tried(name, () => loaded(on.sessions, { token: ticket?.token }))
    if (!work) return undefined
    seen(viewOf(work), started)
    let handled = await this.#tried(name, () => handle(work))
    // What throws ends the handler, and the app answers with its error page, which commits too.
    for (let page = 1; page <= 2; page++) {
      await timing.turn(on.app, `${name} answers`)
      const isStored = await this.#tried(name, async () => (await work.commit(), true))
      if (isStored) {
        handled?.acknowledged?.()
        const { outcome } = work
        if (outcome.action !== 'keep') issued(work, outcome.action === 'issue' ? outcome.token : null)
        return handled
      }
      handled = undefined
    }
    return undefined
  }

  async #tried<Answer>(name: string, act: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await act()
    } catch (error) {
      const { code } = error as { code?: string }
      const isNamed = code !== undefined && names.some((known) => code.startsWith(known))
      this.#history.check('H8', isNamed, () => `${name} failed with ${String((error as Error).stack)}`)
      this.#timing.log.push(`${name} gets ${code}: ${(error as Error).message}`)
      return undefined
    }
  }
}

/** What an app answers with an error page, because the library says so. */
const names = [
  'ERR_SESSION_STORE',
  'ERR_SESSION_ROTATED',
  'ERR_SESSION_REVOKED',
  'ERR_SESSION_CONFLICT',
  'ERR_SESSION_HANDOFF_FAILED',
]

async function noAct(): Promise<Handled> {
  return {}
}

function newest(jar: Jar, age: number): Ticket | undefined {
  return jar[Math.max(0, jar.length - 1 - age)] ?? undefined
}

/** What a request sees of its session. */
export function viewOf(work: UnitOfWork): View | undefined {
  const { session, root } = work
  if (work.isNew || !session) return undefined
  const data = { ...(session as Session & Record<string, unknown>) }
  return {
    publicId: work.publicId,
    userId: work.userId,
    data,
    root: root && { ...root, data: { ...root.data } },
  }
}
