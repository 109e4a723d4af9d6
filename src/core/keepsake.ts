/**
 * What a store that keeps sessions as older libraries do has no place for. It lies in the session itself, as its
 * `coatcheck`: to apps of those libraries it is data like any other, which they keep. `userId` comes first in its text,
 * then `publicId`.
 */
export interface Keepsake {
  readonly userId: string | undefined
  readonly publicId: string
  /** Milliseconds since the epoch, by the store's clock. */
  readonly createdAt: number
}

/** The keepsake in a session as it is stored; `undefined` if there is none, or something else in its place. */
export function keepsakeIn({ coatcheck }: Readonly<Record<string, unknown>>): Keepsake | undefined {
  if (typeof coatcheck !== 'object' || coatcheck === null) return undefined
  const { userId, publicId, createdAt } = coatcheck as Readonly<Record<string, unknown>>
  if (typeof publicId !== 'string' || !Number.isSafeInteger(createdAt)) return undefined
  return { userId: typeof userId === 'string' ? userId : undefined, publicId, createdAt: Number(createdAt) }
}
