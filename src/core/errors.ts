import { isNativeError } from 'node:util/types'
import { unknownOptionsMessage } from './option-hints.js'

/**
 * The codes of `SessionError`. They stay the same between versions; messages may change. `docs/troubleshooting.md`,
 * "Error codes", says what each means and what to do.
 */
export type SessionErrorCode =
  | 'ERR_SESSION_OPTION'
  | 'ERR_SESSION_STORE_UNAVAILABLE'
  | 'ERR_SESSION_STORE_TIMEOUT'
  | 'ERR_SESSION_STORE_BUSY'
  | 'ERR_SESSION_NOT_REPLICATED'
  | 'ERR_SESSION_CONFLICT'
  | 'ERR_SESSION_STORE_CONFIGURATION'
  | 'ERR_SESSION_DATA'
  | 'ERR_SESSION_DATA_REFUSED'
  | 'ERR_SESSION_TOO_LARGE'
  | 'ERR_SESSION_CORRUPT'
  | 'ERR_SESSION_GONE'
  | 'ERR_SESSION_ROTATED'
  | 'ERR_SESSION_REVOKED'
  | 'ERR_SESSION_LIMIT'
  | 'ERR_SESSION_USER_ID'
  | 'ERR_SESSION_RESERVED_NAME'
  | 'ERR_SESSION_REPLACED'
  | 'ERR_SESSION_HEADERS_SENT'
  | 'ERR_SESSION_FORGED'
  | 'ERR_SESSION_HANDOFF_REQUEST'
  | 'ERR_SESSION_HANDOFF_FAILED'
  | 'ERR_SESSION_HANDOFF_REFUSED'
  | 'ERR_SESSION_SIGN_IN_NEEDED'
  | 'ERR_SESSION_RESPONSE_BUFFER'
  | 'ERR_SESSION_MISSING_TABLE'
  | 'ERR_SESSION_WRONG_TABLE'
  | 'ERR_SESSION_STORE_LISTING'
  | 'ERR_SESSION_CLOSED'

/**
 * An error of coatcheck. Its message says what to do. It holds no token and no secret. What the database or its
 * driver said is in `cause`, which may name hosts and database users.
 *
 * Compare `code` rather than messages. If two copies of the package may be loaded, compare `code` rather than the
 * class.
 *
 * @example
 * app.use((err, req, res, next) => {
 *   if (err instanceof SessionError && err.status === 503) {
 *     return res.status(err.status).send('We will be right back.')
 *   }
 *   next(err)
 * })
 */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  /** What happened. `docs/troubleshooting.md`, "Error codes", lists all codes. */
  readonly code: SessionErrorCode
  /**
   * The HTTP status to answer with, as Express does when the error reaches `next(error)`: 400, 401, 403, 409, 500 or 503.
   * @default 500
   */
  readonly status: number

  constructor(code: SessionErrorCode, message: string, options: ErrorOptions & { status?: number } = {}) {
    super(message, options)
    this.code = code
    this.status = options.status ?? 500
  }

  /** The same as `status`, by the name that Fastify, NestJS and Koa look for. */
  get statusCode(): number {
    return this.status
  }

  /** Whether a framework may show the message to the visitor: not that of a 5xx. As in http-errors. */
  get expose(): boolean {
    return this.status < 500
  }
}

/** @param largest the top-level property that takes the most bytes. */
export function dataTooLarge(limit: number, largest: string): SessionError {
  return new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `The session's data is over the limit of ${limit} bytes; most of it is in "${largest}". Keep large things in a table of yours and only their id in the session, or raise sizeLimit.`,
  )
}

/** A configuration that cannot work, or is unsafe. Most are found at start-up. */
export function optionError(message: string): SessionError {
  return new SessionError('ERR_SESSION_OPTION', message)
}

/** A value as a message shows it: text in quotes, numbers and the like as they print, and only the kind of all else. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'object':
    case 'function':
      return kindOf(value)
    default:
      return String(value)
  }
}

/** The kind of a value, for a message. It never shows the value itself, which may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return 'a text'
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return tag === 'Object' ? 'an object' : `a ${tag}`
}

/**
 * Refuses options that would be ignored.
 * @throws ERR_SESSION_OPTION if `options` is no object of options, such as a number, or has a name that is not in
 *   `known`.
 */
export function refuseUnknownOptions(what: string, options: unknown, known: readonly string[]): void {
  if (!isOptions(options, known)) {
    throw optionError(
      `${what} was given ${kindOf(options)}, and takes an object of options: { ${known[0]}: … }. Its options are ${known.join(', ')}.`,
    )
  }
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length > 0) throw optionError(unknownOptionsMessage(what, unknown, known))
}

/**
 * Whether a value is an Error, of this realm or another. Under Jest, the package has a realm of its own, while Node
 * itself throws errors of Node's realm.
 */
export function isError(value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

/** Warns of an error. Node accepts an Error of its own realm only, so this passes texts. */
export function warnOfError(error: Error & { readonly code?: string }): void {
  const { name, message, code, stack = '' } = error
  const detail = stack.slice(stack.indexOf('\n    at ') + 1)
  process.emitWarning(message, code === undefined ? { type: name, detail } : { type: name, code, detail })
}

/**
 * Whether a value is a plain object, or an instance of the app's own class with at least one of the options. A Map or a
 * Date is neither.
 */
export function isOptions(given: unknown, known: readonly string[]): given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  const prototype = Object.getPrototypeOf(given) as object | null
  // Object.prototype, also that of another realm.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  return isPlain || known.some((name) => name in given)
}

/** The store did not answer in time. Status 503. A write may have been stored all the same. */
export function storeTimeout(deadline: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The session store did not answer within ${deadline} ms. Check that the database is up, reachable and not overloaded, or give storeLimits.deadline more time.`,
    { status: 503 },
  )
}

/** Too many calls wait for the store. Status 503. The refused call was not sent. */
export function storeBusy(longestQueue: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_BUSY',
    `${longestQueue} calls wait for the session store already, so this one was refused. The database is slower than the requests come: make it faster, or let fewer requests in.`,
    { status: 503 },
  )
}

/** Too many changes of one session wait for each other. Status 503. The refused change was not sent. */
export function sessionBusy(longestQueue: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_BUSY',
    `${longestQueue} changes of this session wait for their turn already, so this one was refused. Find what changes one session so often; if the database is slow, make it faster.`,
    { status: 503 },
  )
}

/** A change waited too long for other changes of its session. Status 503. It was not sent. */
export function turnTooLate(deadline: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The changes of this session that came before this one took longer than ${deadline} ms, so it was given up. Find what changes one session so often; if the database is slow, make it faster, or give storeLimits.deadline more time.`,
    { status: 503 },
  )
}

/** The session has ended. Status 401: its holder may begin another. */
export function sessionGone(message: string): SessionError {
  return new SessionError('ERR_SESSION_GONE', message, { status: 401 })
}

/** A token from before a rotation may not do this. Status 409: sent again, the request has the new token, which may. */
export function tokenReplaced(): SessionError {
  return new SessionError(
    'ERR_SESSION_ROTATED',
    'This request came with a token from before a rotation. An old token cannot end the session or sign in again, so nothing was done. Send the request again: the browser has the new token by now.',
    { status: 409 },
  )
}

/** All sessions of the user were ended while the sign-in was under way. Status 401: sign in again. */
export function signInRevoked(): SessionError {
  return new SessionError(
    'ERR_SESSION_REVOKED',
    "All of this user's sessions were ended after this request began, so it signed nobody in: the user has to sign in again. If this very request ended them, give revokeAll({ except: req.session }).",
    { status: 401 },
  )
}

/** `signIn` of a user whom the data does not name: with `userOf`, the next read of the data would undo it. */
export function signInByData(): SessionError {
  return optionError(
    'With userOf, the data says who is signed in: store the user there, as req.login of Passport does. signIn is for that same user only, to note that they have proved again who they are.',
  )
}

/** A sign-in of a user who has as many sessions as `sessionsPerUser` allows. Status 403. */
export function tooManySessions(most: number): SessionError {
  return new SessionError(
    'ERR_SESSION_LIMIT',
    `This user has as many live sessions as sessionsPerUser allows: ${most}. One has to be ended first: sessions.user(id).list() names them.`,
    { status: 403 },
  )
}

/** A session began, or was to get a new token, after the headers were sent: the browser cannot get the cookie. */
export function headersSent(): SessionError {
  return new SessionError(
    'ERR_SESSION_HEADERS_SENT',
    'The session began, or was to get a new token, after the headers had left, so the browser cannot be told. Do that before the first byte of the response.',
  )
}

/** Other requests were always faster. Status 503: another try may succeed. */
export function changedTooOften(attempts: number): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    `Other requests changed this session ${attempts} times while this one was being stored. Try again; if it recurs, find what writes to one session so often.`,
    { status: 503 },
  )
}
