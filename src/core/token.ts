import { hash, KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import { RecentValues } from './recent-values.js'
import type { SessionId } from './store/record.js'
import { optionError } from './errors.js'

const prefix = 'coat_'
const idLength = 16 // characters, of 12 bytes
const secretLength = 24 // bytes: 192 bits that nobody can guess
const signatureLength = 43 // characters
const tokenLength = prefix.length + idLength + (secretLength / 3) * 4 // characters: 53
/** Begins the ids of notes in a `TokenKeyedStore`: no token of ours has it. */
export const notePrefix = 'note.'
/** Begins the ids of rows in a table of express-mysql-session that hold a key: what signs what coatcheck keeps there in sessions. */
export const keyPrefix = `${notePrefix}key.`
const tokenForm = new RegExp(`^${prefix}[\\w-]{${tokenLength - prefix.length}}$`)

/** The id that was made last: its time, and the number behind that. */
let lastTime = 0
let lastNumber = 0
const mostNumber = 2 ** 48 - 1

/**
 * Makes a new id: 12 bytes as 16 characters of base64url, of which 6 are the time in milliseconds and 6 a random number. Within a millisecond
 * the number grows, by random steps. So a process makes its ids in their order, and a database that keeps rows by their ids puts a new one
 * behind the last: its pages get full, and an insert touches one. The time is never compared (compare RFC 9562, section 6.2, method 2).
 *
 * @throws whatever the system's random generator throws; there is no fallback to a weaker one
 */
export function createId(): SessionId {
  const bytes = randomBytes(12)
  const time = Date.now()
  const next = lastNumber + 1 + bytes.readUInt32BE()
  // Where there is no room for more steps, the order begins anew.
  const number = time === lastTime && next <= mostNumber ? next : bytes.readUIntBE(6, 6)
  lastTime = time
  lastNumber = number
  bytes.writeUIntBE(time, 0, 6)
  bytes.writeUIntBE(number, 6, 6)
  return bytes.toString('base64url') as SessionId
}

/**
 * Makes a new token for a session: `coat_`, its id, and a secret of 24 random bytes, together 53 characters of base64url.
 *
 * @throws as `createId`
 */
export function createToken(id: SessionId = createId()): string {
  return `${prefix}${id}${randomBytes(secretLength).toString('base64url')}`
}

/** Whether a token has the form of ours, which says its id. No token of another origin may have it. */
export function isOwnToken(token: string): boolean {
  return token.length === tokenLength && tokenForm.test(token)
}

/**
 * The id of a token's session. A token that is not of our form, such as one of an app's own generator, has its id from a hash of it:
 * one that tells nothing of its secret, and that no other hash here is.
 */
export function idOf(token: string): SessionId {
  if (isOwnToken(token)) return token.slice(prefix.length, prefix.length + idLength) as SessionId
  return hashedId(`coatcheck id of ${token}`)
}

const idForm = new RegExp(`^[\\w-]{${idLength}}$`)

/** Whether a text has the form of an id. Each character says 6 bits of 12 bytes, so no two such texts are the same bytes. */
export function isSessionId(text: string): text is SessionId {
  return idForm.test(text)
}

/** An id made of a text: the first 12 bytes of its SHA-256. */
export function hashedId(text: string): SessionId {
  return hash('sha256', text, 'base64url').slice(0, idLength) as SessionId
}

/** The SHA-256 of a token, as stores keep it. Going back from it to the token means guessing 192 random bits. */
export function hashOf(token: string): Uint8Array {
  // Takes half the time of asking for a buffer, which is given a memory block of its own.
  return Buffer.from(hash('sha256', token, 'binary'), 'latin1')
}

/** The `hash` of a record whose id is a token: none if that is the name of a note, which no session may have. */
export function sessionHash(token: string): Uint8Array | undefined {
  return token.startsWith(notePrefix) ? undefined : hashOf(token)
}

/** Whether two hashes are the same, in a time that does not tell where they differ. */
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

/** Two signatures that are being compared: nothing comes between, so all comparisons share them. */
const given = Buffer.alloc(signatureLength)
const expected = Buffer.alloc(signatureLength)

/** Bytes. Less than that is found by trying, even if it is random; 32 random ones are what every text of ours asks for. */
export const shortestSecret = 16

/** Whether it is one character or byte again and again, such as 32 zeros: however long it is, it is found by trying. */
export function isRepeated(secret: string | Uint8Array): boolean {
  const [first, ...others]: (string | number)[] = [...secret]
  return others.every((each) => each === first)
}

/** What secrets may be given as. Left-out ones (an unset environment variable) are skipped, but for the first. */
export type Secret = string | Uint8Array

/**
 * Signs tokens for the way through the browser and checks them on their return, in the wire format of
 * the cookie-signature package: `s:`, the token, `.`, and its HMAC-SHA256 in base64 without padding.
 */
export class Signer {
  readonly #keys: readonly HmacKey[]
  /** Of those that came last: a browser sends the same cookie with each request. */
  readonly #verified = new RecentValues<VerifiedToken>()

  /**
   * @param secrets key objects are taken as they are
   * @throws ERR_SESSION_OPTION if there is no first secret, or one is shorter than `shortestSecret` or one repeated character
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
    this.#keys = given.filter((secret) => !isEmpty(secret)).map(secretKey)
  }

  sign(token: string): string {
    return `s:${token}.${this.#keys[0]!.signature(token)}`
  }

  /**
   * Gives the token back if one of the secrets signed it, else `undefined`. `renew` says that it was not
   * the first secret, so that the browser should get a new signature before that secret is retired.
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
    // Before any HMAC is computed: a header can hold a thousand forgeries.
    if (value.length - dot - 1 !== signatureLength) return undefined
    // One that is not ASCII does not fit: where it fills the room all the same, it differs.
    if (given.write(value.slice(dot + 1)) !== signatureLength) return undefined
    for (let index = 0; index < this.#keys.length; index++) {
      expected.write(this.#keys[index]!.signature(token))
      if (timingSafeEqual(given, expected)) return { token, renew: index > 0 }
    }
    return undefined
  }
}

/** Left out, as by an environment variable that is not set. All else that is no key is refused by its type. */
function isEmpty(secret: unknown): boolean {
  if (secret instanceof Uint8Array) return secret.length === 0
  return secret === undefined || secret === null || secret === ''
}

function secretKey(secret: unknown): HmacKey {
  if (secret instanceof KeyObject) return new HmacKey(secret.export())
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) {
    throw optionError(
      `secret must be a text, a Buffer, or a list of those. One is of the type ${typeof secret}.`,
    )
  }
  const bytes = Buffer.from(secret as string)
  if (bytes.length < shortestSecret) {
    throw optionError(
      'secret is too short, with less than 16 bytes: whoever holds one cookie could find it by trying. Give 32 random bytes, such as `openssl rand -base64 32` prints.',
    )
  }
  if (isRepeated(secret)) {
    throw optionError(
      'secret is one repeated character or byte: whoever holds one cookie could find it by trying. Give 32 random bytes, such as `openssl rand -base64 32` prints.',
    )
  }
  return new HmacKey(bytes)
}

const blockLength = 64 // bytes, of SHA-256
const hashLength = 32

/**
 * HMAC-SHA256 (RFC 2104) made of one-shot hashes. `createHmac` makes native objects that the garbage collector has to
 * take down one by one, and on a busy server that costs several times what the hashing does.
 */
class HmacKey {
  /** The key with either padding, and behind it room for a token of ours, or for the inner hash. */
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
    // 32 bytes always end in one '=', which the format leaves out.
    return hash('sha256', this.#outer, 'base64').slice(0, signatureLength)
  }

  #withText(text: string): Buffer {
    // Of our tokens each fills the room exactly; others, by an app's own generator, may not.
    if (text.length === tokenLength && Buffer.byteLength(text) === tokenLength) {
      this.#inner.write(text, blockLength)
      return this.#inner
    }
    return Buffer.concat([this.#inner.subarray(0, blockLength), Buffer.from(text)])
  }
}
