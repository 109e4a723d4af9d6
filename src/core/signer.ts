import { hash, hkdfSync, KeyObject, timingSafeEqual } from 'node:crypto'
import { optionError } from './errors.js'
import { RecentValues } from './recent-values.js'
import { isOwnToken, tokenLength } from './token.js'

const signatureLength = 43 // characters

/** A token whose signature is good, and whether the client should get a new one. */
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
 * How a token and its signature are one text. What was signed for one form is refused in another, because their keys
 * differ: a script that reads one of them cannot use it as the other.
 */
export interface SignedForm {
  /** The key that signs with this secret. */
  keyOf(secret: Buffer): HmacKey
  /** How the bytes of a signature are written, without padding. */
  readonly encoding: 'base64' | 'base64url'
  /** @throws TypeError if the form cannot carry the token */
  join(token: string, signature: string): string
  /** The token and the signature, of which neither was checked; `undefined` if the text is of another form. */
  split(value: string): readonly [token: string, signature: string] | undefined
}

/** The format of the cookie-signature package: `s:`, the token, `.`, and its HMAC-SHA256 in base64. */
export const cookieForm: SignedForm = {
  keyOf: (secret) => new HmacKey(secret),
  encoding: 'base64',
  join: (token, signature) => `s:${token}.${signature}`,
  split(value) {
    const dot = value.lastIndexOf('.')
    return dot < 3 || !value.startsWith('s:') ? undefined : [value.slice(2, dot), value.slice(dot + 1)]
  },
}

/**
 * The form for `Authorization: Bearer` and other headers: the token, `.`, and its HMAC-SHA256 in base64url. A token that
 * is not of coatcheck's own form is `~` and its UTF-8 bytes in base64url. All its characters are a b64token's (RFC 6750,
 * section 2.1).
 */
export const headerForm: SignedForm = {
  // By HKDF (RFC 5869), so that no token, whoever makes it, has a signature that is this key.
  keyOf: (secret) =>
    new HmacKey(Buffer.from(hkdfSync('sha256', secret, '', 'coatcheck header transport', 32))),
  encoding: 'base64url',
  join: (token, signature) => `${textOf(token)}.${signature}`,
  split(value) {
    const dot = value.lastIndexOf('.')
    const token = dot < 1 ? undefined : tokenOf(value.slice(0, dot))
    return token === undefined ? undefined : [token, value.slice(dot + 1)]
  },
}

/**
 * The form of what a site keeps in the browser while a hand-off is under way: text of base64url, and its signature. Each
 * site has a key of its own, so what one has signed is nothing at another.
 */
export function flowFormOf(clientId: string): SignedForm {
  const info = `coatcheck handoff flow of ${clientId}`
  return {
    keyOf: (secret) => new HmacKey(Buffer.from(hkdfSync('sha256', secret, '', info, 32))),
    encoding: 'base64url',
    join: (text, signature) => `${text}.${signature}`,
    split(value) {
      const dot = value.lastIndexOf('.')
      return dot < 1 ? undefined : [value.slice(0, dot), value.slice(dot + 1)]
    },
  }
}

function textOf(token: string): string {
  if (isOwnToken(token)) return token
  if (!token.isWellFormed())
    throw new TypeError('The token has half a surrogate pair, which no header can carry.')
  return `~${Buffer.from(token).toString('base64url')}`
}

function tokenOf(text: string): string | undefined {
  if (isOwnToken(text)) return text
  if (!text.startsWith('~') || text.length < 2) return undefined
  const token = Buffer.from(text.slice(1), 'base64url').toString()
  // One text only for each token: no other spelling of base64, and no bytes that are not UTF-8.
  return textOf(token) === text ? token : undefined
}

/** Signs tokens for one form, and verifies them. */
export class Signer {
  readonly #form: SignedForm
  readonly #keys: readonly HmacKey[]
  /** Recent results: a client sends the same value with each request. */
  readonly #verified = new RecentValues<VerifiedToken>()

  /**
   * @param secrets key objects are taken as they are
   * @throws ERR_SESSION_OPTION if there is no first secret, or one is shorter than `shortestSecret` or one repeated
   *   character
   */
  constructor(secrets: Secret | readonly (Secret | KeyObject | undefined)[], form = cookieForm) {
    this.#form = form
    const given = Array.isArray(secrets)
      ? (secrets as readonly (Secret | KeyObject | undefined)[])
      : [secrets as Secret]
    if (isEmpty(given[0])) {
      throw optionError(
        'secret is missing; is its environment variable set? Give 32 random bytes, the same in every app, such as `openssl rand -base64 32` prints, by process.env.SESSION_SECRET. In a list the first one signs, so it must be set.',
      )
    }
    const name = (index: number): string => (Array.isArray(secrets) ? `secret[${index}]` : 'secret')
    this.#keys = given.flatMap((secret, index) =>
      isEmpty(secret) ? [] : [form.keyOf(secretBytes(secret, name(index)))],
    )
  }

  sign(token: string): string {
    const { encoding } = this.#form
    return this.#form.join(token, this.#keys[0]!.signature(token, encoding))
  }

  /**
   * Returns the token if one of the secrets signed it, else `undefined`. `renew` says that this was not the first
   * secret: the client should get a new signature before that secret is removed.
   */
  verify(value: string): VerifiedToken | undefined {
    const known = this.#verified.get(value)
    if (known) return known
    const verified = this.#verifyAnew(value)
    if (verified) this.#verified.set(value, verified)
    return verified
  }

  #verifyAnew(value: string): VerifiedToken | undefined {
    const parts = this.#form.split(value)
    if (!parts) return undefined
    const [token, signature] = parts
    // Check the length before any HMAC: a header can hold a thousand forgeries.
    if (signature.length !== signatureLength) return undefined
    // A signature with characters beyond ASCII either does not fit, or differs.
    if (given.write(signature) !== signatureLength) return undefined
    for (let index = 0; index < this.#keys.length; index++) {
      expected.write(this.#keys[index]!.signature(token, this.#form.encoding))
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

/** @param name how a message names it */
function secretBytes(secret: unknown, name: string): Buffer {
  if (secret instanceof KeyObject) return secret.export()
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
  return bytes
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

  /** Without padding. */
  signature(text: string, encoding: 'base64' | 'base64url'): string {
    const inner = hash('sha256', this.#withText(text), 'binary')
    this.#outer.write(inner, blockLength, 'latin1')
    // The base64 of 32 bytes ends in one '=', which the forms leave out.
    return hash('sha256', this.#outer, encoding).slice(0, signatureLength)
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
