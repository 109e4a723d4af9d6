import { SessionError } from '../../core/errors.js'
import type { SessionId } from '../../core/store/record.js'
import type { SessionWrite, UpdateWrite, WriteResult } from '../../core/store/session-store.js'
import { failureOf } from '../../core/store/store-failure.js'
import { isSessionId } from '../../core/token.js'
import { userIdBytes } from '../../core/users/user-id.js'
import type { RedisClient } from './client.js'
import { writeScript } from './scripts.js'
import { memberOf, type UserIndex } from './user-index.js'
import { type Answer, answerOf, type Indexed, indexedFor, packed } from './writes.js'

/** How many replicas must have a sign-in, a sign-out or a rotation, and how many milliseconds they may take. */
export interface Replicas {
  readonly atLeast: number
  readonly within: number
}

/** A write under way. */
interface Sending {
  readonly write: SessionWrite
  /** The entry that stands in an index for it. */
  indexed: Indexed | undefined
  result: WriteResult | Error | undefined
  isImportant: boolean
}

/** The most writes of one script, and the most bytes of data in it, where all keys lie on one server. */
const largestPart = 256
const mostBytes = 1024 * 1024
/** How often a write is sent because the index must have an entry first. Each time another write was faster. */
const mostTries = 10

/**
 * Carries out batches of writes, each by itself. A write that binds a session to a user takes three steps, for session and
 * index lie in different slots: it adds the entry to the index, stores the session, and adds the entry again. A process may
 * end between any two. Then there is an entry without a session, which does no harm.
 */
export class RedisWriter {
  readonly #client: RedisClient
  readonly #keyOf: (id: SessionId) => string
  readonly #index: UserIndex
  readonly #replicas: Replicas | undefined

  /** @param client one with connections of its own, if it waits for replicas. */
  constructor(
    client: RedisClient,
    keyOf: (id: SessionId) => string,
    index: UserIndex,
    replicas: Replicas | undefined,
  ) {
    this.#client = client
    this.#keyOf = keyOf
    this.#index = index
    this.#replicas = replicas
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const all = writes.map((write): Sending => ({
      write,
      indexed: undefined,
      result: isSessionId(write.id) ? undefined : resultWithoutId(write),
      isImportant: false,
    }))
    await Promise.all(all.map((each) => this.#addEntryOfSignIn(each)))
    for (let tried = 1; ; tried++) {
      const left = all.filter(({ result }) => result === undefined)
      if (left.length === 0) break
      await Promise.all(this.#portions(left).map((portion) => this.#send(portion, tried === mostTries)))
    }
    const bound = all.filter(({ indexed, result }) => indexed && result === 'done')
    await Promise.all(bound.map((each) => this.#addEntry(each, each.indexed!)))
    if (this.#replicas) await this.#waitForReplicas(all, this.#replicas)
    return all.map(({ result }) => result!)
  }

  /** Cuts a batch into what one script may hold. In a cluster, that is one session. */
  #portions(all: readonly Sending[]): Sending[][] {
    if (this.#client.isCluster) return all.map((each) => [each])
    const portions: Sending[][] = []
    let bytes = Infinity
    for (const each of all) {
      const length = 'data' in each.write ? (each.write.data?.length ?? 0) : 0
      bytes += length
      if (bytes > mostBytes || portions.at(-1)!.length === largestPart) {
        portions.push([])
        bytes = length
      }
      portions.at(-1)!.push(each)
    }
    return portions
  }

  async #send(portion: readonly Sending[], isLast: boolean): Promise<void> {
    const sent: Sending[] = []
    const values: Buffer[] = []
    for (const each of portion) {
      try {
        values.push(packed(each.write, each.indexed))
        sent.push(each)
      } catch (error) {
        each.result = error as Error
      }
    }
    if (sent.length === 0) return
    try {
      const keys = sent.map(({ write }) => this.#keyOf(write.id))
      const answers = (await this.#client.run(writeScript, keys, [Buffer.concat(values)])) as Buffer[]
      await Promise.all(sent.map((each, index) => this.#take(each, answerOf(answers[index]!), isLast)))
    } catch (error) {
      for (const each of sent) each.result ??= error as Error
    }
  }

  async #take(each: Sending, answer: Answer, isLast: boolean): Promise<void> {
    if (answer.type === 'failed') {
      each.result = answer.error
    } else if (answer.type === 'index') {
      const { entry, user } = answer
      if (isLast) each.result = failureOf('writing sessions', new Error('the session kept changing'), 'busy')
      else await this.#addEntry(each, { entry, user, milliseconds: indexedFor(each.write as UpdateWrite) })
    } else {
      each.result = answer.result
      each.isImportant = answer.isImportant
      const { id } = each.write
      if (answer.isUnused) {
        this.#removeEntry(id, each.indexed!)
        each.indexed = undefined
      }
      if (answer.left) this.#removeEntry(id, answer.left)
    }
  }

  /** A sign-in needs its entry for certain, so it is not sent in vain first. */
  async #addEntryOfSignIn(each: Sending): Promise<void> {
    const { write } = each
    if (write.type !== 'insert' && !(write.type === 'update' && write.secret?.signedIn)) return
    if (write.userId === undefined || each.result !== undefined) return
    try {
      const user = userIdBytes(write.userId)
      await this.#addEntry(each, { entry: bytesOf(write.mark), user, milliseconds: indexedFor(write) })
    } catch (error) {
      each.result = error as Error
    }
  }

  /** If the entry cannot be added, the write has failed. */
  async #addEntry(each: Sending, indexed: Indexed): Promise<void> {
    try {
      await this.#index.add(each.write.id, indexed)
      each.indexed = indexed
    } catch (error) {
      each.result = error as Error
    }
  }

  /** Nobody waits for it: an entry that stays does no harm. */
  #removeEntry(id: SessionId, { entry, user }: Pick<Indexed, 'entry' | 'user'>): void {
    this.#index.remove(user, [memberOf(id, entry)]).catch(() => undefined)
  }

  async #waitForReplicas(all: readonly Sending[], { atLeast, within }: Replicas): Promise<void> {
    const important = all.filter(({ isImportant, result }) => isImportant && result === 'done')
    // One server has them all.
    const asked = this.#client.isCluster ? important : important.slice(0, 1)
    await Promise.all(
      asked.map(async (one) => {
        const failure = await this.#lackOfReplicas(one.write.id, atLeast, within)
        if (failure) for (const each of this.#client.isCluster ? [one] : important) each.result = failure
      }),
    )
  }

  async #lackOfReplicas(id: SessionId, atLeast: number, within: number): Promise<Error | undefined> {
    try {
      const have = await this.#client.waitForReplicas(this.#keyOf(id), atLeast, within)
      return have >= atLeast ? undefined : notReplicated(have, atLeast)
    } catch (error) {
      return error as Error
    }
  }
}

/** No record has an id that is none, and none gets it. */
function resultWithoutId({ type }: SessionWrite): WriteResult | Error {
  return type === 'insert'
    ? failureOf('writing sessions', new Error('its id is none of a session'), 'data')
    : 'gone'
}

function notReplicated(have: number, atLeast: number): SessionError {
  return new SessionError(
    'ERR_SESSION_NOT_REPLICATED',
    `Redis has stored the session, but only ${have} of ${atLeast} replicas had it in time. If the server fails now, the change may be lost. Check the replicas, or ask for fewer by waitForReplicas.`,
    { status: 503 },
  )
}

function bytesOf(mark: Uint8Array): Buffer {
  return Buffer.from(mark.buffer, mark.byteOffset, mark.byteLength)
}
