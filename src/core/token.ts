import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SessionId } from './store/record.js'

const prefix = 'coat_'
const idLength = 16 // characters, of 12 bytes
const secretLength = 24 // bytes: 192 bits that nobody can guess
/** The length of a token of coatcheck's own form, in characters. */
export const tokenLength = prefix.length + idLength + (secretLength / 3) * 4 // characters: 53
/** The length of a child's token, which names its root too. */
const childTokenLength = tokenLength + idLength // characters: 69
/** The beginning of the ids of notes in a `TokenKeyedStore`. No token of coatcheck's begins with it. */
export const notePrefix = 'note.'
/**
 * The beginning of the ids of key rows in a table of express-mysql-session. Their keys sign what coatcheck keeps in the
 * sessions there.
 */
export const keyPrefix = `${notePrefix}key.`
const tokenForm = new RegExp(`^${prefix}[\\w-]+$`)

/** The time and the number of the id that was made last. */
let lastTime = 0
let lastNumber = 0
const mostNumber = 2 ** 48 - 1

/**
 * Makes a new id: 12 bytes as 16 characters of base64url. The first 6 bytes are the time in milliseconds, the last 6 a
 * random number. Within a millisecond, the number grows by random steps (compare RFC 9562, section 6.2, method 2).
 *
 * So the ids of a process are in order. A database that sorts rows by id appends a new one behind the last: its pages
 * get full, and an insert touches one page. Nothing ever reads the time out of an id.
 *
 * @throws whatever the system's random generator throws; there is no fallback to a weaker one.
 */
export function createId(): SessionId {
  const bytes = randomBytes(12)
  const time = Date.now()
  const next = lastNumber + 1 + bytes.readUInt32BE()
  // If the number has no room for another step, the order begins anew.
  const number = time === lastTime && next <= mostNumber ? next : bytes.readUIntBE(6, 6)
  lastTime = time
  lastNumber = number
  bytes.writeUIntBE(time, 0, 6)
  bytes.writeUIntBE(number, 6, 6)
  return bytes.toString('base64url') as SessionId
}

/**
 * Makes a new token for a session: `coat_`, its id, and a secret of 24 random bytes, together 53 characters of
 * base64url. The token of a child has its root's id before the secret, so that both are read at once.
 *
 * @throws as `createId`.
 */
export function createToken(id: SessionId = createId(), rootId?: SessionId): string {
  return `${prefix}${id}${rootId ?? ''}${randomBytes(secretLength).toString('base64url')}`
}

/** Whether a token has coatcheck's own form, which contains its id. No other generator may make tokens of this form. */
export function isOwnToken(token: string): boolean {
  const { length } = token
  return (length === tokenLength || length === childTokenLength) && tokenForm.test(token)
}

/** The id of the root, if the token is a child's. */
export function rootIdOf(token: string): SessionId | undefined {
  if (token.length !== childTokenLength || !isOwnToken(token)) return undefined
  return token.slice(prefix.length + idLength, prefix.length + 2 * idLength) as SessionId
}

/**
 * The id of a token's session. For a token of another form, such as one by an app's own generator, the id is made of a
 * hash of the token. That hash is used for nothing else, and reveals nothing of the token.
 */
export function idOf(token: string): SessionId {
  if (isOwnToken(token)) return token.slice(prefix.length, prefix.length + idLength) as SessionId
  return hashedId(`coatcheck id of ${token}`)
}

const idForm = new RegExp(`^[\\w-]{${idLength}}$`)

/**
 * Whether a text has the form of an id. Each character stands for 6 bits, so two such texts never stand for the same
 * bytes.
 */
export function isSessionId(text: string): text is SessionId {
  return idForm.test(text)
}

/** The id made of a text: the first 12 bytes of its SHA-256. */
export function hashedId(text: string): SessionId {
  return hash('sha256', text, 'base64url').slice(0, idLength) as SessionId
}

/**
 * The SHA-256 of a token, as stores keep it. To find the token from it, one has to guess 192 random bits.
 *
 * @param clientId the site that the token is for. The hash covers it, so that the token finds nothing at another site.
 */
export function hashOf(token: string, clientId?: string): Uint8Array {
  const text = clientId === undefined ? token : `coatcheck token of ${clientId} ${token}`
  // Half the time of asking for a buffer, which would get a memory block of its own.
  return Buffer.from(hash('sha256', text, 'binary'), 'latin1')
}

/** The `hash` of a record whose id is a token; `undefined` if the id is that of a note. */
export function sessionHash(token: string): Uint8Array | undefined {
  return token.startsWith(notePrefix) ? undefined : hashOf(token)
}

/** Whether two hashes are the same, compared in constant time. */
export function isSameHash(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return (
    one !== undefined && other !== undefined && one.length === other.length && timingSafeEqual(one, other)
  )
}
