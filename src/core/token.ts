import { hash, KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SessionKey } from './record.js'
import { optionError } from './errors.js'

const randomLength = 24 // bytes: 192 bits that nobody can guess
const signatureLength = 43 // characters
const tokenLength = 36 // characters
const base64url = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Makes a new token: 36 characters of base64url, from 3 bytes of coarse time and 24 random bytes.
 * The time is no secret and adds nothing to guess; it makes sessions that begin near each other
 * lie near each other in a database, where random keys would touch a page each. One step of it is
 * 256 seconds.
 *
 * @throws whatever the system's random generator throws; there is no fallback to a weaker one
 */
export function createToken(): string {
  const bytes = Buffer.allocUnsafe(3 + randomLength)
  bytes.writeUIntBE(Math.floor(Date.now() / 256_000) % 2 ** 24, 0, 3)
  randomBytes(randomLength).copy(bytes, 3)
  return bytes.toString('base64url')
}

/**
 * The key that a token's record is stored under: the token's 3 bytes of coarse time, then the first
 * 21 bytes of its SHA-256. Going back from it to the token means guessing 192 random bits.
 */
export function keyOf(token: string): SessionKey {
  return (timeOf(token) + hash('sha256', token, 'hex').slice(0, 42)) as SessionKey
}

/** The coarse time that a token of ours begins with, in hexadecimal digits; zeros for all others. */
function timeOf(token: string): string {
  if (token.length !== tokenLength) return '000000'
  let time = 0
  for (let index = 0; index < 4; index++) {
    const digit = base64url.indexOf(token[index]!)
    if (digit < 0) return '000000'
    time = time * 64 + digit
  }
  return time.toString(16).padStart(6, '0')
}

/** Names a session for people where nothing but its token is known. The token cannot be found from it. */
export function publicIdOf(token: string): string {
  return hash('sha256', `publicId${token}`, 'base64url').slice(0, 16)
}

/** Two signatures that are being compared: nothing comes between, so all comparisons share them. */
const given = Buffer.alloc(signatureLength)
const expected = Buffer.alloc(signatureLength)

/** Bytes. Less than that is found by trying, even if it is random; 32 random ones are what every text of ours asks for. */
export const shortestSecret = 16

/** What secrets may be given as. Left-out ones (an unset environment variable) are skipped, but for the first. */
export type Secret = string | Uint8Array

/**
 * Signs tokens for the way through the browser and checks them on their return, in the wire format of
 * the cookie-signature package: `s:`, the token, `.`, and its HMAC-SHA256 in base64 without padding.
 */
export class Signer {
  readonly #keys: readonly HmacKey[]

  /**
   * @param secrets key objects are taken as they are
   * @throws ERR_SESSION_OPTION if there is no first secret, or one is shorter than `shortestSecret`
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
  verify(value: string): { readonly token: string; readonly renew: boolean } | undefined {
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
