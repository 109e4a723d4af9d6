import { grantedRoot, issueCode } from '../../core/handoff/code.js'
import {
  isError,
  kindOf,
  optionError,
  refuseUnknownOptions,
  SessionError,
  tokenReplaced,
} from '../../core/errors.js'
import type { RequestSession } from '../../core/session/session.js'
import { isNavigation, methodNotAllowed, pathWith, redirectTo, single, withParameters } from './answers.js'
import { isClientId } from '../../core/handoff/client-id.js'
import { type AuthorizeRequest, nextAt, readAuthorizeRequest } from './authorize.js'
import {
  assertKeepsChildren,
  checkedAddress,
  checkedOrigin,
  checkedPath,
  type HandoffSessions,
  workOf,
} from './sessions.js'

/** A site that the hub signs users in at. */
export interface HandoffClient {
  /**
   * The addresses that a code may be sent to: the `redirectUri` of the site. They are compared as text, whole
   * (RFC 9700, section 4.1.3). `https:`, or `http:` on this machine.
   */
  readonly redirectUris: readonly string[]
  /**
   * The names in the data of the hub's sessions that the site may see, at `req.session.root.data`. A change counts from
   * the next hand-off.
   * @default []
   */
  readonly share?: readonly string[] | undefined
}

/** The options of `createHub`. */
export interface HubOptions {
  /**
   * The origin of the hub, such as `'https://accounts.example.com'`. Sites know it by this name (RFC 9207), so give it to
   * them as `hub`. `https:`, or `http:` on this machine.
   */
  readonly issuer: string
  /**
   * The path of the app's page to sign in at. It gets the parameter `returnTo`: after `signIn`, send the browser to
   * `sessions.sites.returnAddress(returnTo)`. A user who is signed in already may be sent there too, to prove again who
   * they are: then call `signIn` again.
   *
   * In Chromium, `form-action` of that page's Content-Security-Policy must list the origins of the sites too, because it
   * counts for the redirects after the form.
   * @example
   * app.post('/sign-in', async (req, res) => {
   *   const user = await authenticate(req.body.name, req.body.password)
   *   if (!user) return res.redirect(303, req.originalUrl)
   *   await req.session.signIn(user.id)
   *   res.redirect(303, sessions.sites.returnAddress(req.query.returnTo))
   * })
   */
  readonly signInPage: string
  /**
   * The sites, by their `clientId`; or a function that finds one, at once or by a promise.
   * @example
   * clients: { blog: { redirectUris: ['https://blog.test/handoff/callback'], share: ['name'] } }
   */
  readonly clients: Readonly<Record<string, HandoffClient>> | ClientFunction
  /**
   * Decides whether a site gets a session: `true`, or `false` (the site gets the error `access_denied`), or the path of a
   * page of the app that asks the user. That page gets the parameter `returnTo`. It notes the user's answer, and sends
   * the browser back there. Left out: every site of `clients` gets one.
   * @example
   * consent: ({ clientId, session }) => session.consents?.[clientId] ?? `/consent?site=${clientId}`
   */
  readonly consent?: ConsentFunction | undefined
  /**
   * The path of the end point.
   * @default '/authorize'
   */
  readonly authorizePath?: string | undefined
}

/** Finds a site by its `clientId`. `undefined`: there is none. What it throws goes to `next(error)`. */
export type ClientFunction = (
  clientId: string,
) => HandoffClient | undefined | Promise<HandoffClient | undefined>

/** Decides whether a site gets a session of this user. What it throws goes to `next(error)`. */
export type ConsentFunction = (request: ConsentRequest) => boolean | string | Promise<boolean | string>

/** What a `ConsentFunction` decides about. */
export interface ConsentRequest {
  readonly clientId: string
  readonly client: HandoffClient
  /** The session of the user at the hub. */
  readonly session: RequestSession
}

const optionNames = ['issuer', 'signInPage', 'clients', 'consent', 'authorizePath'] as const

/** The hub's side of the hand-off: answers the requests of browsers that sites send. Made by `createHub`. */
export class HandoffHub {
  readonly #sessions: HandoffSessions
  readonly #options: HubOptions
  readonly #path: string

  /** @internal @throws ERR_SESSION_OPTION */
  constructor(sessions: HandoffSessions, options: HubOptions) {
    refuseUnknownOptions('createHub', options, optionNames)
    assertKeepsChildren('createHub', sessions)
    if (sessions.clientId !== undefined)
      throw optionError('createHub was given the sessions of a site. The sessions of a hub have no clientId.')
    checkedOrigin('createHub: issuer', options.issuer)
    const { consent } = options
    let { clients } = options
    this.#path = checkedPath('createHub: authorizePath', options.authorizePath ?? '/authorize')
    checkedPath('createHub: signInPage', options.signInPage)
    if (consent !== undefined && typeof consent !== 'function')
      throw optionError('createHub: consent must be a function of a site and a session.')
    if (typeof clients !== 'function') {
      if (typeof clients !== 'object' || clients === null)
        throw optionError(
          "createHub: clients must be an object, like { blog: { redirectUris: ['https://…'] } }.",
        )
      // Copies: what an app changes later was not checked.
      clients = Object.fromEntries(
        Object.entries(clients).map(([clientId, client]) => [clientId, checkedClient(clientId, client)]),
      )
    }
    this.#sessions = sessions
    this.#options = { ...options, clients }
  }

  /** Whether the hand-off answers this path. */
  handles(path: string): boolean {
    return path === this.#path
  }

  /**
   * Answers a request of a browser that a site has sent; `undefined` if the path is another. The session must be saved
   * before the answer is sent, as `session(sessions)` does.
   *
   * @param request its path and query count, and its headers of Fetch metadata
   * @param session the request's session
   * @example
   * const answer = await hub.respond(request, session)
   * if (answer) return answer
   * @throws (rejects) `ERR_SESSION_HANDOFF_REQUEST` (400) if the site or its return address is not listed, or a frame or
   *   script asks. Show the user a page then, and never redirect (RFC 6749, section 4.1.2.1).
   * @throws (rejects) `ERR_SESSION_ROTATED` (409) if the request came with an old token: send it again.
   * @throws (rejects) `ERR_SESSION_STORE_UNAVAILABLE`, `ERR_SESSION_STORE_TIMEOUT` or `ERR_SESSION_STORE_BUSY` (503).
   */
  async respond(request: Request, session: RequestSession): Promise<Response | undefined> {
    const url = new URL(request.url)
    if (!this.handles(url.pathname)) return undefined
    if (request.method !== 'GET') return methodNotAllowed('GET')
    if (!mayBeNavigation(request)) {
      throw badRequest(
        'A frame, a script or a part of a page asked for it. Send the browser there as a whole page.',
      )
    }
    const parameters = url.searchParams
    const clientId = single(parameters, 'client_id') ?? ''
    const client = await this.#client(clientId)
    if (!client) throw badRequest('client_id names no site of this hub. Add it to the clients of createHub.')
    const redirectUri = single(parameters, 'redirect_uri') ?? ''
    // Whole and exact: no prefix, no other spelling (RFC 9700, section 4.1.3).
    if (!client.redirectUris.includes(redirectUri)) {
      throw badRequest(
        'redirect_uri is not listed for this site. Add it to redirectUris, exactly as the site sends it.',
      )
    }
    const read = readAuthorizeRequest(parameters)
    const back = (given: Readonly<Record<string, string | undefined>>): Response =>
      redirectTo(withParameters(redirectUri, { ...given, state: read.state, iss: this.#options.issuer }))
    if ('error' in read) return back({ error: read.error, error_description: read.description })
    return this.#answer(read, { clientId, client, redirectUri, session, url, back })
  }

  async #answer(
    read: AuthorizeRequest,
    { clientId, client, redirectUri, session, url, back }: Asked,
  ): Promise<Response> {
    const sessions = this.#sessions
    const work = workOf('The hub', sessions, session)
    // Its holder may be the one whom the rotation was to lock out.
    if (work.isFormer) throw tokenReplaced()
    const { userId } = work
    const step = nextAt(read, {
      userId,
      authenticatedAt: work.authenticatedAt?.getTime(),
      readAt: work.readAt,
    })
    if (step.do === 'fail') return back({ error: step.error })
    if (step.do === 'signIn' || userId === undefined) {
      const { pathname, searchParams } = url
      for (const name of ['prompt', 'max_age', 'authenticated_after']) searchParams.delete(name)
      const after = step.do === 'signIn' ? step.authenticatedAfter : undefined
      const returnTo = pathWith(`${pathname}?${searchParams.toString()}`, {
        authenticated_after: after?.toString(),
      })
      return redirectTo(pathWith(this.#options.signInPage, { returnTo }))
    }
    const consent = await this.#consent({ clientId, client, session })
    if (consent === false) return back({ error: 'access_denied' })
    if (typeof consent === 'string') {
      if (read.prompt === 'none') return back({ error: 'consent_required' })
      return redirectTo(pathWith(consent, { returnTo: url.pathname + url.search }))
    }
    const code = await issueCode(sessions, {
      clientId,
      redirectUri,
      challenge: read.challenge,
      nonce: read.nonce,
      ...grantedRoot(work, userId),
      share: [...(client.share ?? [])],
    })
    return back({ code })
  }

  async #client(clientId: string): Promise<HandoffClient | undefined> {
    const { clients } = this.#options
    if (!isClientId(clientId)) return undefined
    if (typeof clients !== 'function') return Object.hasOwn(clients, clientId) ? clients[clientId] : undefined
    const client = await answerOf('clients', () => clients(clientId))
    return client === undefined || client === null ? undefined : checkedClient(clientId, client)
  }

  async #consent(request: ConsentRequest): Promise<boolean | string> {
    const { consent } = this.#options
    if (!consent) return true
    const answer: unknown = await answerOf('consent', () => consent(request))
    if (typeof answer === 'boolean') return answer
    const path = typeof answer === 'string' ? this.#sessions.sites.returnAddress(answer, '') : ''
    if (path.startsWith('/')) return path
    throw optionError(
      `consent of createHub returned ${kindOf(answer)}. It must return true, false, or a path of the app.`,
    )
  }
}

interface Asked extends ConsentRequest {
  readonly redirectUri: string
  readonly url: URL
  /** The answer that takes the browser back to the site. */
  readonly back: (parameters: Readonly<Record<string, string | undefined>>) => Response
}

/** Requests of old browsers say nothing of their destination. A frame cannot show the answer anyway. */
function mayBeNavigation(request: Request): boolean {
  return !request.headers.has('sec-fetch-dest') || isNavigation(request)
}

function badRequest(message: string): Error {
  return new SessionError('ERR_SESSION_HANDOFF_REQUEST', `The hand-off cannot begin. ${message}`, {
    status: 400,
  })
}

async function answerOf<Answer>(what: string, ask: () => Answer | Promise<Answer>): Promise<Answer> {
  try {
    return await ask()
  } catch (error) {
    if (isError(error)) throw error
    // Frameworks would take `undefined` or 'route' for a wish to go on.
    throw optionError(`${what} of createHub failed with ${kindOf(error)}, which is no Error.`)
  }
}

function checkedClient(clientId: string, client: HandoffClient): HandoffClient {
  const what = `createHub: clients.${clientId}`
  if (!isClientId(clientId)) {
    throw optionError('createHub: a clientId has 1 to 64 letters, digits, dots, hyphens or underscores.')
  }
  refuseUnknownOptions(what, client, ['redirectUris', 'share'])
  const { redirectUris, share = [] } = client as { readonly redirectUris?: unknown; readonly share?: unknown }
  if (!Array.isArray(redirectUris) || redirectUris.length === 0)
    throw optionError(`${what} needs redirectUris, a list of addresses.`)
  for (const address of redirectUris) checkedAddress(`${what}.redirectUris`, address)
  if (!Array.isArray(share) || !share.every((name) => typeof name === 'string'))
    throw optionError(`${what}.share must be a list of names, such as ['name'].`)
  return { redirectUris: [...redirectUris] as string[], share: [...share] }
}
