import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  KeyObject,
  randomBytes,
} from 'node:crypto'
import { optionError, type SessionError, shown } from '../errors.js'
import type { SessionRecord } from '../store/record.js'
import type { SessionWrite } from '../store/session-store.js'

/**
 * A key of `encryption`: 32 random bytes as a `Uint8Array`, a secret `KeyObject`, or base64 text, as
 * `openssl rand -base64 32` prints it. `'plain'` stands for data that is not encrypted.
 */
export type EncryptionKey = string | Uint8Array | KeyObject

/*
 * What a store gets in place of the codec's bytes:
 *
 *   1 byte    0xC1, the format's version. No UTF-8 and no MessagePack begins with it, so plain data is told from this.
 *   8 bytes   the id of the key, made from the key itself
 *   12 bytes  the nonce, random
 *   n bytes   the codec's bytes, encrypted
 *   16 bytes  the tag
 *
 * AES-256-GCM may meet at most 2^32 random nonces under one key (NIST SP 800-38D, section 8.3), which a busy site would
 * have used up within weeks. So each session has an encryption key of its own, derived with HKDF-Expand (RFC 5869,
 * section 2.3; the step before it is for keys that are not uniformly random, section 3.3). That also binds the data to
 * its record: under another id it cannot be decrypted. The first 9 bytes, the user and the hash of the token go in as
 * additional authenticated data.
 */
const version = 0xc1
const keyLength = 32
const idEnd = 9
const nonceEnd = 21
const tagLength = 16

/** The record that data belongs to. */
type Owner = Pick<SessionRecord, 'id' | 'userId' | 'hash'>

/**
 * Plain bytes: made by the codec, or decrypted for it. All other bytes are as in the store, so they are decrypted
 * first.
 */
class PlainData extends Uint8Array {}

interface Key {
  /** The version and the key's id. */
  readonly header: Buffer
  readonly secret: KeyObject
}

/** For stores that older libraries read. `encryption` is refused there: if it were ignored, data would stay plain. */
export function encryptionUnavailable(): SessionError {
  return optionError(
    "encryption needs createSessions, with a store in coatcheck's own layout: here sessions are kept as the JSON that older libraries read. Leave encryption out, or move over first, as docs/migrating.md of the coatcheck package tells.",
  )
}

/** Encrypts the data of records on the way to the store, and decrypts it on the way back. */
export class Encryption {
  readonly #keys = new Map<string, Key>()
  /** The key that encrypts. `undefined`: data is written plain. */
  readonly #first: Key | undefined
  readonly #readsPlain: boolean

  /**
   * @param keys the first encrypts, all decrypt; `'plain'` stands for no encryption.
   * @throws ERR_SESSION_OPTION if the first is missing, one is no key, one is there twice, or there is only `'plain'`.
   */
  constructor(keys: EncryptionKey | undefined | readonly (EncryptionKey | undefined)[]) {
    const given = Array.isArray(keys) ? (keys as readonly unknown[]) : [keys]
    if (!given[0]) {
      throw optionError(
        'encryption has no first key; is its environment variable set? Give 32 random bytes, the same in every app, such as `openssl rand -base64 32` prints, or leave encryption out.',
      )
    }
    const listed = given.filter((key) => key !== undefined && key !== null && key !== '')
    for (const key of listed) if (key !== 'plain') this.#add(key)
    if (this.#keys.size === 0) {
      throw optionError(
        "encryption lists 'plain' and no key: give ['plain', key] for a start, or leave encryption out.",
      )
    }
    this.#first = listed[0] === 'plain' ? undefined : this.#keys.values().next().value
    this.#readsPlain = listed.includes('plain')
  }

  #add(given: unknown): void {
    const secret = secretOf(given)
    const id = createHmac('sha256', secret).update('coatcheck key id').digest().subarray(0, 8)
    const header = Buffer.concat([Buffer.of(version), id])
    if (this.#keys.has(header.toString('latin1'))) {
      throw optionError(
        'encryption lists one key twice. To replace a key, keep the old one behind the new one: encryption: [key, oldKey].',
      )
    }
    this.#keys.set(header.toString('latin1'), { header, secret })
  }

  /** Marks bytes as plain: made by the codec. They are not copied. */
  plain(bytes: Uint8Array): Uint8Array {
    return new PlainData(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
  }

  /** The write with its data encrypted, for a session whose token has that hash. */
  sealed(write: SessionWrite, hash: Uint8Array): SessionWrite {
    if (write.type === 'touch' || write.type === 'remove') return write
    return { ...write, data: this.seal(write.data, { id: write.id, userId: write.userId, hash }) }
  }

  /** Encrypts plain data. Other bytes, such as those of notes or from the store, stay as they are. */
  seal(data: Uint8Array, owner: Owner): Uint8Array {
    if (!(data instanceof PlainData)) return data
    if (!this.#first) return Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    const { header, secret } = this.#first
    const nonce = randomBytes(nonceEnd - idEnd)
    const cipher = createCipheriv('aes-256-gcm', derivedKey(secret, owner), nonce)
    cipher.setAAD(authenticated(header, owner))
    const encrypted = [cipher.update(data), cipher.final()]
    return Buffer.concat([header, nonce, ...encrypted, cipher.getAuthTag()])
  }

  /**
   * The record with its data decrypted.
   * @throws if the data was changed, belongs to another record, or was encrypted with another key.
   */
  opened(record: SessionRecord): SessionRecord {
    return record.data instanceof PlainData ? record : { ...record, data: this.#open(record.data, record) }
  }

  #open(stored: Uint8Array, owner: Owner): Uint8Array {
    if (stored[0] !== version) {
      if (this.#readsPlain) return this.plain(stored)
      throw new Error("it is not encrypted, and encryption does not list 'plain'")
    }
    const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength)
    const key = this.#keys.get(bytes.toString('latin1', 0, idEnd))
    if (!key) throw new Error('it is encrypted with a key that encryption does not list')
    const tagStart = bytes.length - tagLength
    if (tagStart < nonceEnd) throw new Error('it is cut off')
    const nonce = bytes.subarray(idEnd, nonceEnd)
    const decipher = createDecipheriv('aes-256-gcm', derivedKey(key.secret, owner), nonce)
    decipher.setAAD(authenticated(key.header, owner))
    decipher.setAuthTag(bytes.subarray(tagStart))
    const decrypted = decipher.update(bytes.subarray(nonceEnd, tagStart))
    decipher.final()
    return this.plain(decrypted)
  }
}

function derivedKey(secret: KeyObject, { id }: Owner): Buffer {
  return createHmac('sha256', secret).update(`coatcheck session data ${id}\x01`).digest()
}

function authenticated(header: Buffer, { userId, hash }: Owner): Buffer {
  // All parts but the last have a fixed length, so two owners never give the same bytes.
  const owner = userId === undefined ? 'nobody' : `user ${userId}`
  return Buffer.concat([header, hash ?? Buffer.alloc(0), Buffer.from(owner)])
}

function secretOf(given: unknown): KeyObject {
  const bytes = bytesOf(given)
  if (bytes.length !== keyLength) {
    throw optionError(
      `encryption needs keys of ${keyLength} bytes, and one has ${bytes.length} (texts are read as base64). \`openssl rand -base64 32\` prints a good one.`,
    )
  }
  return createSecretKey(bytes)
}

function bytesOf(given: unknown): Uint8Array {
  if (given instanceof Uint8Array) return given
  if (given instanceof KeyObject && given.type === 'secret') return given.export()
  if (typeof given !== 'string') {
    throw optionError(
      `encryption takes a Buffer, a secret KeyObject, base64 text, 'plain', or a list of those, not ${given instanceof KeyObject ? `a ${given.type} key` : shown(given)}.`,
    )
  }
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(given)) {
    throw optionError(
      'encryption has a key that is not base64. `openssl rand -base64 32` prints a good one; bytes of another form go in as a Buffer.',
    )
  }
  return Buffer.from(given, 'base64')
}
