import { isError } from '../../core/errors.js'
import { longestTimer } from '../../core/lifetime.js'
import { clearTimeout, setTimeout } from '../../core/scheduling.js'
import { LostStatement } from '../sql/lost-statement.js'
import type { Command, RedisCommands } from './commands.js'
import { codeOfReply, wasNotSent } from './error-codes.js'
import type { Script } from './scripts.js'

/** Sends commands with a time limit, and runs scripts by their hashes. */
export class RedisClient {
  readonly #commands: RedisCommands
  readonly #limit: number
  /** Told that a command had no answer in time. */
  readonly #onSilence: () => void

  /** @param limit milliseconds that a command may take. */
  constructor(commands: RedisCommands, limit: number, onSilence: () => void = () => undefined) {
    this.#commands = commands
    this.#limit = limit
    this.#onSilence = onSilence
  }

  get isCluster(): boolean {
    return this.#commands.isCluster
  }

  /** Reads. A command that was lost with its connection does no harm if it is sent again. */
  async read<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof LostStatement) || error.limit !== undefined) throw error
      return work()
    }
  }

  /**
   * @throws (by the promise) LostStatement: it is unknown whether the command took effect.
   * @throws (by the promise) else the server's answer, or the client's error before it sent anything.
   */
  async send(key: string, command: Command): Promise<unknown> {
    return this.#within(() => this.#commands.send(key, command))
  }

  /** The same for a script. A server that does not know it gets its text, and keeps that. */
  async run(
    { sha, text }: Script,
    keys: readonly string[],
    values: readonly (string | Buffer)[] = [],
  ): Promise<unknown> {
    const rest = [`${keys.length}`, ...keys, ...values]
    try {
      return await this.send(keys[0]!, ['EVALSHA', sha, ...rest])
    } catch (error) {
      if (codeOfReply(error) !== 'NOSCRIPT') throw error
      return this.send(keys[0]!, ['EVAL', text, ...rest])
    }
  }

  /** The answers of all servers that take writes. */
  async everywhere<Answer>(
    work: (send: (command: Command) => Promise<unknown>) => Promise<Answer>,
  ): Promise<Answer[]> {
    const servers = await this.#within(() => this.#commands.servers())
    return Promise.all(servers.map((send) => work((command) => this.#within(() => send(command)))))
  }

  /** @returns how many replicas have the writes of this client for the key; the server waits `limit` milliseconds. */
  async waitForReplicas(key: string, replicas: number, limit: number): Promise<number> {
    return this.#within(() => this.#commands.waitForReplicas(key, replicas, limit), this.#limit + limit)
  }

  #within<Answer>(work: () => Promise<Answer>, limit = this.#limit): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => {
          reject(new LostStatement({ limit }))
          this.#onSilence()
        },
        Math.min(limit, longestTimer),
      )
      const fail = (error: unknown): void => {
        clearTimeout(timer)
        const isKnown = codeOfReply(error) !== undefined || wasNotSent(error) || !isError(error)
        reject(isKnown ? (error as Error) : new LostStatement({ cause: error }))
      }
      try {
        work().then((answer) => {
          clearTimeout(timer)
          resolve(answer)
        }, fail)
      } catch (error) {
        fail(error)
      }
    })
  }
}
