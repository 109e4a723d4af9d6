import { hash } from 'node:crypto'
import type { SessionId } from '../../core/store/record.js'
import type { RedisClient } from './client.js'
import { indexScript } from './scripts.js'
import { entryLength, type Indexed } from './writes.js'

/** Milliseconds that an entry stands in an index beyond what is asked for: longer than any commit takes. */
const margin = 86_400_000
const idLength = 12

/** What stands in the index of a user: which session, and the write that bound it to the user. */
export interface Entry {
  readonly id: SessionId
  readonly member: Buffer
}

/**
 * Which sessions a user has. A cluster cannot change a session and the index of its user in one step: they lie in different
 * slots. So an entry is added before its session is stored, and stays longer than the session can live. What is in the index
 * may be over; what is not there does not exist.
 *
 * The write that binds a session to a user gives its mark to the entry. So to remove an entry never removes that of a later
 * sign-in on the same session.
 */
export class UserIndex {
  readonly #client: RedisClient
  readonly #prefix: string

  constructor(client: RedisClient, prefix: string) {
    this.#client = client
    this.#prefix = prefix
  }

  /** Adds an entry for a session; or prolongs it, if it stands there. */
  async add(id: SessionId, { entry, user, milliseconds }: Indexed): Promise<void> {
    await this.#client.run(
      indexScript,
      [this.#keyOf(user)],
      [`${milliseconds + margin}`, memberOf(id, entry)],
    )
  }

  /** All entries of a user, each once, however many a session has. */
  async entries(user: Buffer): Promise<Entry[]> {
    const key = this.#keyOf(user)
    const members = await this.#client.read(() => this.#client.send(key, ['ZRANGE', key, '0', '-1']))
    return (members as Buffer[]).map((member) => ({
      id: member.toString('base64url', entryLength) as SessionId,
      member,
    }))
  }

  async remove(user: Buffer, members: readonly Buffer[]): Promise<void> {
    const key = this.#keyOf(user)
    for (let start = 0; start < members.length; start += 1_000)
      await this.#client.send(key, ['ZREM', key, ...members.slice(start, start + 1_000)])
  }

  /** By a hash: ids of users may be e-mail addresses, and have braces, which choose the slot of a key. */
  #keyOf(user: Buffer): string {
    return `${this.#prefix}user:${hash('sha256', user, 'base64url')}`
  }
}

export function memberOf(id: SessionId, entry: Buffer): Buffer {
  const member = Buffer.alloc(entryLength + idLength)
  member.set(entry)
  member.write(id, entryLength, 'base64url')
  return member
}
