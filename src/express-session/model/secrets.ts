import { type CipherKey, createSecretKey, KeyObject } from 'node:crypto'
import { isAnyArrayBuffer } from 'node:util/types'
import { optionError, type SessionError } from '../../core/errors.js'
import { isRepeated, shortestSecret, Signer } from '../../core/signer.js'
import { warnOnce } from '../../core/warn-once.js'

/** A secret of `session(options)`: whatever `createHmac` of `node:crypto` accepts as a key. */
export type HmacKey = CipherKey | ArrayBuffer

/**
 * Returns a function that gives the signer of a request; `undefined` if there is neither a secret nor a `req.secret`.
 * @throws TypeError with express-session's own words, or ERR_SESSION_OPTION.
 */
export function resolveSecrets(options: {
  readonly secret?: HmacKey | readonly HmacKey[] | undefined
}): (request: object) => Signer | undefined {
  const { secret } = options
  if (Array.isArray(secret) && secret.length === 0) {
    throw new TypeError('secret option array must contain one or more strings')
  }
  if (Array.isArray(secret)) return rotating(secret as readonly HmacKey[])
  if (secret) {
    const signer = signerOf(secret as HmacKey)
    return () => signer
  }
  if ('secret' in options) {
    throw optionError(
      'secret option required for sessions: it was given, but is empty. Is its environment variable set?',
    )
  }
  const signers = new Map<unknown, Signer>()
  return (request) => {
    const own = (request as { secret?: HmacKey }).secret
    if (!own) return undefined
    let signer = signers.get(own)
    if (signer) return signer
    if (signers.size >= 100) signers.clear()
    signers.set(own, (signer = signerOf(own)))
    return signer
  }
}

/** A signer that follows later changes of the list, as in express-session: apps replace secrets by changing it. */
function rotating(secrets: readonly HmacKey[]): () => Signer {
  let used = [...secrets]
  let signer = signerOf(used)
  return () => {
    if (secrets.length !== used.length || secrets.some((secret, index) => secret !== used[index])) {
      used = [...secrets]
      signer = signerOf(used)
    }
    return signer
  }
}

function signerOf(secrets: HmacKey | readonly HmacKey[]): Signer {
  const keys = (Array.isArray(secrets) ? secrets : [secrets]).filter(Boolean) as HmacKey[]
  return new Signer(keys.map(keyFrom))
}

function keyFrom(secret: HmacKey): KeyObject {
  if (secret instanceof KeyObject) return secret
  const bytes = bytesOf(secret)
  if (bytes.length < shortestSecret) {
    warnOnce(
      'COATCHECK_SHORT_SECRET',
      'The session secret is shorter than 16 bytes: whoever holds one cookie could find it by trying. Put 32 random bytes first in the list, such as `openssl rand -base64 32` prints, and keep this one behind it until its cookies have expired.',
    )
  }
  if (isRepeated(typeof secret === 'string' ? secret : bytes)) {
    warnOnce(
      'COATCHECK_REPEATED_SECRET',
      'The session secret is one repeated character or byte: whoever holds one cookie could find it by trying. Put 32 random bytes first in the list, such as `openssl rand -base64 32` prints, and keep this one behind it until its cookies have expired.',
    )
  }
  return createSecretKey(bytes)
}

function bytesOf(secret: Exclude<HmacKey, KeyObject>): Buffer {
  if (typeof secret === 'string') return Buffer.from(secret)
  if (ArrayBuffer.isView(secret)) return Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength)
  if (isAnyArrayBuffer(secret)) return Buffer.from(secret)
  // Without this, `Buffer.from` would turn a list of texts into zeros, which everybody can guess.
  throw optionError('secret must be a text, bytes, a KeyObject, or a list of those.')
}

/** The error of a request for which there is no secret. */
export function missingSecret(): SessionError {
  return optionError('secret option required for sessions')
}
