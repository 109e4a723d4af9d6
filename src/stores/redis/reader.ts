import type { SessionId, SessionRecord } from '../../core/store/record.js'
import { isSessionId } from '../../core/token.js'
import { parts } from '../sql/batch-size.js'
import type { RedisClient } from './client.js'
import type { Command, Send } from './commands.js'
import { recordOf } from './record.js'
import { readScript, type Script } from './scripts.js'

/** The most keys that one script reads, where all lie on one server. */
const largestPart = 256

/** The value of a key, and when it was read. */
export interface ReadValue {
  readonly value: Buffer
  /** Milliseconds, by the clock of the server that has it. */
  readonly readAt: number
}

/** Reads the values of sessions and notes. */
export class RedisReader {
  readonly client: RedisClient
  readonly #prefix: string

  constructor(client: RedisClient, prefix: string) {
    this.client = client
    this.#prefix = prefix
  }

  keyOf(id: SessionId): string {
    return `${this.#prefix}${id}`
  }

  /** The values of those ids that have one. */
  async values(script: Script, ids: readonly SessionId[]): Promise<Map<SessionId, ReadValue>> {
    const found = new Map<SessionId, ReadValue>()
    const portions = parts(ids.filter(isSessionId), this.client.isCluster ? 1 : largestPart)
    await Promise.all(
      portions.map(async (portion) => {
        const keys = portion.map((id) => this.keyOf(id))
        const [readAt, ...values] = (await this.client.read(() => this.client.run(script, keys))) as [
          number,
          ...(Buffer | null)[],
        ]
        portion.forEach((id, index) => {
          const value = values[index]
          if (value) found.set(id, { value, readAt: Number(readAt) })
        })
      }),
    )
    return found
  }

  /** The live records of some ids; of children, whether their roots live or not. */
  async records(script: Script, ids: readonly SessionId[]): Promise<Map<SessionId, SessionRecord>> {
    const found = new Map<SessionId, SessionRecord>()
    for (const [id, { value, readAt }] of await this.values(script, ids)) {
      const record = recordOf(id, value, readAt, script === readScript)
      if (record) found.set(id, record)
    }
    return found
  }

  /**
   * One step of a scan over the keys of a server (SCAN).
   * @param count about how many keys the server looks at.
   * @returns the ids among them, and where to go on; `'0'` is the beginning and the end.
   */
  async scan(send: Send, cursor: string, count: number): Promise<{ ids: SessionId[]; next: string }> {
    const pattern = `${this.#prefix.replaceAll(/[\\*?[\]^]/g, String.raw`\$&`)}${'?'.repeat(16)}`
    const scan: Command = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', `${count}`]
    const [next, keys] = (await this.client.read(() => send(scan))) as [Buffer, Buffer[]]
    const ids = keys.map((key) => key.toString('latin1', key.length - 16)).filter(isSessionId)
    return { ids, next: String(next) }
  }
}
