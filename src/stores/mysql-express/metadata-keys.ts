import { randomBytes } from 'node:crypto'
import { keyPrefix } from '../../core/token.js'
import { change, type MySQLClient, select } from '../mysql/pool.js'
import { idOfRow } from './record.js'
import type { ExpressStatements } from './statements.js'

/**
 * The keys that sign what coatcheck keeps in the sessions of a table of express-mysql-session. They lie in the table itself, as the ids of
 * rows, so that all apps on it have them, and `coatcheck copy` too. A visitor can neither name such a row nor guess one; and whoever can
 * read the table has everybody's sessions anyway. There are several where two apps made the first in the same moment.
 */
export class MetadataKeys {
  readonly #client: MySQLClient
  readonly #sql: ExpressStatements
  #known: readonly string[] = []
  /** So that writes of one moment make one key. */
  #signing: Promise<string> | undefined

  constructor(client: MySQLClient, sql: ExpressStatements) {
    this.#client = client
    this.#sql = sql
  }

  /** Those that this process has read. */
  get known(): readonly string[] {
    return this.#known
  }

  /** All that are there now. */
  async read(): Promise<readonly string[]> {
    this.#known = (await select(this.#client, this.#sql.keys)).map(idOfRow).filter(isKey)
    return this.#known
  }

  /** The one that signs. It is made if there is none. */
  signing(): Promise<string> {
    this.#signing ??= this.#readOrMake().finally(() => (this.#signing = undefined))
    return this.#signing
  }

  async #readOrMake(): Promise<string> {
    const [known] = this.#known.length > 0 ? this.#known : await this.read()
    if (known !== undefined) return known
    const key = `${keyPrefix}${randomBytes(32).toString('hex')}`
    // Apps that have not moved must be able to read it.
    const session = { cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' } }
    await change(this.#client, this.#sql.insertKey, [Buffer.from(key), Buffer.from(JSON.stringify(session))])
    return (await this.read())[0] ?? key
  }

  /** The one that signs from now on, where the table was emptied since. */
  signingAnew(): Promise<string> {
    this.#known = []
    return this.signing()
  }
}

function isKey(id: string): boolean {
  return id.startsWith(keyPrefix)
}
