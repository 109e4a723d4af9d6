import { optionError } from '../../core/errors.js'
import type { RequestSession, SessionWork } from '../../core/session/session.js'
import { sessionWork } from '../../core/session/session.js'
import { UnitOfWork } from '../../core/session/unit-of-work.js'
import type { WorkContext } from '../../core/session/work-context.js'
import type { Signer } from '../../core/signer.js'
import { pathWith } from './answers.js'
import { canonicalOrigin, isUnencrypted } from '../origin-text.js'
import type { SitePolicy } from '../sites.js'

/** What the hand-off needs of an app's sessions. `Sessions` is one. */
export interface HandoffSessions extends WorkContext {
  readonly sites: SitePolicy
  /** Signs what a site keeps in the browser during a flow. `undefined`: the sessions have no `clientId`. */
  readonly flowSigner: Signer | undefined
}

/** The work on a request's session. @throws ERR_SESSION_OPTION if that is no session of these sessions */
export function workOf(
  what: string,
  sessions: HandoffSessions,
  session: RequestSession | undefined,
): UnitOfWork {
  const work = (session as { readonly [sessionWork]?: SessionWork } | undefined)?.[sessionWork]
  if (work instanceof UnitOfWork && work.context === (sessions as WorkContext)) return work
  throw optionError(
    `${what} found no session of its sessions on the request. Call app.use(session(sessions)) before it, with the same sessions.`,
  )
}

/** @throws ERR_SESSION_OPTION if the store cannot keep children */
export function assertKeepsChildren(what: string, { tokensAreKeys }: WorkContext): void {
  if (!tokensAreKeys) return
  throw optionError(
    `${what} needs a store of coatcheck's own layout: a table of express-mysql-session, and stores of express-session, cannot keep sessions that end with another.`,
  )
}

/**
 * An address of an app, as it is compared: exactly.
 * @param name the option's, for a message
 * @throws ERR_SESSION_OPTION if it is no address by https, or by http on this machine, as `URL` writes it
 */
export function checkedAddress(name: string, address: unknown): string {
  const url = typeof address === 'string' ? URL.parse(address) : null
  const example = `Write it like 'https://blog.test/handoff/callback'`
  if (url === null || !/^https?:$/.test(url.protocol))
    throw optionError(`${name} is no http address. ${example}.`)
  if (isUnencrypted(url.origin))
    throw optionError(`${name} is not encrypted, so others could read the code. Use https.`)
  if (url.username !== '' || url.password !== '' || url.hash !== '' || (address as string).includes('#'))
    throw optionError(`${name} has a user name, a password or a fragment. Leave that out. ${example}.`)
  if (url.href !== address) throw optionError(`${name} is not as browsers write it. Write '${url.href}'.`)
  return url.href
}

/**
 * An origin, such as that of the hub.
 * @throws ERR_SESSION_OPTION if it is none by https, or by http on this machine, as browsers write it
 */
export function checkedOrigin(name: string, origin: unknown): string {
  const canonical = typeof origin === 'string' ? canonicalOrigin(origin) : undefined
  const isWebOrigin = canonical !== undefined && canonical === origin && /^https?:[^*]*$/.test(canonical)
  if (isWebOrigin && !isUnencrypted(canonical)) return canonical
  throw optionError(
    `${name} must be an origin with https, such as 'https://accounts.example.com', without a path or a slash at the end. Use http on this machine only.`,
  )
}

/**
 * A path of an app, as it is compared: exactly.
 * @param name the option's, for a message
 * @throws ERR_SESSION_OPTION if it is none, as `URL` writes it
 */
export function checkedPath(name: string, path: unknown): string {
  const isPath = typeof path === 'string' && /^\/(?!\/)[^\s\\#]*$/.test(path)
  if (isPath && pathWith(path, {}) === path) return path
  throw optionError(`${name} must be a path of the app, such as '/sign-in'.`)
}
