import { hash, KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import { RecentValues } from './recent-values.js'
import type { SessionId } from './store/record.js'
import { optionError } from './errors.js'

const prefix = 'coat_'
const idLength = 16 // characters, of 12 bytes
const secretLength = 24 // bytes: 192 bits that nobody can guess
const signatureLength = 43 // characters
const tokenLength = prefix.length + idLength + (secretLength / 3) * 4 // characters: 53
/** The beginning of the ids of notes in a `TokenKeyedStore`. No token of coatcheck's begins with it. */
export const notePrefix = 'note.'
/**
 * The beginning of the ids of key rows in a table of express-mysql-session. Their keys sign what coatcheck keeps in the
 * sessions there.
 */
export const keyPrefix = `${notePrefix}key.`
const tokenForm = new RegExp(`^${prefix}[\\w-]{${tokenLength - prefix.length}}$`)

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
 * base64url.
 *
 * @throws as `createId`.
 */
export function createToken(id: SessionId = createId()): string {
  return `${prefix}${id}${randomBytes(secretLength).toString('base64url')}`
}

/** Whether a token has coatcheck's own form, which contains its id. No other generator may make tokens of this form. */
export function isOwnToken(token: string): boolean {
  return token.length === tokenLength && tokenForm.test(token)
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

/** The SHA-256 of a token, as stores keep it. To find the token from it, one has to guess 192 random bits. */
export function hashOf(token: string): Uint8Array {
  // Half the time of asking for a buffer, which would get a memory block of its own.
  return Buffer.from(hash('sha256', token, 'binary'), 'latin1')
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

/** A token whose signature is good, and whether the browser should get a new one. */
export interface VerifiedToken {
  readonly token: string
  readonly renew: boolean
}

/** Buffers for comparing two signatures. A comparison is never interrupted, so all share them. */
const given = Buffer.alloc(signatureLength)
const expected = Buffer.alloc(signatureLength)

/**
 * The fewest bytes of a secret. A shorter one can be found by trying, even if it is random. We ask for 32 random bytes.
 */
export const shortestSecret = 16

/** Whether a secret is one repeated character or byte, such as 32 zeros. However long, it can be found by trying. */
export function isRepeated(secret: string | Uint8Array): boolean {
  const [first, ...others]: (string | number)[] = [...secret]
  return others.every((each) => each === first)
}

/**
 * A secret that signs cookies: text, taken as its UTF-8 bytes, or bytes. At least 16 bytes; 32 random ones are right.
 */
export type Secret = string | Uint8Array

/**
 * Signs tokens for cookies, and verifies them, in the format of the cookie-signature package: `s:`, the token, `.`, and
 * its HMAC-SHA256 in base64 without padding.
 */
export class Signer {
  readonly #keys: readonly HmacKey[]
  /** Recent results: a browser sends the same cookie with each request. */
  readonly #verified = new RecentValues<VerifiedToken>()

  /**
   * @param secrets key objects are taken as they are.
   * @throws ERR_SESSION_OPTION if there is no first secret, or one is shorter than `shortestSecret` or one repeated
   *   character.
   */
  constructor(secrets: Secret | readonly (Secret | KeyObject | undefined)[]) {
    const given = Array.isArray(secrets)
      ? (secrets as readonly (Secret | KeyObject | undefined)[])
      : [secrets as Secret]
    if (isEmpty(given[0])) {
      throw optionError(
        'secret is missing; is its environment variable set? Give 32 random bytes, the same in every app, such as `openssl rand -base64 32` prints, by process.env.SESSION_SECRET. In a list the first one signs, so it must be set.',
      )
    }
    const name = (index: number): string => (Array.isArray(secrets) ? `secret[${index}]` : 'secret')
    this.#keys = given.flatMap((secret, index) => (isEmpty(secret) ? [] : [secretKey(secret, name(index))]))
  }

  sign(token: string): string {
    return `s:${token}.${this.#keys[0]!.signature(token)}`
  }

  /**
   * Returns the token if one of the secrets signed it, else `undefined`. `renew` says that this was not the first
   * secret: the browser should get a new signature before that secret is removed.
   */
  verify(value: string): VerifiedToken | undefined {
    const known = this.#verified.get(value)
    if (known) return known
    const verified = this.#verifyAnew(value)
    if (verified) this.#verified.set(value, verified)
    return verified
  }

  #verifyAnew(value: string): VerifiedToken | undefined {
    const dot = value.lastIndexOf('.')
    if (dot < 3 || !value.startsWith('s:')) return undefined
    const token = value.slice(2, dot)
    // Check the length before any HMAC: a header can hold a thousand forgeries.
    if (value.length - dot - 1 !== signatureLength) return undefined
    // A signature with characters beyond ASCII either does not fit, or differs.
    if (given.write(value.slice(dot + 1)) !== signatureLength) return undefined
    for (let index = 0; index < this.#keys.length; index++) {
      expected.write(this.#keys[index]!.signature(token))
      if (timingSafeEqual(given, expected)) return { token, renew: index > 0 }
    }
    return undefined
  }
}

/** Whether a secret is missing, as from an unset environment variable. Other wrong values are refused by their type. */
function isEmpty(secret: unknown): boolean {
  if (secret instanceof Uint8Array) return secret.length === 0
  return secret === undefined || secret === null || secret === ''
}

/** @param name how a message names it. */
function secretKey(secret: unknown, name: string): HmacKey {
  if (secret instanceof KeyObject) return new HmacKey(secret.export())
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) {
    throw optionError(
      `secret must be a text, a Buffer, or a list of those. ${name} is of the type ${typeof secret}.`,
    )
  }
  const bytes = Buffer.from(secret as string)
  if (bytes.length < shortestSecret) {
    throw optionError(
      `${name} is too short, with less than 16 bytes: whoever holds one cookie could find it by trying. Give 32 random bytes, such as \`openssl rand -base64 32\` prints.`,
    )
  }
  if (isRepeated(secret)) {
    throw optionError(
      `${name} is one repeated character or byte: whoever holds one cookie could find it by trying. Give 32 random bytes, such as \`openssl rand -base64 32\` prints.`,
    )
  }
  return new HmacKey(bytes)
}

const blockLength = 64 // bytes, of SHA-256
const hashLength = 32

/**
 * HMAC-SHA256 (RFC 2104), made of one-shot hashes. `createHmac` makes native objects, and the garbage collector has to
 * destroy them one by one. On a busy server, that costs several times as much as the hashing.
 */
class HmacKey {
  /** The key with the inner or outer padding. Behind it is room for one of our tokens, or for the inner hash. */
  readonly #inner: Buffer
  readonly #outer: Buffer

  constructor(secret: Buffer) {
    const key = secret.length > blockLength ? hash('sha256', secret, 'buffer') : secret
    this.#inner = Buffer.alloc(blockLength + tokenLength, 0x36)
    this.#outer = Buffer.alloc(blockLength + hashLength, 0x5c)
    for (const [index, byte] of key.entries()) {
      this.#inner[index]! ^= byte
      this.#outer[index]! ^= byte
    }
  }

  /** In base64 without padding. */
  signature(text: string): string {
    const inner = hash('sha256', this.#withText(text), 'binary')
    this.#outer.write(inner, blockLength, 'latin1')
    // The base64 of 32 bytes ends in one '=', which the format leaves out.
    return hash('sha256', this.#outer, 'base64').slice(0, signatureLength)
  }

  #withText(text: string): Buffer {
    // Our own tokens fill the room exactly. Tokens by an app's own generator may not.
    if (text.length === tokenLength && Buffer.byteLength(text) === tokenLength) {
      this.#inner.write(text, blockLength)
      return this.#inner
    }
    return Buffer.concat([this.#inner.subarray(0, blockLength), Buffer.from(text)])
  }
}
