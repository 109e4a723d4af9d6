import { createHmac, timingSafeEqual } from 'node:crypto'
import { userIdBytes } from '../users/user-id.js'

/**
 * What a store that keeps sessions as older libraries do has no place for. It lies in the session itself, as its
 * `coatcheck`: to apps of those libraries it is data like any other, which they keep. `userId` comes first in its text,
 * then `publicId`; the signature comes last, and `createdAt` before it.
 */
export interface EmbeddedMetadata {
  readonly userId: string | undefined
  readonly publicId: string
  /** When the user last proved who they are. Left out where that was when the session began. */
  readonly authenticatedAt?: number | undefined
  /** Milliseconds since the epoch, by the store's clock. */
  readonly createdAt: number
}

/** The metadata in a session as it is stored; `undefined` if there is none, or something else in its place. */
export function metadataIn({ coatcheck }: Readonly<Record<string, unknown>>): EmbeddedMetadata | undefined {
  if (typeof coatcheck !== 'object' || coatcheck === null) return undefined
  const { userId, publicId, createdAt, authenticatedAt } = coatcheck as Readonly<Record<string, unknown>>
  if (typeof publicId !== 'string' || !Number.isSafeInteger(createdAt)) return undefined
  const began = Number(createdAt)
  const user = typeof userId === 'string' ? unescaped(userId) : undefined
  if (user === undefined) return { userId: undefined, publicId, createdAt: began }
  const authenticated = Number.isSafeInteger(authenticatedAt) ? Number(authenticatedAt) : began
  return { userId: user, publicId, authenticatedAt: authenticated, createdAt: began }
}

/** A metadata as it lies in the session, with what shows that coatcheck has written it there. */
export interface SignedMetadata extends EmbeddedMetadata {
  readonly signature: string
}

/**
 * Signs a metadata for one session. Without that, an app which stores a visitor's words under a name of the visitor's choice would let
 * them write `coatcheck`, and so be whom they like.
 *
 * @param subject names the session: no other may have its metadata.
 */
export function signedMetadata(key: string, subject: string, metadata: EmbeddedMetadata): SignedMetadata {
  const stored = storedMetadata(metadata)
  return { ...stored, signature: signatureOf(key, subject, stored) }
}

/** Whether the metadata in a session is one that one of these keys has signed for it. */
export function isSigned(
  { coatcheck }: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  subject: string,
): boolean {
  const stored = coatcheck as SignedMetadata
  if (typeof stored.signature !== 'string') return false
  const given = Buffer.from(stored.signature)
  return keys.some((key) => {
    const expected = Buffer.from(signatureOf(key, subject, stored))
    return given.length === expected.length && timingSafeEqual(given, expected)
  })
}

function signatureOf(
  key: string,
  subject: string,
  { userId, publicId, authenticatedAt, createdAt }: EmbeddedMetadata,
): string {
  const text = JSON.stringify([subject, userId ?? null, publicId, authenticatedAt ?? null, createdAt])
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** The metadata as it lies in the session. */
export function storedMetadata({ userId, ...rest }: EmbeddedMetadata): EmbeddedMetadata {
  return { userId: userId === undefined ? undefined : escapedUserId(userId), ...rest }
}

/**
 * A user id in visible ASCII, the same text for the same id. Every store keeps such a text as it is. A column with a
 * smaller character set would turn other characters into question marks, and so one user into another.
 *
 * @throws ERR_SESSION_USER_ID for what is no text of 1 to 255 bytes of UTF-8.
 */
export function escapedUserId(userId: string): string {
  userIdBytes(userId)
  return userId.replace(/[^!-$&-~]+/g, encodeURIComponent)
}

function unescaped(userId: string): string | undefined {
  try {
    return decodeURIComponent(userId)
  } catch {
    return undefined
  }
}

/** The metadata of a record that is stored anew. */
export function metadataOf(
  userId: string | undefined,
  { publicId, createdAt }: Pick<EmbeddedMetadata, 'publicId' | 'createdAt'>,
  authenticatedAt: number | undefined,
): EmbeddedMetadata {
  if (userId === undefined || authenticatedAt === createdAt) return { userId, publicId, createdAt }
  return { userId, publicId, authenticatedAt, createdAt }
}
