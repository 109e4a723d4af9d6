import type { Mutation } from '../aim.ts'

const memory = { file: 'src/stores/memory.ts', tests: ['test/stores/memory.test.ts'] }
const withProperties = {
  file: memory.file,
  tests: [...memory.tests, 'test/properties/interleavings.test.ts'],
}
const sqlite = {
  file: 'src/stores/sqlite/statements.ts',
  tests: ['test/stores/sqlite.test.ts'],
  store: 'SQLite',
} as const
const mysql = {
  file: 'src/stores/mysql/statements.ts',
  tests: ['test/stores/mysql.test.ts'],
  store: 'MySQL',
} as const

/** What every store does. */
export const storeRules: readonly Mutation[] = [
  // What a write finds
  {
    name: 'an update creates what is not there',
    ...withProperties,
    at: 'MemoryStore.#carryOut',
    find: "    if (entry === undefined) return 'gone'\n",
    replace: `    if (entry === undefined && write.type === 'update')
      return this.#insert({ ...write, type: 'insert', hash: write.secret?.hash, signedIn: false }, now)
    if (entry === undefined) return 'gone'
`,
  },
  {
    name: 'an update looks at no version',
    ...withProperties,
    at: 'MemoryStore.#update',
    find: "    if (entry.version !== write.version) return 'stale'\n",
    replace: '',
  },
  {
    name: 'an update looks at no version (SQLite)',
    ...sqlite,
    at: 'statements.update',
    find: 'version = ?',
    replace: '? > 0',
  },
  {
    name: 'an update looks at no version (MySQL)',
    ...mysql,
    at: 'asRead',
    find: 'version = ?',
    replace: '? > 0',
  },
  {
    name: 'updates that are stored together look at no version (MySQL)',
    ...mysql,
    at: 'mysqlStatements.updateMany',
    find: "version = ${byId(size, '0')},",
    replace: "version = ${byId(size, '0')} OR 1 = 1,",
  },
  {
    name: 'a version does not grow',
    ...withProperties,
    at: 'MemoryStore.#update',
    find: '    entry.version++\n',
    replace: '',
  },
  {
    name: 'a touch goes by any token',
    ...memory,
    at: 'MemoryStore.#touch',
    find: "    if (!isSameHash(entry.hash, write.hash)) return 'moved'\n",
    replace: '',
  },
  {
    name: 'a touch goes by any token (SQLite)',
    ...sqlite,
    at: 'statements.touch',
    find: 'secret_hash = ?',
    replace: '(secret_hash = ? OR 1 = 1)',
  },
  {
    name: 'a touch goes by any token (MySQL)',
    ...mysql,
    at: 'mysqlStatements.touch',
    find: "AND secret_hash = ${byId(size, 'secret_hash')}",
    replace: "AND (secret_hash = ${byId(size, 'secret_hash')} OR 1 = 1)",
  },
  {
    name: 'a removal ends the session of whoever signed in since',
    ...withProperties,
    at: 'MemoryStore.#removeOf',
    find: "    if (entry.userId !== write.userId) return 'moved'\n",
    replace: '',
  },
  {
    name: 'a removal ends the session of whoever signed in since (SQLite)',
    ...sqlite,
    at: 'statements.remove',
    find: 'user_id IS ?',
    replace: '(user_id IS ? OR 1 = 1)',
  },
  {
    name: 'a removal ends the session of whoever signed in since (MySQL)',
    ...mysql,
    at: 'mysqlStatements.remove',
    find: 'IF(user_id <=> ?, 1, 0)',
    replace: 'IF(user_id <=> ?, 1, 1)',
  },
  {
    name: "a removal of nobody's session finds none (SQLite)",
    ...sqlite,
    at: 'statements.remove',
    find: 'user_id IS ?',
    replace: 'user_id = ?',
  },
  {
    name: "a removal of nobody's session finds none (MySQL)",
    ...mysql,
    at: 'mysqlStatements.remove',
    find: 'user_id <=> ?',
    replace: 'user_id = ?',
  },
  {
    name: 'an insert writes over what is there',
    ...withProperties,
    at: 'MemoryStore.#insert',
    find: "    if (this.#live(write.id, now)) return 'exists'\n",
    replace: '',
  },
  {
    name: 'an expired record keeps its id from a new one',
    ...memory,
    at: 'MemoryStore.#insert',
    find: "if (this.#live(write.id, now)) return 'exists'",
    replace: "if (this.#held(write.id)) return 'exists'",
  },
  {
    name: 'sessions push out what is remembered of users',
    file: memory.file,
    at: 'MemoryStore.#among',
    find: 'hash === undefined ? this.#notes : this.#sessions',
    replace: 'hash === undefined && this.#maxSessions === 0 ? this.#notes : this.#sessions',
    tests: ['test/stores/memory.test.ts', 'test/core/sign-in-limits.test.ts'],
  },
  {
    name: 'removeByUser misses one',
    ...withProperties,
    at: 'MemoryStore.removeByUser',
    find: 'if (entry.id === except) continue',
    replace: 'if (entry.id === except || removed === 1) continue',
  },
  {
    name: 'expired is found',
    ...memory,
    at: 'MemoryStore.#isFound',
    find: 'if (expiresAt <= now) return false',
    replace: 'if (expiresAt <= now - 1e9) return false',
  },
  {
    name: 'a touch shortens',
    ...memory,
    at: 'MemoryStore.#touch',
    find: 'Math.max(entry.expiresAt, expiry(write.lifetime, entry.createdAt, now))',
    replace: 'expiry(write.lifetime, entry.createdAt, now)',
  },
  {
    name: 'the absolute lifetime is no limit',
    ...memory,
    at: 'expiry',
    find: 'Math.min(now + lifetime.idle, createdAt + (lifetime.absolute ?? Infinity))',
    replace: 'now + lifetime.idle + 0 * createdAt',
  },

  // New tokens
  {
    name: 'a rotation leaves the token as it was',
    ...withProperties,
    at: 'MemoryStore.#update',
    find: '      entry.hash = new Uint8Array(secret.hash)\n',
    replace: '',
  },
  {
    name: 'a rotation leaves the token as it was (SQLite)',
    ...sqlite,
    at: 'newSecret',
    find: 'secret_hash = ?',
    replace: 'secret_hash = coalesce(secret_hash, ?)',
  },
  {
    name: 'a rotation leaves the token as it was (MySQL)',
    ...mysql,
    at: 'mysqlStatements.replaceSecret',
    find: 'secret_hash = ?',
    replace: 'secret_hash = COALESCE(secret_hash, ?)',
  },
  {
    name: 'what a rotation held is shown with the live data',
    ...memory,
    at: 'recordOf',
    find: 'formerOf(former)',
    replace: 'formerOf({ ...former, data: entry.data })',
  },
  {
    name: 'a grace has no end',
    ...memory,
    at: 'recordOf',
    find: 'former && former.until > now ?',
    replace: 'former && now > 0 ?',
  },
  {
    name: 'a grace has no end (SQLite)',
    ...sqlite,
    at: 'formerInGrace',
    find: 'former_until > ${now}',
    replace: 'former_until > 0',
  },
  {
    name: 'a grace has no end (MySQL)',
    ...mysql,
    at: 'untilGraceEnds',
    find: 'former_until > ${now}',
    replace: 'former_until > 0',
  },
  {
    name: 'a rotation without a grace leaves the token from before the last one good',
    ...memory,
    at: 'MemoryStore.#update',
    find: '          : undefined\n',
    replace: '          : entry.former\n',
  },
  {
    name: 'a rotation without a grace leaves the token from before the last one good (SQLite)',
    ...sqlite,
    at: 'newSecret',
    find: "'NULL'}`).join(', ')\n  return `secret_hash = ?, former_until = ${now} + ?",
    replace:
      "name}`).join(', ')\n  return `secret_hash = ?, former_until = max(coalesce(former_until, 0), ${now} + ?)",
  },
  {
    name: 'a rotation without a grace leaves the token from before the last one good (MySQL)',
    ...mysql,
    at: 'mysqlStatements.replaceSecret',
    find: "'former_until = NULL, ' + former.map((column) => `${column} = NULL`).join(', ')",
    replace: "'former_until = former_until'",
  },

  // Marks
  {
    name: 'a write leaves no mark',
    ...memory,
    at: 'MemoryStore.#update',
    find: 'Buffer.concat([write.mark, entry.marks])',
    replace: 'Buffer.concat([entry.marks])',
  },
  {
    name: 'a write leaves no mark (SQLite)',
    ...sqlite,
    at: 'content',
    find: 'CAST(? || marks AS BLOB)',
    replace: 'CAST(substr(?, 1, 0) || marks AS BLOB)',
  },
  {
    name: 'a write leaves no mark (MySQL)',
    ...mysql,
    at: 'withMark',
    find: 'CONCAT(${mark}, marks)',
    replace: 'CONCAT(LEFT(${mark}, 0), marks)',
  },
  {
    name: "a write drops the marks of others'",
    ...memory,
    at: 'MemoryStore.#update',
    find: 'markLength * marksKept',
    replace: 'markLength',
  },
  {
    name: "a write drops the marks of others' (SQLite)",
    ...sqlite,
    at: 'content',
    find: 'markLength * marksKept',
    replace: 'markLength',
  },
  {
    name: "a write drops the marks of others' (MySQL)",
    ...mysql,
    at: 'withMark',
    find: 'markLength * marksKept',
    replace: 'markLength',
  },
  {
    name: 'a touch leaves a mark',
    ...memory,
    at: 'MemoryStore.#touch',
    find: '    entry.seenAt = now\n',
    replace: `    entry.seenAt = now
    entry.marks = Buffer.concat([new Uint8Array(markLength), entry.marks]).subarray(0, markLength * marksKept)
`,
  },
  {
    name: 'a touch leaves a mark (SQLite)',
    ...sqlite,
    at: 'statements.touch',
    find: 'SET seen_at',
    replace: 'SET marks = CAST(zeroblob(8) || marks AS BLOB), seen_at',
  },
  {
    name: 'a touch leaves a mark (MySQL)',
    ...mysql,
    at: 'mysqlStatements.touch',
    find: 'SET expires_at',
    replace: "SET marks = LEFT(CONCAT('12345678', marks), 32), expires_at",
  },

  // Children
  {
    name: 'a child is found without its root',
    ...memory,
    at: 'MemoryStore.#isFound',
    find: 'root !== undefined && root.userId === userId',
    replace: 'root === undefined || root.userId === userId',
  },
  {
    name: 'a child is found although its root has another user',
    ...memory,
    at: 'MemoryStore.#isFound',
    find: 'root !== undefined && root.userId === userId',
    replace: 'root !== undefined',
  },
  {
    name: 'a child is found without its root (SQLite)',
    ...sqlite,
    at: 'statements.found',
    find: 'root_id IS NULL OR EXISTS',
    replace: 'root_id IS NULL OR 1 = 1 OR EXISTS',
  },
  {
    name: 'a child is found although its root has another user (SQLite)',
    ...sqlite,
    at: 'statements.found',
    find: 'root.user_id IS session.user_id',
    replace: '1 = 1',
  },
  {
    name: "nobody's child is not found (SQLite)",
    ...sqlite,
    at: 'statements.found',
    find: 'root.user_id IS session.user_id',
    replace: 'root.user_id = session.user_id',
  },
  {
    name: 'a child is found without its root (MySQL)',
    ...mysql,
    at: 'mysqlStatements.found',
    find: 'root_id IS NULL OR EXISTS',
    replace: 'root_id IS NULL OR 1 = 1 OR EXISTS',
  },
  {
    name: 'a child is found although its root has another user (MySQL)',
    ...mysql,
    at: 'mysqlStatements.found',
    find: 'root.user_id <=> ${sessions}.user_id',
    replace: '1 = 1',
  },
  {
    name: "nobody's child is not found (MySQL)",
    ...mysql,
    at: 'mysqlStatements.found',
    find: 'root.user_id <=> ${sessions}.user_id',
    replace: 'root.user_id = ${sessions}.user_id',
  },
]
