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
]
