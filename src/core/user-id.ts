import { SessionError } from './errors.ts'

/** How an app names a user: a text of 1 to 255 bytes of UTF-8, or a number, which is kept as its decimal text. */
export type UserId = string | number | bigint

/** @throws ERR_SESSION_USER_ID */
export function userIdText(userId: UserId): string {
  const fault = faultOf(userId)
  if (fault === undefined) return String(userId)
  throw new SessionError(
    'ERR_SESSION_USER_ID',
    `The id that was given for a user is ${fault}. Give the user's own: a text of 1 to 255 bytes, or a whole number.`,
  )
}

/** Why it names nobody, in words that do not show the id itself: that may be an e-mail address. */
function faultOf(userId: unknown): string | undefined {
  switch (typeof userId) {
    case 'bigint':
      return faultOfText(String(userId))
    case 'number':
      // NaN would be one user for all whose id could not be read.
      return Number.isSafeInteger(userId) ? undefined : `${userId}, which is no whole number that is exact`
    case 'string':
      return faultOfText(userId)
    case 'undefined':
      return missing('undefined')
    default:
      return userId === null ? missing('null') : `of the type ${typeof userId}`
  }
}

function faultOfText(text: string): string | undefined {
  if (text === '') return missing('empty')
  // Broken UTF-16 turns into equal bytes.
  if (Buffer.from(text).toString() !== text) return 'not well-formed: it holds half of a surrogate pair'
  const length = Buffer.byteLength(text)
  return length > 255 ? `${length} bytes long` : undefined
}

function missing(what: string): string {
  return `${what}: perhaps nobody was found, or nobody is signed in, so check that first`
}
