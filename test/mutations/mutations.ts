/** One rule broken: a text in one file that stands there exactly once, and what takes its place. */
export interface Mutation {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The test files that are to see it. */
  readonly tests: readonly string[]
  /** Of the tests that run on every store, those on this one are run besides those in memory. */
  readonly store?: 'MySQL' | 'SQLite'
}

const memory = 'src/stores/memory.ts'
const work = 'src/core/unit-of-work.ts'
const standing = 'src/core/standing.ts'
const storing = 'src/core/storing.ts'
const signIn = 'src/core/sign-in.ts'

const properties = 'test/properties/interleavings.test.ts'
const memoryTests = ['test/stores/memory.test.ts', properties]

export const mutations: readonly Mutation[] = [
  {
    name: 'an update creates what is not there',
    file: memory,
    find: `    if (entry === undefined) return 'gone'
    switch (write.type) {`,
    replace: `    if (entry === undefined && write.type === 'update')
      return this.#insert({ ...write, type: 'insert', publicId: write.key, signedIn: false }, now)
    if (entry === undefined) return 'gone'
    switch (write.type) {`,
    tests: memoryTests,
  },
  {
    name: 'an update looks at no version',
    file: memory,
    find: `    if (entry.version !== write.version) return 'stale'
    this.#replace(entry, write, write.lifetime, now)
    this.#used(entry)`,
    replace: `    this.#replace(entry, write, write.lifetime, now)
    this.#used(entry)`,
    tests: memoryTests,
  },
  {
    name: 'an update looks at no version (SQLite)',
    file: 'src/stores/sqlite-schema.ts',
    find: '${forgetFormer} WHERE session_key = ? AND version = ? AND',
    replace: '${forgetFormer} WHERE session_key = ? AND ? > 0 AND',
    tests: ['test/stores/sqlite.test.ts', properties],
    store: 'SQLite',
  },
  {
    name: 'an update looks at no version (MySQL)',
    file: 'src/stores/sql/mysql-statements.ts',
    find: '`${moveExpiry}, ${forgetFormer} WHERE session_key = ? AND version = ? AND ${live}`,',
    replace: '`${moveExpiry}, ${forgetFormer} WHERE session_key = ? AND ? > 0 AND ${live}`,',
    tests: ['test/stores/mysql.test.ts', 'test/properties/processes.test.ts'],
    store: 'MySQL',
  },
  {
    name: 'a version does not grow',
    file: memory,
    find: '    entry.version++\n',
    replace: '',
    tests: memoryTests,
  },
  {
    name: 'the key from before a rotation stays',
    file: memory,
    find: `    entries.delete(key)
    entry.key = write.newKey`,
    replace: '    entry.key = write.newKey',
    tests: memoryTests,
  },
  {
    name: 'what a rotation held is shown with the live data',
    file: memory,
    find: 'former: { userId, authenticatedAt, data: Buffer.from(data) }',
    replace: 'former: { userId, authenticatedAt, data: Buffer.from(data && entry.data) }',
    tests: memoryTests,
  },
  {
    name: 'a grace has no end',
    file: memory,
    find: '!entry?.former || entry.former.until <= now || entry.expiresAt <= now',
    replace: '!entry?.former || entry.expiresAt <= now',
    tests: memoryTests,
  },
  {
    name: 'an insert writes over what is there',
    file: memory,
    find: "    if (this.#live(write.key, now)) return 'exists'\n",
    replace: '',
    tests: memoryTests,
  },
  {
    name: 'an expired record keeps its key from a new one',
    file: memory,
    find: "if (this.#live(write.key, now)) return 'exists'",
    replace: "if (this.#held(write.key)) return 'exists'",
    tests: ['test/stores/memory.test.ts', 'test/core/sign-in-limits.test.ts'],
  },
  {
    name: 'sessions push out what is remembered of users',
    file: memory,
    find: 'isNote(record) ? this.#notes : this.#byKey',
    replace: 'isNote(record) && this.#maxSessions === 0 ? this.#notes : this.#byKey',
    tests: ['test/stores/memory.test.ts', 'test/core/sign-in-limits.test.ts'],
  },
  {
    name: 'removeByUser misses one',
    file: memory,
    find: 'if (entry.publicId === except) continue',
    replace: 'if (entry.publicId === except || removed === 1) continue',
    tests: memoryTests,
  },
  {
    name: 'expired is found',
    file: memory,
    find: 'entry !== undefined && entry.expiresAt > now ? entry : undefined',
    replace: 'entry !== undefined && now > 0 ? entry : undefined',
    tests: ['test/stores/memory.test.ts'],
  },
  {
    name: 'a touch shortens',
    file: memory,
    find: 'Math.max(entry.expiresAt, expiry(write.lifetime, entry.createdAt, now))',
    replace: 'expiry(write.lifetime, entry.createdAt, now)',
    tests: ['test/stores/memory.test.ts'],
  },
  {
    name: 'the absolute lifetime is no limit',
    file: memory,
    find: 'Math.min(now + lifetime.idle, createdAt + (lifetime.absolute ?? Infinity))',
    replace: 'now + lifetime.idle + 0 * createdAt',
    tests: memoryTests,
  },
  {
    name: 'writes are sent again after a failure',
    file: 'src/core/batcher.ts',
    find: 'readsOnly: false',
    replace: 'readsOnly: true',
    tests: ['test/core/batcher.test.ts', properties],
  },
  {
    name: 'the key is the token',
    file: 'src/core/token.ts',
    find: "return (timeOf(token) + hash('sha256', token, 'hex').slice(0, 42)) as SessionKey",
    replace: "return (token || hash('sha256', token, 'hex')) as SessionKey",
    tests: ['test/core/token.test.ts', 'test/core/hardening.test.ts'],
  },
  {
    name: 'no signature is looked at',
    file: 'src/core/token.ts',
    find: 'if (timingSafeEqual(given, expected)) return { token, renew: index > 0 }',
    replace: 'if (timingSafeEqual(given, given)) return { token, renew: index > 0 }',
    tests: ['test/core/token.test.ts', 'test/http/exchange.test.ts'],
  },
  {
    name: 'a token is set again without a look at whether it still leads anywhere',
    file: 'src/http/exchange.ts',
    find: 'if (this.#setsAgain()) this.work.touch()',
    replace: '',
    tests: ['test/http/exchange.test.ts', 'test/drop-in/beside-others.test.ts'],
  },
  {
    name: 'a token is signed anew although the store did not say that it still leads anywhere',
    file: 'src/core/storing.ts',
    find: `      // Not in this request again: the store has just shown that it is not well.
      this.#standing.unconfirmed = true
`,
    replace: '',
    tests: ['test/http/exchange.test.ts'],
  },
  {
    name: 'an ending in an app without a grace does not follow a session that another app moved',
    file: 'src/core/engine.ts',
    find: 'return this.#batcher.findFormer(key)',
    replace: 'return this.rotationGrace > 0 ? this.#batcher.findFormer(key) : Promise.resolve(undefined)',
    tests: ['test/core/rotation-grace.test.ts'],
  },
  {
    name: 'an unknown token is taken on',
    file: 'src/core/engine.ts',
    find: 'new UnitOfWork(this, form, record && token, record)',
    replace: 'new UnitOfWork(this, form, token, record)',
    tests: ['test/core/hardening.test.ts', 'test/core/sign-in.test.ts', 'test/http/exchange.test.ts'],
  },
  {
    name: 'a token from before a rotation goes before one of after it',
    file: 'src/core/engine.ts',
    find: 'current.some(sessionIn)',
    replace: 'current.every(sessionIn)',
    tests: ['test/core/rotation-grace.test.ts'],
  },
  {
    name: 'a merge takes theirs',
    file: 'src/core/merge.ts',
    find: '} else if (isDeepStrictEqual(ours, before)) {',
    replace: '} else if (isDeepStrictEqual(now, theirs[key])) {',
    tests: ['test/core/merge.test.ts', properties],
  },
  {
    name: 'an ended session begins again with a late commit',
    file: storing,
    find: 'if (!this.#standing.signedIn) {',
    replace: 'if (!this.#standing.signedIn && this.#standing.headersOut) {',
    tests: ['test/core/ending.test.ts', properties],
  },
  {
    name: 'a sign-in keeps the token',
    file: work,
    find: `      standing.signedIn = true
      standing.tokens.plan()`,
    replace: '      standing.signedIn = true',
    tests: ['test/core/sign-in.test.ts', properties],
  },
  {
    name: 'another user goes on with what the one before left',
    file: work,
    find: "if (another || standing.state === 'gone') standing.becomeEmpty()",
    replace: "if (standing.state === 'gone') standing.becomeEmpty()",
    tests: ['test/core/sign-in.test.ts', properties],
  },
  {
    name: 'what began before a sign-in is merged into it',
    file: storing,
    find: "if (fresh.userId !== base.userId || isAfterSignIn(fresh)) return 'moved'",
    replace: "if (fresh.version < 0 && isAfterSignIn(fresh)) return 'moved'",
    tests: ['test/core/concurrency.test.ts', properties],
  },
  {
    name: 'a token from before a rotation leads to the user of after it',
    file: standing,
    find: 'return { ...record, ...record.former, key }',
    replace: 'return { ...record, key }',
    tests: ['test/core/rotation-grace.test.ts', properties],
  },
  {
    name: 'what a former token took in and did not store stays in sight',
    file: storing,
    find: '    this.#putBack(before.held)\n  }\n\n  /** A failed touch',
    replace: '  }\n\n  /** A failed touch',
    tests: ['test/core/rotation-grace.test.ts', properties],
  },
  {
    name: 'update(fn) is not undone before it runs again',
    file: storing,
    find: '    if (undo) this.#putBack(undo)\n',
    replace: '',
    tests: ['test/core/update.test.ts', properties],
  },
  {
    name: 'an update(fn) that failed is stored by the commit',
    file: storing,
    find: '      if (this.#standing.signedIn === signedIn) this.#putBack(before)\n',
    replace: '',
    tests: ['test/core/lost-answers.test.ts', properties],
  },
  {
    name: 'a write whose answer was lost is not found again',
    file: storing,
    find: `    if (unanswered && (await this.#storedBefore(unanswered))) return 'storedBefore'\n`,
    replace: '',
    tests: ['test/core/lost-answers.test.ts', properties],
  },
  {
    name: 'an ending that failed is not tried again',
    file: work,
    find: '      this.#plan(ending)\n',
    replace: '',
    tests: ['test/core/store-failure.test.ts', properties],
  },
  {
    name: 'each read moves the expiry',
    file: standing,
    find: 'record.readAt - record.seenAt >= this.#form.touchAfter(record)',
    replace: 'record.readAt - record.seenAt >= 0 * this.#form.touchAfter(record)',
    tests: ['test/core/session-expiry.test.ts', properties],
  },
  {
    name: 'a sign-in does not look at what was revoked',
    file: signIn,
    find: 'if (await wasRevoked(context, signIn, precision)) return signInRevoked()',
    replace: 'if (precision < 0) return signInRevoked()',
    tests: ['test/core/sign-in-limits.test.ts', properties],
  },
  {
    name: 'a revocation is not noted',
    file: 'src/core/user-sessions.ts',
    find: '    await rememberRevocation(this.#context, this.#userId, except)\n',
    replace: '',
    tests: ['test/core/sign-in-limits.test.ts', properties],
  },
  {
    name: 'a revocation that spares a session takes back the one before',
    file: signIn,
    find: 'const revokedAt = spared === publicId ? before : note.seenAt',
    replace: 'const revokedAt = spared === publicId ? before && undefined : note.seenAt',
    tests: ['test/core/sign-in-limits.test.ts', properties],
  },
  {
    name: 'encrypted data is bound to no session',
    file: 'src/core/encryption.ts',
    find: '`session ${publicId.length} ${publicId}${userId',
    replace: '`session ${userId',
    tests: ['test/core/encryption.test.ts'],
  },
  {
    name: 'encrypted data is bound to no user',
    file: 'src/core/encryption.ts',
    find: "${userId === undefined ? '' : ` user ${userId}`}",
    replace: '',
    tests: ['test/core/encryption.test.ts'],
  },
  {
    name: 'whatever has the former key is merged into',
    file: 'src/core/storing.ts',
    find: "if (found.former && found.publicId !== base.publicId) return 'ended'",
    replace: '',
    tests: ['test/core/encryption.test.ts'],
  },
  {
    name: 'the commit meets the last failure only',
    file: 'src/core/turns.ts',
    find: 'this.#all = this.#all ? firstFailureOf(this.#all, turn) : turn',
    replace: 'this.#all = turn',
    tests: ['test/core/not-awaited.test.ts'],
  },
  {
    name: 'an ending is forgotten if another session begins meanwhile',
    file: 'src/core/unit-of-work.ts',
    find: '    const { standing, reason } = ending\n',
    replace: '    const standing = this.#standing\n    const { reason } = ending\n',
    tests: ['test/core/not-awaited.test.ts'],
  },
  {
    name: 'what was perhaps stored is not stored over',
    file: 'src/core/standing.ts',
    find: ' || this.unanswered) return',
    replace: ') return',
    tests: ['test/core/lost-answers.test.ts'],
  },
  {
    name: 'a sign-in by a former token carries over what has ended',
    file: 'src/core/storing.ts',
    find: 'if (carried && (await this.#context.follow(carried.key))) return',
    replace: 'if (carried) return',
    tests: ['test/core/sign-in.test.ts'],
  },
  {
    name: 'the limit of sessions ends the newest',
    file: signIn,
    find: 'newestFirst.slice(most)',
    replace: 'newestFirst.slice(0, -most)',
    tests: ['test/core/sign-in-limits.test.ts'],
  },
  {
    name: 'a response leaves before its session is stored',
    file: 'src/adapters/node.ts',
    find: `      this.#state = 'committing'
      this.#statusCode = this.#response.statusCode`,
    replace: `      finished.catch(() => undefined)
      if (this.#state === 'open') {
        this.#state = 'released'
        return this.#pass(method, parameters)
      }
      this.#statusCode = this.#response.statusCode`,
    tests: ['test/adapters/failing-store.test.ts'],
  },
  {
    name: 'the cookie is set again under a former token',
    file: 'src/http/exchange.ts',
    find: 'if (this.work.isFormer || this.work.isLeft) return false',
    replace: '',
    tests: ['test/http/exchange.test.ts', 'test/adapters/cookies.test.ts'],
  },
  {
    name: 'lock errors are not retried',
    file: 'src/stores/sql/mysql-pool.ts',
    find: "kind === 'busy' || numberOf",
    replace: "kind === 'away' && numberOf",
    tests: ['test/stores/mysql-locks.test.ts'],
    store: 'MySQL',
  },
  {
    name: 'a connection in doubt goes back to its pool',
    file: 'src/stores/sql/mysql-client.ts',
    find: 'if (isWhole && doubtedSince === undefined && !inTransaction)',
    replace: 'if (isWhole && !inTransaction)',
    tests: ['test/stores/mysql-connections.test.ts'],
    store: 'MySQL',
  },
  {
    name: 'a connection in a transaction goes back to its pool',
    file: 'src/stores/sql/mysql-client.ts',
    find: 'if (isWhole && doubtedSince === undefined && !inTransaction)',
    replace: 'if (isWhole && doubtedSince === undefined)',
    tests: ['test/stores/mysql-autocommit.test.ts'],
    store: 'MySQL',
  },
  {
    name: 'a change that is not committed counts as done',
    file: 'src/stores/sql/mysql-connection.ts',
    find: 'const statusInTransaction = 1',
    replace: 'const statusInTransaction = 0',
    tests: ['test/stores/mysql-autocommit.test.ts'],
    store: 'MySQL',
  },
  {
    name: "the old table's version is not compared",
    file: 'src/stores/sql/mysql-express-statements.ts',
    find: 'const asRead = `WHERE ${id} = ${text} AND ${fingerprint} = ? AND ${live}`',
    replace: 'const asRead = `WHERE ${id} = ${text} AND (${fingerprint} = ? OR 1 = 1) AND ${live}`',
    tests: ['test/stores/mysql-old-table.test.ts', 'test/stores/mysql-old-table-batches.test.ts'],
    store: 'MySQL',
  },
  {
    name: "the old table's versions are not compared where many are stored at once",
    file: 'src/stores/sql/mysql-express-statements.ts',
    find: "IF(${fingerprint} = ${byId('?', '-1')},",
    replace: "IF(${fingerprint} = ${byId('?', '-1')} OR 1 = 1,",
    tests: ['test/stores/mysql-old-table-batches.test.ts'],
    store: 'MySQL',
  },
  {
    name: 'what is stored may be lost with the machine (SQLite)',
    file: 'src/stores/sqlite.ts',
    find: 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL',
    replace: 'PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF',
    tests: ['test/stores/sqlite.test.ts'],
    store: 'SQLite',
  },
  {
    name: 'a queue has no end',
    file: 'src/core/line.ts',
    find: 'if (this.#waiting.length >= this.#settings.longestQueue) {',
    replace: 'if (this.#waiting.length === Infinity) {',
    tests: ['test/core/batcher-limits.test.ts'],
  },
  {
    name: 'a change whose turn comes too late is done all the same',
    file: 'src/core/turns.ts',
    find: '        if (tooLate) return\n',
    replace: '        if (tooLate) this.#waiting++\n',
    tests: ['test/core/session-turns.test.ts'],
  },
  {
    name: "a touch in an app's store does not look whether the session is there",
    file: 'src/express-session/foreign-store.ts',
    find: "if (!session) return 'gone'",
    replace: "if (!session) return 'done'",
    tests: ['test/express-session/foreign-store.test.ts'],
  },
  {
    name: "an error of an app's store names the token",
    file: 'src/express-session/foreign-store.ts',
    find: 'throw withoutToken(error, key)',
    replace: 'throw key ? error : withoutToken(error, key)',
    tests: ['test/express-session/tokens-in-errors.test.ts'],
  },
  {
    name: 'data that the database refuses counts as an outage',
    file: 'src/core/store-failure.ts',
    find: "return answer.code === 'ERR_SESSION_STORE_UNAVAILABLE' ||",
    replace: "return answer.code.startsWith('ERR_') ||",
    tests: ['test/core/circuit.test.ts'],
  },
  {
    name: 'a user id may hold a NUL',
    file: 'src/core/user-id.ts',
    find: "if (text.includes('\\0'))",
    replace: "if (text === '\\0')",
    tests: ['test/core/sign-in.test.ts'],
  },
  {
    name: 'a user id may be half of a surrogate pair',
    file: 'src/core/user-id.ts',
    find: 'if (bytes.toString() !== text)',
    replace: 'if (bytes.length === 0 && text)',
    tests: ['test/core/sign-in.test.ts'],
  },
  {
    name: 'data may take the name of a member that identifies the session',
    file: 'src/core/session.ts',
    find: 'if (!reservedNames.has(name)) (session as unknown as Data)[name] = data[name]',
    replace: 'if (!prototypeNames.has(name)) (session as unknown as Data)[name] = data[name]',
    tests: ['test/core/session-data.test.ts'],
  },
  {
    name: 'a user whom the data names is no sign-in',
    file: standing,
    find: '    this.signedIn = isNew\n',
    replace: '    this.signedIn = isNew && !this.record\n',
    tests: ['test/core/user-of.test.ts'],
  },
  {
    name: 'a user whom the data names keeps the token',
    file: standing,
    find: 'if (isNew && this.record) this.tokens.plan()',
    replace: 'if (isNew && !this.record) this.tokens.plan()',
    tests: ['test/core/user-of.test.ts'],
  },
  {
    name: 'an answer under way does not keep its connection open',
    file: 'src/adapters/connection-guard.ts',
    find: '    this.#held.add(response)\n',
    replace: '',
    tests: ['test/adapters/ended-answers.test.ts'],
  },
  {
    name: 'TLS does not look for which host a certificate is',
    file: 'src/stores/sql/mysql-tls.ts',
    find: 'return { ...given, rejectUnauthorized, verifyIdentity }',
    replace: 'return { ...given, rejectUnauthorized }',
    tests: ['test/stores/mysql-tls.test.ts'],
    store: 'MySQL',
  },
]
