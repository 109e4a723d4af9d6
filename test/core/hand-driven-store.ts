import type { SessionKey, SessionRecord, SessionStore, SessionWrite, WriteResult } from 'coatcheck'

interface Asked<Request, Answer> {
  readonly requests: readonly Request[]
  answer(answers: Answer[]): void
  fail(error: unknown): void
}

/** A store that answers when, and what, the test says: to see what is asked of it, and in which company. */
export class HandDrivenStore implements SessionStore {
  readonly finds: Asked<SessionKey, SessionRecord | undefined>[] = []
  readonly writes: Asked<SessionWrite, WriteResult>[] = []

  find(keys: readonly SessionKey[]): Promise<(SessionRecord | undefined)[]> {
    return asked(this.finds, keys)
  }

  write(writes: readonly SessionWrite[]): Promise<WriteResult[]> {
    return asked(this.writes, writes)
  }

  async list(): Promise<never> {
    throw new Error('not asked for here')
  }

  async removeByUser(): Promise<number> {
    return 0
  }

  async removeExpired(): Promise<number> {
    return 0
  }

  async close(): Promise<void> {}
}

function asked<Request, Answer>(
  log: Asked<Request, Answer>[],
  requests: readonly Request[],
): Promise<Answer[]> {
  return new Promise((resolve, reject) => {
    log.push({ requests, answer: resolve, fail: reject })
  })
}

export function recordOf(key: SessionKey, version = 1): SessionRecord {
  return {
    key,
    publicId: `public ${key}`,
    userId: undefined,
    data: Buffer.from('{}'),
    version,
    createdAt: 0,
    seenAt: 0,
    expiresAt: 1,
    readAt: 0,
  }
}
