import { optionError } from '../../core/errors.js'
import { type NodeRedisClient, ofNodeRedis, type RedisCommands, type Send } from './commands.js'
import { driver } from './driver.js'

/** Of a client of the package redis, what the store uses of its own. */
interface OwnClient extends NodeRedisClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/**
 * The commands by a connection of our own to one server. It connects when it is first used, and again when it is used after
 * it was lost. Whoever waits for a connection that cannot be made learns so at once.
 */
export class OwnCommands implements RedisCommands {
  readonly isCluster = false
  readonly #url: string
  readonly #connectTimeout: number
  #connecting: Promise<RedisCommands> | undefined
  #client: OwnClient | undefined

  /**
   * @param connectTimeout the milliseconds that connecting may take.
   * @throws ERR_SESSION_OPTION, never with the password in it.
   */
  constructor(url: string, connectTimeout: number) {
    this.#url = checked(url)
    this.#connectTimeout = connectTimeout
    this.#make() // so that a URL that the client refuses is refused now
  }

  async send(key: string, command: readonly (string | Buffer)[]): Promise<unknown> {
    return (await this.#connected()).send(key, command)
  }

  async servers(): Promise<readonly Send[]> {
    return (await this.#connected()).servers()
  }

  async waitForReplicas(key: string, replicas: number, limit: number): Promise<number> {
    return (await this.#connected()).waitForReplicas(key, replicas, limit)
  }

  duplicate(): OwnCommands {
    return new OwnCommands(this.#url, this.#connectTimeout)
  }

  /** A connection that is silent may be dead: the next command gets another. */
  reconnect(): void {
    const client = this.#client
    this.#client = undefined
    this.#connecting = undefined
    // It rejects what is under way.
    if (client?.isOpen) client.destroy()
  }

  async close(): Promise<void> {
    this.reconnect()
  }

  #connected(): Promise<RedisCommands> {
    if (this.#connecting !== undefined && this.#client?.isOpen !== false) return this.#connecting
    const client = this.#make()
    this.#client = client
    const connecting = client.connect().then(() => ofNodeRedis(client))
    this.#connecting = connecting
    connecting.catch(() => {
      if (this.#connecting === connecting) this.#connecting = undefined
    })
    return connecting
  }

  #make(): OwnClient {
    const { createClient } = driver()
    try {
      const client = createClient({
        url: this.#url,
        socket: { connectTimeout: this.#connectTimeout, reconnectStrategy: false },
      }) as unknown as OwnClient
      // Who waits for the connection, or for an answer by it, learns of it otherwise.
      client.on('error', () => undefined)
      return client
    } catch {
      // Not with the error as the cause: an error about a URL may contain the URL, with its password.
      throw optionError(
        'The package redis refuses the URL of RedisStore. Write redis://user:password@host:6379/0, where 0 is the number of the database, or rediss:// for TLS; characters such as % and @ in a password are written %25 and %40.',
      )
    }
  }
}

function checked(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw optionError(
      'The URL of RedisStore is none. Write redis://user:password@host:6379, or rediss:// for TLS; characters such as % and @ in a password are written %25 and %40.',
    )
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') {
    throw optionError(
      `The URL of RedisStore begins with ${url.protocol}//, and it takes redis://user:password@host:6379, or rediss:// for TLS.`,
    )
  }
  if (url.search !== '') {
    throw optionError(
      'The URL of RedisStore has parameters after a ?, which the package redis would ignore. Make a client with these settings, and give RedisStore that.',
    )
  }
  return text
}
