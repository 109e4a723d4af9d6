import { hashOf } from '../../dist/core/token.js'
import type { SessionId, SessionRecord, SessionStore, SessionWrite, WriteResult } from 'coatcheck'

interface Asked<Request, Answer> {
  readonly requests: readonly Request[]
  answer(answers: Answer[]): void
  fail(error: unknown): void
}

/** A store that answers when, and what, the test says: to see what is asked of it, and in which company. */
export class HandDrivenStore implements SessionStore {
  readonly finds: Asked<SessionId, SessionRecord | undefined>[] = []
  readonly writes: Asked<SessionWrite, WriteResult | Error>[] = []

  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return asked(this.finds, ids)
  }

  async alive(): Promise<never> {
    throw new Error('not asked for here')
  }

  write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
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

export function id(name: string): SessionId {
  return name as SessionId
}

export function removal(name: string): SessionWrite {
  return { type: 'remove', id: id(name), userId: undefined }
}

/** A turn of the event loop is over, and all that waited for its end has happened. */
export async function turn(): Promise<void> {
  // The first may have been set before what the test did, or after.
  for (let phase = 0; phase < 2; phase++) await new Promise((resolve) => setImmediate(resolve))
}

/** A session; of the token `token`, unless its `hash` is given. */
export function recordOf(id: SessionId, version = 1, hash = hashOf('token')): SessionRecord {
  return {
    id,
    hash,
    about: undefined,
    rootId: undefined,
    format: 1,
    marks: undefined,
    userId: undefined,
    authenticatedAt: undefined,
    data: Buffer.from('{}'),
    version,
    createdAt: 0,
    seenAt: 0,
    expiresAt: 1,
    readAt: 0,
  }
}
