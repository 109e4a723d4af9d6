import type { Mutation } from '../aim.ts'

/** What a token, a signature and a key protect. */

const token = 'src/core/token.ts'
const engine = 'src/core/engine.ts'
const encryption = 'src/core/data/encryption.ts'
const encryptionTests = ['test/core/encryption.test.ts']
const rotationGrace = ['test/core/rotation-grace.test.ts']

export const secrecyRules: readonly Mutation[] = [
  {
    name: 'an id alone leads to its session',
    file: engine,
    at: 'SessionEngine.#found',
    find: 'record && tokenPlaceOf(hashOf(token), record)',
    replace: "record && (tokenPlaceOf(hashOf(token), record) ?? 'current')",
    tests: ['test/core/hardening.test.ts', 'test/core/session-data.test.ts', ...rotationGrace],
  },
  {
    name: 'a token from before a rotation counts as the one of now',
    file: 'src/core/session/state.ts',
    at: 'tokenPlaceOf',
    find: "? 'former'",
    replace: "? 'current'",
    tests: rotationGrace,
  },
  {
    name: 'hashes of two lengths are compared',
    file: token,
    at: 'isSameHash',
    find: ' && one.length === other.length',
    replace: '',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the hash is of the secret only',
    file: token,
    at: 'hashOf',
    find: "hash('sha256', token, 'binary')",
    replace: "hash('sha256', token.slice(-32), 'binary')",
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the id of a token that is not ours is the beginning of its hash',
    file: token,
    at: 'idOf',
    find: '`coatcheck id of ${token}`',
    replace: 'token',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the id of a token that is not ours is in the clear',
    file: token,
    at: 'hashedId',
    find: "hash('sha256', text, 'base64url').slice(0, idLength)",
    replace: "Buffer.from(text.slice(-12)).toString('base64url').padEnd(idLength, 'A')",
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'a token is the same for the same id',
    file: token,
    at: 'createToken',
    find: 'randomBytes(secretLength)',
    replace: 'Buffer.alloc(secretLength, id)',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'no signature is looked at',
    file: token,
    at: 'Signer.verify',
    find: 'timingSafeEqual(given, expected)',
    replace: 'timingSafeEqual(given, given)',
    tests: ['test/core/token.test.ts', 'test/http/exchange.test.ts'],
  },
  {
    name: 'an unknown token is taken on',
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
    name: 'a token from before a rotation goes before one of after it',
    file: 'src/core/session/several-tokens.ts',
    at: 'firstOf',
    find: "live.find(({ place }) => place === 'current') ?? ",
    replace: '',
    tests: ['test/http/exchange.test.ts'],
  },
  {
    name: 'a session is taken by its token from before a rotation, though it was sent the one of now',
    file: 'src/core/session/several-tokens.ts',
    at: 'withoutRepeats',
    find: "(before.place === 'former' && found.place === 'current')",
    replace: 'false',
    tests: ['test/http/exchange.test.ts', ...rotationGrace],
  },
  {
    name: 'an app without a grace takes the tokens that another app replaced',
    file: engine,
    at: 'SessionEngine.#read',
    find: 'record?.former && this.rotationGrace === 0',
    replace: 'record?.former && this.rotationGrace < 0',
    tests: rotationGrace,
  },
  {
    name: 'encrypted data is bound to no session',
    file: encryption,
    at: 'derivedKey',
    find: '${id}',
    replace: '${id.length}',
    tests: encryptionTests,
  },
  {
    name: 'encrypted data is bound to no user',
    file: encryption,
    at: 'authenticated',
    find: '`user ${userId}`',
    replace: "'nobody'",
    tests: encryptionTests,
  },
  {
    name: 'encrypted data is bound to no token',
    file: encryption,
    at: 'authenticated',
    find: 'hash ?? Buffer.alloc(0)',
    replace: 'Buffer.alloc(hash ? 0 : 0)',
    tests: encryptionTests,
  },
  {
    name: 'encrypted data is bound to the token from before',
    file: 'src/core/session/commit.ts',
    at: 'write.hash',
    find: '(write.secret?.hash ?? before?.hash)',
    replace: '(before?.hash ?? write.secret?.hash)',
    tests: encryptionTests,
  },
  {
    name: 'what is not encrypted is read as if it were',
    file: encryption,
    at: 'Encryption.#open',
    find: 'if (this.#readsPlain) return',
    replace: 'if (stored) return',
    tests: encryptionTests,
  },
  {
    name: 'a secret of one repeated character is taken',
    file: token,
    at: 'secretKey',
    find: 'if (isRepeated(secret)) {',
    replace: 'if (false) {',
    tests: ['test/core/token.test.ts'],
  },
  {
    name: 'the drop-in says nothing of a secret of one repeated character',
    file: 'src/express-session/model/secrets.ts',
    at: 'keyFrom',
    find: "if (isRepeated(typeof secret === 'string' ? secret : bytes)) {",
    replace: 'if (false) {',
    tests: ['test/drop-in/one-warning.test.ts'],
  },
]
