import type { Mutation } from '../aim.ts'

/** What a token, a signature and a key protect. */

const token = 'src/core/token.ts'
const signer = 'src/core/signer.ts'
const engine = 'src/core/engine.ts'
const encryption = 'src/core/data/encryption.ts'
const encryptionTests = ['test/core/encryption.test.ts']
const rotationGrace = ['test/core/rotation-grace.test.ts']

export const secrecyRules: readonly Mutation[] = [
  {
    name: 'an id without the secret opens its session',
    file: engine,
    at: 'SessionEngine.found',
    find: 'record && tokenPlaceOf(hash, record)',
    replace: "record && (tokenPlaceOf(hash, record) ?? 'current')",
    tests: ['test/core/hardening.test.ts', 'test/core/session-data.test.ts', ...rotationGrace],
  },
  {
    name: 'an old token counts as the current one',
    file: 'src/core/session/state.ts',
    at: 'tokenPlaceOf',
    find: "? 'former'",
    replace: "? 'current'",
    tests: rotationGrace,
  },
  {
    name: 'hashes of different lengths are compared',
    file: token,
    at: 'isSameHash',
    find: ' && one.length === other.length',
    replace: '',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the hash covers only the secret of a token',
    file: token,
    at: 'hashOf',
    find: "hash('sha256', text, 'binary')",
    replace: "hash('sha256', text.slice(-32), 'binary')",
    tests: ['test/core/token.test.ts'],
  },
  {
    name: "the id of an app's own token is the beginning of its hash",
    file: token,
    at: 'idOf',
    find: '`coatcheck id of ${token}`',
    replace: 'token',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: "the id of an app's own token shows part of the token",
    file: token,
    at: 'hashedId',
    find: "hash('sha256', text, 'base64url').slice(0, idLength)",
    replace: "Buffer.from(text.slice(-12)).toString('base64url').padEnd(idLength, 'A')",
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the same id always gives the same token',
    file: token,
    at: 'createToken',
    find: 'randomBytes(secretLength)',
    replace: 'Buffer.alloc(secretLength, id)',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'signatures are not verified',
    file: signer,
    at: 'Signer.#verifyAnew',
    find: 'timingSafeEqual(given, expected)',
    replace: 'timingSafeEqual(given, given)',
    tests: ['test/core/token.test.ts', 'test/http/exchange.test.ts'],
  },
  {
    name: 'a new session adopts an unknown token',
    file: engine,
    at: 'SessionEngine.loadAs',
    find: 'new UnitOfWork(this, form, found))',
    replace: `{
      const work = new UnitOfWork(this, form, found)
      if (!found) work.startNew(token)
      return work
    })`,
    tests: ['test/core/session-data.test.ts', 'test/http/exchange.test.ts'],
  },
  {
    name: 'an old token is preferred over a current one',
    file: 'src/core/session/several-tokens.ts',
    at: 'firstOf',
    find: "live.find(({ place }) => place === 'current') ?? ",
    replace: '',
    tests: ['test/http/exchange.test.ts'],
  },
  {
    name: 'a session is opened by its old token although the request has the current one',
    file: 'src/core/session/several-tokens.ts',
    at: 'withoutRepeats',
    find: "(before.place === 'former' && found.place === 'current')",
    replace: 'false',
    tests: ['test/http/exchange.test.ts', ...rotationGrace],
  },
  {
    name: 'an app without rotationGrace accepts tokens that another app replaced',
    file: engine,
    at: 'SessionEngine.#read',
    find: 'this.rotationGrace === 0',
    replace: 'this.rotationGrace < 0',
    tests: rotationGrace,
  },
  {
    name: 'encrypted data is not bound to its session',
    file: encryption,
    at: 'derivedKey',
    find: '${id}',
    replace: '${id.length}',
    tests: encryptionTests,
  },
  {
    name: 'encrypted data is not bound to its user',
    file: encryption,
    at: 'authenticated',
    find: '`user ${userId}`',
    replace: "'nobody'",
    tests: encryptionTests,
  },
  {
    name: 'encrypted data is not bound to its token',
    file: encryption,
    at: 'authenticated',
    find: 'hash ?? Buffer.alloc(0)',
    replace: 'Buffer.alloc(hash ? 0 : 0)',
    tests: encryptionTests,
  },
  {
    name: 'after a rotation, encrypted data is bound to the old token',
    file: 'src/core/session/commit.ts',
    at: 'write.hash',
    find: '(write.secret?.hash ?? before?.hash)',
    replace: '(before?.hash ?? write.secret?.hash)',
    tests: encryptionTests,
  },
  {
    name: "data that is not encrypted is read without 'plain' in the list of keys",
    file: encryption,
    at: 'Encryption.#open',
    find: 'if (this.#readsPlain) return',
    replace: 'if (stored) return',
    tests: encryptionTests,
  },
  {
    name: 'a secret of one repeated character is accepted',
    file: signer,
    at: 'secretBytes',
    find: 'if (isRepeated(secret)) {',
    replace: 'if (false) {',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'session(options) does not warn about a secret of one repeated character',
    file: 'src/express-session/model/secrets.ts',
    at: 'keyFrom',
    find: "if (isRepeated(typeof secret === 'string' ? secret : bytes)) {",
    replace: 'if (false) {',
    tests: ['test/drop-in/one-warning.test.ts'],
  },
  {
    name: 'on an express-mysql-session table, unsigned metadata sets the user',
    file: 'src/stores/mysql-express/record.ts',
    at: 'ExpressRecord',
    find: 'found !== undefined && !isSigned(session!, keys, subjectOf(this.id))',
    replace: 'false',
    tests: ['test/drop-in/old-table.test.ts'],
  },
  {
    name: 'on an express-mysql-session table, metadata of another session is accepted',
    file: 'src/core/data/embedded-metadata.ts',
    at: 'signatureOf',
    find: '[subject, userId',
    replace: '[0, userId',
    tests: ['test/drop-in/old-table.test.ts'],
  },
  {
    name: 'on an express-mysql-session table, the signature does not cover createdAt',
    file: 'src/core/data/embedded-metadata.ts',
    at: 'signatureOf',
    find: 'authenticatedAt ?? null, createdAt]',
    replace: 'authenticatedAt ?? null]',
    tests: ['test/drop-in/old-table.test.ts'],
  },
  {
    name: 'coatcheck copy accepts unsigned metadata',
    file: 'src/command/copied-session.ts',
    at: 'copiedSession',
    find: "found && isSigned(session, keys, row.secretHash.toString('hex')) ? found : undefined",
    replace: 'found',
    tests: ['test/command/copy.test.ts'],
  },
  {
    name: 'a key that was deleted with an express-mysql-session table still signs',
    file: 'src/stores/mysql-express/writer.ts',
    at: 'ExpressWriter.#signing',
    find: "Number(row!['has_key']) === 1",
    replace: "Number(row!['has_key']) !== 2",
    tests: ['test/drop-in/old-table.test.ts'],
  },
]
