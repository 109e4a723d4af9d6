import type { Mutation } from '../aim.ts'

/** What the browser gets. */

export const httpRules: readonly Mutation[] = [
  {
    name: 'a token is set again without a look at whether it still leads anywhere',
    file: 'src/http/exchange.ts',
    at: 'Exchange.finish',
    find: 'if (this.#setsAgain()) this.work.touch()',
    replace: '',
    tests: ['test/http/exchange.test.ts', 'test/drop-in/beside-others.test.ts'],
  },
  {
    name: 'the cookie is set again under a former token',
    file: 'src/http/exchange.ts',
    at: 'Exchange.#setsAgain',
    find: 'if (this.work.isFormer || this.work.isLeft) return false',
    replace: '',
    tests: ['test/http/exchange.test.ts', 'test/adapters/cookies.test.ts'],
  },
  {
    name: 'a response leaves before its session is stored',
    file: 'src/adapters/node.ts',
    at: 'ResponseHold.#begin',
    find: `      this.#state = 'committing'
`,
    replace: `      finished.catch(() => undefined)
      if (this.#state === 'open') {
        this.#state = 'released'
        return this.#pass(method, parameters)
      }
`,
    tests: ['test/adapters/failing-store.test.ts'],
  },
  {
    name: 'an answer under way does not keep its connection open',
    file: 'src/adapters/connection-guard.ts',
    at: 'ConnectionGuard.hold',
    find: '    this.#held.add(response)\n',
    replace: '',
    tests: ['test/adapters/ended-answers.test.ts'],
  },
  {
    name: 'the cookie of the drop-in outlives 400 days',
    file: 'src/express-session/model/request-form.ts',
    at: 'withinAge',
    find: 'expires.getTime() <= latest',
    replace: 'expires.getTime() <= latest + 1_000',
    tests: ['test/drop-in/express-session-configurations.test.ts'],
  },
  {
    name: 'the drop-in says nothing of a cookie of 4,097 bytes',
    file: 'src/express-session/model/request-form.ts',
    at: 'warnOfSize',
    find: 'bytes <= mostBytes',
    replace: 'bytes <= mostBytes + 1',
    tests: ['test/drop-in/express-session-configurations.test.ts'],
  },
  {
    name: 'a path of 1,025 bytes is taken',
    file: 'src/http/cookie.ts',
    at: 'refuseContradictions',
    find: 'Buffer.byteLength(path) > mostAttributeBytes',
    replace: 'Buffer.byteLength(path) > mostAttributeBytes + 1',
    tests: ['test/http/cookie.test.ts'],
  },
  {
    name: 'a store written for express-session knows no absolute lifetime',
    file: 'src/express-session/foreign/foreign-store.ts',
    at: 'ForeignStore.#isOver',
    find: 'kept && createdAt + this.#absolute <= readAt',
    replace: 'kept && createdAt + this.#absolute <= readAt - 1e12',
    tests: ['test/drop-in/absolute-lifetime.test.ts'],
  },
  {
    name: 'private with the names of headers counts as private',
    file: 'src/http/caching.ts',
    at: 'directivesOf',
    find: 'name !== undefined && argument === undefined',
    replace: 'name !== undefined',
    tests: ['test/adapters/cookies.test.ts', 'test/drop-in/express-session-wire.test.ts'],
  },
  {
    name: 'public beside private is believed',
    file: 'src/http/caching.ts',
    at: 'keepsOutShared',
    find: " && !said.has('public')",
    replace: '',
    tests: ['test/adapters/cookies.test.ts'],
  },
  {
    name: 'a CDN is told to keep the session cookie',
    file: 'src/http/caching.ts',
    at: 'overrulesCacheControl',
    find: 'if (!leavesCaching) return true',
    replace: '',
    tests: ['test/adapters/cookies.test.ts'],
  },
  {
    name: 'headers of the last moment let caches keep the cookie',
    file: 'src/adapters/node.ts',
    at: 'ResponseHold.#writeLastHead',
    find: 'if (this.#changes) keepFromSharedCaches(this.#response, this.#changes)',
    replace: '',
    tests: ['test/adapters/cookies.test.ts'],
  },
  {
    name: 'a page that read the session is the same for all in caches',
    file: 'src/http/exchange.ts',
    at: 'Exchange.varies',
    find: 'this.work.wasOpened && ',
    replace: 'this.work.wasOpened && this.work.isLeft && ',
    tests: ['test/adapters/cookies.test.ts', 'test/shared/shared-cache.test.ts'],
  },
]
