import type { SessionStore } from 'coatcheck'
import type { DatabaseServer } from '../../servers/server-process.ts'

/** A server that can be killed, and started again. */
export type OwnServer = Required<DatabaseServer>

/** A kind of database that goes through faults, and all that the fault bench has to know of it. */
export interface FaultyDatabase {
  readonly name: 'MariaDB' | 'MySQL' | 'PostgreSQL'
  /** @param parent where the folder of its data is made */
  start(parent?: string): Promise<DatabaseServer>
  /** Makes an empty database, and a user for the apps. Gives the URLs by which an administrator and the apps reach it. */
  prepare(server: string): Promise<{ readonly owner: string; readonly apps: string }>
  openStore(url: string): SessionStore
  connect(owner: string): Promise<Owner>
  /** How data of a session that holds `text` goes over the network. */
  onNetwork(text: string): string
  /** How the next version of its store differs. */
  readonly nextVersion: NextStore
  /** Whether the server ends itself on a full disk. */
  readonly endsOnFullDisk: boolean
}

/** A file of the built package, and what the next version has in it instead. */
export interface NextStore {
  readonly file: string
  readonly differences: readonly (readonly [now: string, then: string])[]
}

/** A connection of a user who may do everything. It does not go through the proxy. */
export interface Owner {
  /** Locks all sessions, until `unlock`. */
  lock(): Promise<void>
  unlock(): Promise<void>
  setReadOnly(isReadOnly: boolean): Promise<void>
  /** Locks sessions in use in the opposite order to the store's, until that has led to a deadlock. */
  deadlock(): Promise<void>
  /** What is stored of a user's only session. */
  read(user: string, column: 'data' | 'user_id'): Promise<Held>
  store(id: Buffer, column: 'data' | 'user_id', bytes: Buffer): Promise<void>
  connectionsOfApps(): Promise<number>
  /** What the column holds that the next version adds, for each session of a user. */
  madeBy(user: string): Promise<string[]>
  /** Puts right what a full disk may leave behind. */
  repair(): Promise<void>
  end(): Promise<void>
}

export interface Held {
  readonly id: Buffer
  readonly held: Buffer
}
