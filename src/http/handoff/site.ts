import { readCode } from '../../core/handoff/code.js'
import { challengeOf, redeemCode, voidStray } from '../../core/handoff/redeem.js'
import { optionError, refuseUnknownOptions, SessionError, tokenReplaced } from '../../core/errors.js'
import { type Duration, milliseconds } from '../../core/lifetime.js'
import { isReservedName, type RequestSession } from '../../core/session/session.js'
import type { UnitOfWork } from '../../core/session/unit-of-work.js'
import type { SessionId } from '../../core/store/record.js'
import { isNavigation, methodNotAllowed, redirectTo, single, withParameters } from './answers.js'
import { type Flow, FlowCookies, newFlow } from './flow-cookies.js'
import { failed, keepsNoCookies, notEverywhere, notProved, refusedCode } from './site-errors.js'
import {
  assertKeepsChildren,
  checkedAddress,
  checkedOrigin,
  checkedPath,
  type HandoffSessions,
  workOf,
} from './sessions.js'

/** The options of `createSite`. */
export interface SiteOptions {
  /** The origin of the hub: its `issuer`, such as `'https://accounts.example.com'`. */
  readonly hub: string
  /**
   * The address of this site that the hub sends codes to, such as `'https://blog.test/handoff/callback'`, without a
   * query. The hub has to list it. The other addresses of the hand-off are beside it: `/handoff/sign-in` and
   * `/handoff/sign-out`. Open the site at this origin only: the cookie of a sign-in is for its host.
   */
  readonly redirectUri: string
  /**
   * The names of the visitor's data that stays in the session when the hub signs them in. Name only what does no harm if
   * an attacker has written it, such as a cart.
   * @default []
   */
  readonly keep?: readonly string[] | undefined
  /**
   * The path of the hub's end point.
   * @default '/authorize'
   */
  readonly authorizePath?: string | undefined
}

/** How to sign in. */
export interface BeginOptions {
  /**
   * Where the browser goes on afterwards: a path of this site, or an address that `sites` trusts. Anything else, and what
   * has over 1,500 characters, becomes `'/'`.
   * @default '/'
   */
  readonly returnTo?: string | undefined
  /**
   * `'none'`: the hub shows no page. If nobody is signed in there, the browser comes back as it went. `'login'`: the user
   * proves again who they are (OpenID Connect Core, section 3.1.2.1). Left out: the hub decides.
   */
  readonly prompt?: 'none' | 'login' | undefined
  /**
   * How long ago the user may have signed in at the hub (`max_age`, OpenID Connect Core, section 3.1.2.1): a text such as
   * `'10m'`, or milliseconds, which are sent as whole seconds; at least 10 seconds. Left out: any time.
   */
  readonly within?: Duration | undefined
}

const optionNames = ['hub', 'redirectUri', 'keep', 'authorizePath'] as const

/** The site's side of the hand-off. Made by `createSite`. */
export class HandoffSite {
  readonly #sessions: HandoffSessions
  readonly #options: SiteOptions
  readonly #cookies: FlowCookies
  readonly #clientId: string
  readonly #paths: Readonly<Record<'callback' | 'signIn' | 'signOut', string>>

  /** @internal @throws ERR_SESSION_OPTION */
  constructor(sessions: HandoffSessions, options: SiteOptions) {
    refuseUnknownOptions('createSite', options, optionNames)
    assertKeepsChildren('createSite', sessions)
    const { clientId, flowSigner } = sessions
    if (clientId === undefined || !flowSigner) {
      throw optionError(
        "createSite was given sessions without a clientId. Write createSessions({ store, secret, clientId: 'blog' }), with the name that the hub lists this site by.",
      )
    }
    checkedOrigin('createSite: hub', options.hub)
    if (options.authorizePath !== undefined) checkedPath('createSite: authorizePath', options.authorizePath)
    const callback = new URL(checkedAddress('createSite: redirectUri', options.redirectUri))
    const { keep = [] } = options as { readonly keep?: unknown }
    if (!Array.isArray(keep) || !keep.every((name) => typeof name === 'string'))
      throw optionError("createSite: keep must be a list of names, such as ['cart'].")
    const reserved = keep.find((name) => isReservedName(name as string)) as string | undefined
    if (reserved !== undefined)
      throw optionError(
        `createSite: keep names ${reserved}, which is part of every session. Name your data only.`,
      )
    if (callback.search !== '') throw optionError('createSite: redirectUri has a query. Leave it out.')
    const beside = (name: string): string => new URL(name, callback).pathname
    this.#paths = { callback: callback.pathname, signIn: beside('sign-in'), signOut: beside('sign-out') }
    if (callback.pathname === this.#paths.signIn || callback.pathname === this.#paths.signOut)
      throw optionError(
        "createSite: redirectUri must not end in /sign-in or /sign-out, which this site's hand-off has too.",
      )
    this.#clientId = clientId
    this.#sessions = sessions
    this.#options = { ...options, keep: [...(keep as string[])] }
    this.#cookies = new FlowCookies(flowSigner, callback.protocol === 'https:')
  }

  /** Whether the hand-off answers this path. */
  handles(path: string): boolean {
    const { callback, signIn, signOut } = this.#paths
    return path === callback || path === signIn || path === signOut
  }

  /**
   * Answers the addresses of the hand-off; `undefined` if the path is another. The session must be saved before the
   * answer is sent, as `session(sessions)` does, which also refuses forged requests.
   *
   * - `GET /handoff/sign-in?returnTo=/members` sends the browser to the hub.
   * - `GET /handoff/callback` is where it comes back.
   * - `POST /handoff/sign-out?returnTo=/` ends the session of this site; with `everywhere` in the query, the hub's, and
   *   those of all sites.
   *
   * @param request its path and query count, and its Cookie header
   * @param session the request's session
   * @example
   * const answer = await site.respond(request, session)
   * if (answer) return answer
   * @throws (rejects) `ERR_SESSION_HANDOFF_FAILED` (400) if the sign-in cannot be completed: begin again.
   * @throws (rejects) `ERR_SESSION_HANDOFF_REFUSED` (403) if the hub, or the user, refuses it.
   * @throws (rejects) `ERR_SESSION_ROTATED` (409) if the request came with an old token: send it again.
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503).
   */
  async respond(request: Request, session: RequestSession): Promise<Response | undefined> {
    const { pathname, searchParams } = new URL(request.url)
    const { callback, signOut } = this.#paths
    if (!this.handles(pathname)) return undefined
    if (pathname === signOut) {
      return request.method === 'POST' ? this.#signOut(session, searchParams) : methodNotAllowed('POST')
    }
    if (request.method !== 'GET') return methodNotAllowed('GET')
    const work = workOf('The site', this.#sessions, session)
    if (pathname === callback) return this.#callback(request, work, searchParams)
    const returnTo = this.#returnTo(single(searchParams, 'returnTo'))
    // Nothing to do, as after a click on an old link.
    return session.userId === undefined ? this.begin(request, session, { returnTo }) : redirectTo(returnTo)
  }

  /**
   * Sends the browser to the hub to sign in.
   *
   * @param request the request that is answered with it
   * @param session the request's session
   * @throws ERR_SESSION_OPTION for a malformed option
   * @example
   * // A step-up: the user has to have signed in within the last five minutes
   * return site.begin(request, session, { returnTo: '/transfer', within: '5m' })
   */
  begin(request: Request, session: RequestSession, options: BeginOptions = {}): Response {
    refuseUnknownOptions('begin', options, ['returnTo', 'prompt', 'within'])
    const { prompt, within } = options
    if (prompt !== undefined && prompt !== 'none' && prompt !== 'login')
      throw optionError("begin: prompt must be 'none' or 'login'.")
    const maxAge = within === undefined ? undefined : Math.floor(lengthOf('begin: within', within) / 1_000)
    const flow = newFlow({
      returnTo: this.#returnTo(options.returnTo),
      from: session.userId === undefined ? undefined : session.publicId,
      askedAt: workOf('The site', this.#sessions, session).readAt,
      isSilent: prompt === 'none',
      isAgain: session.userId === undefined && this.#cookies.mark(cookiesOf(request)) === 'done',
      // A proof that is asked for must be newer than the request.
      maxAge: prompt === 'login' ? 0 : maxAge,
    })
    const { hub, redirectUri, authorizePath = '/authorize' } = this.#options
    const address = withParameters(`${hub}${authorizePath}`, {
      response_type: 'code',
      client_id: this.#clientId,
      redirect_uri: redirectUri,
      state: flow.state,
      nonce: flow.nonce,
      code_challenge: challengeOf(flow.verifier),
      code_challenge_method: 'S256',
      prompt,
      max_age: maxAge?.toString(),
    })
    return redirectTo(address, this.#cookies.begin(flow, cookiesOf(request)))
  }

  /**
   * Sends a browser without a user to the hub, and lets all other requests go on: then it returns `undefined`.
   *
   * @param options.within how long ago the user may have signed in, here or at the hub: a text such as `'10m'`, or
   *   milliseconds
   * @example
   * return site.requireUser(request, session, { within: '5m' }) ?? transferPage(session)
   * @throws `ERR_SESSION_SIGN_IN_NEEDED` (401) for a request that shows no page, such as a `fetch` or a `POST`
   * @throws `ERR_SESSION_HANDOFF_FAILED` (400) if the browser has just come back twice, and kept no cookie of the session
   */
  requireUser(
    request: Request,
    session: RequestSession,
    options: Pick<BeginOptions, 'within'> = {},
  ): Response | undefined {
    refuseUnknownOptions('requireUser', options, ['within'])
    const { within } = options
    const work = workOf('The site', this.#sessions, session)
    const { authenticatedAt, userId } = session
    const since = within === undefined ? 0 : (work.readAt ?? 0) - lengthOf('requireUser: within', within)
    if (userId !== undefined && (authenticatedAt?.getTime() ?? 0) >= since) return undefined
    // Where this is asked before the hand-off, the browser would never come back.
    if (this.handles(new URL(request.url).pathname)) return undefined
    if (!isNavigation(request)) {
      throw new SessionError(
        'ERR_SESSION_SIGN_IN_NEEDED',
        'Nobody is signed in, or the sign-in is too old for this. Send the browser to the page to sign in at.',
        { status: 401 },
      )
    }
    if (userId === undefined && this.#cookies.mark(cookiesOf(request)) === 'again') throw keepsNoCookies()
    return this.begin(request, session, { returnTo: pathOf(request), within })
  }

  /**
   * Asks the hub whether somebody is signed in, without a page: sends the browser there and back. It asks once in ten
   * minutes, and not after a sign-out. It lets all other requests go on, and returns `undefined`.
   *
   * It asks for browsers that load a whole page, and say so (`Sec-Fetch-Dest: document`).
   * @example
   * return site.silent(request, session) ?? startPage(session)
   */
  silent(request: Request, session: RequestSession): Response | undefined {
    if (session.userId !== undefined || !isNavigation(request) || request.method !== 'GET') return undefined
    // Only browsers that say so: programs keep no cookies, and would be asked each time.
    if (!request.headers.has('sec-fetch-dest')) return undefined
    if (this.handles(new URL(request.url).pathname)) return undefined
    if (this.#cookies.mark(cookiesOf(request)) !== undefined) return undefined
    const answer = this.begin(request, session, { returnTo: pathOf(request), prompt: 'none' })
    // Noted already now: where the hub is away, the browser does not come back, and a reload shows the page.
    answer.headers.append('Set-Cookie', this.#cookies.asked())
    return answer
  }

  async #callback(request: Request, work: UnitOfWork, parameters: URLSearchParams): Promise<Response> {
    const cookies = cookiesOf(request)
    const flow = this.#cookies.flow(cookies, single(parameters, 'state') ?? '')
    const code = single(parameters, 'code') ?? ''
    if (!flow) return this.#withoutFlow(work, code)
    // The answer of another hub (RFC 9207, section 2.4).
    if (single(parameters, 'iss') !== this.#options.hub) throw failed('Another hub has answered.')
    const error = single(parameters, 'error')
    if (error !== undefined) return this.#refused(flow, error)
    if (!isCode(code)) throw failed('The answer of the hub has no code.')
    if (work.isFormer) throw tokenReplaced()
    const { session, userId, root } = work
    if (userId !== undefined && work.publicId !== flow.from && !(await this.#isOf(code, userId)))
      throw failed('Another user has signed in here since it began.')
    const redeemed = await redeemCode(
      this.#sessions,
      code,
      {
        clientId: this.#clientId,
        redirectUri: this.#options.redirectUri,
        verifier: flow.verifier,
        nonce: flow.nonce,
      },
      {
        returnTo: flow.returnTo,
        data: userId === undefined && session ? this.#kept(session) : {},
        lifetime: work.form.lifetime(),
        current: root && { id: work.publicId as SessionId, rootId: root.publicId as SessionId },
      },
    )
    if (redeemed.is === 'repeated') return redirectTo(redeemed.returnTo, [this.#cookies.end(flow)])
    if (redeemed.is === 'refused') throw refusedCode(redeemed.why)
    const { authenticatedAt } = redeemed.facts
    if (redeemed.is === 'current') {
      if (!isFreshEnough(flow, authenticatedAt, work.readAt!)) throw notProved()
      await work.handOver(redeemed.facts)
    } else {
      const { record, token } = redeemed.found
      if (!isFreshEnough(flow, authenticatedAt, record.readAt)) {
        await this.#sessions.revoke(record.userId!, record.id, 'revoke')
        throw notProved()
      }
      if (!(await work.continueAs(token))) throw refusedCode('root has ended')
    }
    return redirectTo(flow.returnTo, this.#cookies.done(flow))
  }

  /**
   * After the flow was completed: a reload of the callback's address, or the form of the hub sent again by the back
   * button. The user of the code is signed in already, so nothing is done. Else it is somebody else's flow.
   */
  async #withoutFlow(work: UnitOfWork, code: string): Promise<Response> {
    const stored = isCode(code) ? await readCode(this.#sessions, code) : undefined
    if (stored) await voidStray(this.#sessions, code, stored, this.#clientId)
    const isTheirs = stored?.grant.clientId === this.#clientId && stored.grant.userId === work.userId
    if (isTheirs) {
      const { state } = stored
      return redirectTo(state.is === 'used' && state.childId === work.publicId ? state.returnTo : '/')
    }
    throw failed(
      'This browser has not begun it, or more than five minutes ago, or it keeps no cookies, or it is completed already.',
    )
  }

  #refused(flow: Flow, error: string | null): Response {
    // The visitor has asked for a page, and not to be signed in.
    if (flow.isSilent && typeof error === 'string' && silentAnswers.has(error))
      return redirectTo(flow.returnTo, [this.#cookies.end(flow), this.#cookies.asked()])
    const known = typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? error : 'an unknown error'
    throw new SessionError(
      'ERR_SESSION_HANDOFF_REFUSED',
      `The hub has not signed the user in here: ${known}.`,
      { status: 403 },
    )
  }

  async #isOf(code: string, userId: string): Promise<boolean> {
    return (await readCode(this.#sessions, code))?.grant.userId === userId
  }

  #kept(session: RequestSession): Record<string, unknown> {
    const data = session as unknown as Record<string, unknown>
    const names = (this.#options.keep ?? []).filter((name) => Object.hasOwn(data, name))
    return Object.fromEntries(names.map((name) => [name, data[name]]))
  }

  async #signOut(session: RequestSession, parameters: URLSearchParams): Promise<Response> {
    const work = workOf('The site', this.#sessions, session)
    const { root } = work
    const returnTo = this.#returnTo(single(parameters, 'returnTo'))
    const isEverywhere = parameters.has('everywhere')
    if (isEverywhere && work.isFormer) throw tokenReplaced()
    if (isEverywhere && root) await this.#sessions.revoke(root.userId, root.publicId, 'signOut')
    await session.signOut()
    // No page may say that the user is signed out everywhere: somebody else may use this device next.
    if (isEverywhere && !root) throw notEverywhere()
    return redirectTo(returnTo, [this.#cookies.signedOut()])
  }

  #returnTo(address: unknown): string {
    const safe = this.#sessions.sites.returnAddress(address)
    // A cookie has to hold it.
    return safe.length <= longestReturnAddress ? safe : '/'
  }
}

/** The errors by which a hub says that it has nobody for a site (OpenID Connect Core, section 3.1.2.6). */
const silentAnswers: ReadonlySet<string> = new Set([
  'access_denied',
  'consent_required',
  'interaction_required',
  'login_required',
])

/** Milliseconds. The store's clock is not always known when a flow begins, and this process has another. */
const clockSlack = 2_000
const longestReturnAddress = 1_500 // characters

/** Whether the user has signed in at the hub as lately as the flow asks for. Times are by the store's clock. */
function isFreshEnough(flow: Flow, authenticatedAt: number | undefined, readAt: number): boolean {
  const { maxAge, begunAt, askedAt = readAt - (Date.now() - begunAt) } = flow
  return maxAge === undefined || (authenticatedAt ?? 0) >= askedAt - maxAge * 1_000 - clockSlack
}

/**
 * How long ago a user may have signed in, in milliseconds.
 * @throws ERR_SESSION_OPTION for less than ten seconds: the way back from the hub could take longer, time and again
 */
export function lengthOf(name: string, within: Duration): number {
  const length = milliseconds(name, within)
  if (length >= 10_000) return length
  throw optionError(
    `${name} must be at least 10s, for the way back from the hub. For a new proof, give begin() prompt: 'login'.`,
  )
}

/** Whether a text may be a code: so many others need not be asked for. */
function isCode(text: string): boolean {
  return /^[\w-]{43}$/.test(text)
}

function cookiesOf(request: Request): string | undefined {
  return request.headers.get('cookie') ?? undefined
}

function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url)
  return pathname + search
}
