import { SessionError } from '../errors.js'

/**
 * A user's id in your app: a text of 1 to 255 bytes of UTF-8 without NUL, or a whole number, which is kept as its
 * decimal text. Ids are compared byte by byte: `Ada` and `ada` are two users, as are two Unicode forms of one name.
 */
export type UserId = string | number | bigint

/**
 * @param what how a message names it
 * @throws ERR_SESSION_USER_ID
 */
export function userIdText(userId: UserId, what = 'The id that was given for a user'): string {
  const fault = faultOf(userId)
  if (fault === undefined) return String(userId)
  throw new SessionError(
    'ERR_SESSION_USER_ID',
    `${what} is ${fault}. Give the user's own: a text of 1 to 255 bytes, or a whole number.`,
  )
}

/**
 * The bytes of a user id, as a database keeps and compares them.
 *
 * @throws ERR_SESSION_USER_ID for an id that may become another one on its way to the database. Half of a surrogate
 *   pair turns into U+FFFD. A column that is too short may cut off the end. With MariaDB's EMPTY_STRING_IS_NULL, an
 *   empty text is NULL, which is nobody.
 */
export function userIdBytes(userId: string): Buffer {
  const bytes = Buffer.from(userId)
  const fault = faultOfBytes(userId, bytes)
  if (fault === undefined) return bytes
  throw new SessionError('ERR_SESSION_USER_ID', `A user id is ${fault}. Give a text of 1 to 255 bytes.`)
}

/** What is wrong with an id. It does not show the id itself, which may be an e-mail address. */
function faultOf(userId: unknown): string | undefined {
  switch (typeof userId) {
    case 'bigint':
      return faultOfText(String(userId))
    case 'number':
      // All users whose id could not be read would share NaN.
      return Number.isSafeInteger(userId) ? undefined : `${userId}, which is no whole number that is exact`
    case 'string':
      return faultOfText(userId)
    case 'undefined':
      return `${missing('undefined')}. If it is read from req.body, parse the body before: app.use(express.json()), or express.urlencoded() for forms. With Passport, the session knows the user only by the option userOf: 'passport.user'`
    default:
      return userId === null ? missing('null') : `of the type ${typeof userId}`
  }
}

function faultOfText(text: string): string | undefined {
  // Some databases and drivers cut a text off at its first NUL.
  if (text.includes('\0')) return 'a text with a NUL character in it'
  return faultOfBytes(text, Buffer.from(text))
}

function faultOfBytes(text: string, bytes: Buffer): string | undefined {
  if (text === '') return missing('empty')
  if (bytes.toString() !== text) return 'not well-formed: it holds half of a surrogate pair'
  return bytes.length > 255 ? `${bytes.length} bytes long` : undefined
}

function missing(what: string): string {
  return `${what}: perhaps nobody was found, or nobody is signed in, so check that first`
}
