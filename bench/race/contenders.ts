import type { sessionKinds } from '../apps/session-kinds.ts'

/** One kind of session that is raced. */
export interface Contender {
  readonly kind: keyof typeof sessionKinds
  readonly title: string
  /** How many processes share its store: one, where it is in the memory of that one. */
  readonly processes: 1 | 2
  /** Whether it promises that no update is lost and no session comes back. */
  readonly promises: boolean
}

export const contenders: readonly Contender[] = [
  { kind: 'mysql', title: 'express-session, express-mysql-session', processes: 2, promises: false },
  { kind: 'mysql-without-touch', title: 'the same with disableTouch', processes: 2, promises: false },
  { kind: 'postgresql', title: 'express-session, connect-pg-simple', processes: 2, promises: false },
  { kind: 'redis', title: 'express-session, connect-redis', processes: 2, promises: false },
  { kind: 'redis-cluster', title: 'the same on a Redis Cluster', processes: 2, promises: false },
  { kind: 'memory', title: 'express-session, MemoryStore', processes: 1, promises: false },
  { kind: 'coatcheck-mysql', title: 'coatcheck, MySQL', processes: 2, promises: true },
  { kind: 'coatcheck-postgresql', title: 'coatcheck, PostgreSQL', processes: 2, promises: true },
  { kind: 'coatcheck-redis', title: 'coatcheck, Redis', processes: 2, promises: true },
  { kind: 'coatcheck-redis-cluster', title: 'coatcheck, Redis Cluster', processes: 2, promises: true },
  { kind: 'coatcheck-sqlite', title: 'coatcheck, SQLite', processes: 2, promises: true },
  { kind: 'coatcheck-memory', title: 'coatcheck, memory', processes: 1, promises: true },
  { kind: 'coatcheck-drop-in', title: 'coatcheck, imports replaced', processes: 2, promises: true },
  // A store written for express-session has no compare-and-set: over processes, no one can promise anything on it.
  { kind: 'coatcheck-drop-in-redis', title: 'coatcheck on connect-redis', processes: 2, promises: false },
]
