import { isNativeError } from 'node:util/types'

/** The stable names of everything that can go wrong. Programs compare these; messages may change. */
export type SessionErrorCode =
  | 'ERR_SESSION_OPTION'
  | 'ERR_SESSION_STORE_UNAVAILABLE'
  | 'ERR_SESSION_STORE_TIMEOUT'
  | 'ERR_SESSION_STORE_BUSY'
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
  | 'ERR_SESSION_RESPONSE_BUFFER'
  | 'ERR_SESSION_MISSING_TABLE'
  | 'ERR_SESSION_WRONG_TABLE'
  | 'ERR_SESSION_STORE_LISTING'
  | 'ERR_SESSION_CLOSED'

/**
 * Every error that coatcheck makes. `code` is stable, `status` is the HTTP status that Express
 * answers with when the error reaches `next(err)`, and the message says what to do.
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
  readonly code: SessionErrorCode
  readonly status: number

  constructor(code: SessionErrorCode, message: string, options: ErrorOptions & { status?: number } = {}) {
    super(message, options)
    this.code = code
    this.status = options.status ?? 500
  }
}

/** @param largest the top-level name that takes most of it */
export function dataTooLarge(limit: number, largest: string): SessionError {
  return new SessionError(
    'ERR_SESSION_TOO_LARGE',
    `The session's data is over the limit of ${limit} bytes; most of it is in "${largest}". Keep large things in a table of yours and only their id in the session, or raise sizeLimit.`,
  )
}

/** A configuration that cannot work or is unsafe, found at start-up. */
export function optionError(message: string): SessionError {
  return new SessionError('ERR_SESSION_OPTION', message)
}

/** How a message shows a value that was given: text in quotes, numbers and the like as they print, of all else its kind. */
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

/** What kind of value it is, for a message: never the value itself, which may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return 'a text'
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1)
  return tag === 'Object' ? 'an object' : `a ${tag}`
}

/**
 * No option may be without effect and without a word.
 * @throws ERR_SESSION_OPTION if `options` is no object of options, such as a number, or has a name that is not in `known`
 */
export function refuseUnknownOptions(what: string, options: unknown, known: readonly string[]): void {
  if (!isOptions(options, known)) {
    throw optionError(
      `${what} was given ${kindOf(options)}, and takes an object of options: { ${known[0]}: … }. Its options are ${known.join(', ')}.`,
    )
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw optionError(`${what} has no option "${name}". Its options are ${known.join(', ')}.`)
    }
  }
}

/**
 * Whether it is an Error, of this realm or another. Under Jest the package is in a realm of its own, and what Node itself throws is of
 * Node's.
 */
export function isError(value: unknown): value is Error {
  return value instanceof Error || isNativeError(value)
}

/** Warns of an error. Node takes only an Error of its own realm, so this hands over texts. */
export function warnOfError(error: Error & { readonly code?: string }): void {
  const { name, message, code, stack = '' } = error
  const detail = stack.slice(stack.indexOf('\n    at ') + 1)
  process.emitWarning(message, code === undefined ? { type: name, detail } : { type: name, code, detail })
}

/** Whether it is a plain object, or one of the app's own class with at least one of the options. A Map or a Date is neither. */
export function isOptions(given: unknown, known: readonly string[]): given is object {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return false
  const prototype = Object.getPrototypeOf(given) as object | null
  // Object.prototype, that of another realm as well.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
  return isPlain || known.some((name) => name in given)
}

/** The store did not answer in time. Status 503. What it was to write may be stored all the same. */
export function storeTimeout(deadline: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The session store did not answer within ${deadline} ms. Check that the database is up, reachable and not overloaded, or give storeLimits.deadline more time.`,
    { status: 503 },
  )
}

/** More calls wait for the store than may. Status 503. Nothing of the refused one was sent. */
export function storeBusy(longestQueue: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_BUSY',
    `${longestQueue} calls wait for the session store already, so this one was refused. The database is slower than the requests come: make it faster, or let fewer requests in.`,
    { status: 503 },
  )
}

/** More changes of one session wait for their turn than may. Status 503. Nothing of the refused one was sent. */
export function sessionBusy(longestQueue: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_BUSY',
    `${longestQueue} changes of this session wait for their turn already, so this one was refused. Find what changes one session so often; if the database is slow, make it faster.`,
    { status: 503 },
  )
}

/** The turn of a change did not come in time. Status 503. Nothing of it was sent. */
export function turnTooLate(deadline: number): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The changes of this session that came before this one took longer than ${deadline} ms, so it was given up. Find what changes one session so often; if the database is slow, make it faster, or give storeLimits.deadline more time.`,
    { status: 503 },
  )
}

/** The session that was to be used has ended. Status 401: its holder may begin another. */
export function sessionGone(message: string): SessionError {
  return new SessionError('ERR_SESSION_GONE', message, { status: 401 })
}

/** What a token from before a rotation may not do. Status 409: the browser has the new token by now, and with that it may. */
export function tokenReplaced(): SessionError {
  return new SessionError(
    'ERR_SESSION_ROTATED',
    'This request came with the token from before a rotation. That can read and change the session, but neither end it nor prove again whose it is, so nothing was done. Send the request again: the browser has the new token by now.',
    { status: 409 },
  )
}

/** A sign-in whose user's sessions were all ended while it was under way. Status 401: sign in again. */
export function signInRevoked(): SessionError {
  return new SessionError(
    'ERR_SESSION_REVOKED',
    "All of this user's sessions were ended after this request began, so it signed nobody in: the user has to sign in again. If this very request ended them, give revokeAll({ except: req.session }).",
    { status: 401 },
  )
}

/** A sign-in that the next look at the data would undo. */
export function signInByData(): SessionError {
  return optionError(
    'With userOf, the data says who is signed in: store the user there, as req.login of Passport does. signIn is for that same user only, to note that they have proved again who they are.',
  )
}

/** A sign-in of a user who has as many sessions as may be. Status 403. */
export function tooManySessions(most: number): SessionError {
  return new SessionError(
    'ERR_SESSION_LIMIT',
    `This user has as many live sessions as sessionsPerUser allows: ${most}. One has to be ended first: sessions.user(id).list() names them.`,
    { status: 403 },
  )
}

/** A new session or token came too late for the browser to be told. */
export function headersSent(): SessionError {
  return new SessionError(
    'ERR_SESSION_HEADERS_SENT',
    'The session began, or was to get a new token, after the headers had left, so the browser cannot be told. Do that before the first byte of the response.',
  )
}

/** Others were always faster. Status 503: the next try may be lucky. */
export function changedTooOften(attempts: number): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    `Other requests changed this session ${attempts} times while this one was being stored. Try again; if it recurs, find what writes to one session so often.`,
    { status: 503 },
  )
}
