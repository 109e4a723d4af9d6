import type { Mutation } from '../aim.ts'

/** What the session in hand holds while it is stored, and after that. */

const change = 'src/core/session/change.ts'
const commit = 'src/core/session/commit.ts'
const inHand = 'src/core/session/in-hand.ts'
const stored = 'src/core/session/stored.ts'

const commitCases = ['test/core/commit-cases.test.ts']
const lostAnswers = ['test/core/lost-answers.test.ts', 'test/core/one-row.test.ts', ...commitCases]
const rotationGrace = ['test/core/rotation-grace.test.ts', 'test/core/one-row.test.ts']
const concurrency = ['test/core/concurrency.test.ts', ...commitCases]
const update = ['test/core/update.test.ts', ...commitCases]

export const inHandRules: readonly Mutation[] = [
  {
    name: 'a request with an old token sees the merged data after its write',
    file: stored,
    at: 'adoptStored',
    find: 'data: seen }',
    replace: 'data: record.data }',
    tests: rotationGrace,
  },
  {
    name: 'a write counts as stored before the store has confirmed it',
    file: commit,
    at: 'write',
    find: '    result = await work.context.write(write, hash)\n',
    replace: `    await adoptStored(work, inHand, sent, recordAfter(write, before), source)
    result = await work.context.write(write, hash)
`,
    tests: ['test/core/store-failure.test.ts', ...lostAnswers],
  },
  {
    name: 'changes that the handler makes during a write are lost',
    file: inHand,
    at: 'bringInLine.wanted',
    find: 'isAsItWas ? next : mergedTrees',
    replace: 'now ? next : mergedTrees',
    tests: [...concurrency, ...update],
  },
  {
    name: 'a session object that did not take a merged value counts as up to date',
    file: stored,
    at: 'adoptStored',
    find: 'isBehind: taken !== visible.data',
    replace: 'isBehind: false',
    tests: commitCases,
  },
  {
    name: 'a merge replaces objects to which the handler holds references',
    file: 'src/core/data/patch.ts',
    at: 'patch',
    find: 'if (isPlainObject(present)',
    replace: 'if (key.length > 99 && isPlainObject(present)',
    tests: [...concurrency, 'test/core/hardening.test.ts'],
  },
  {
    name: 'update(fn) runs on req.session and not on a draft',
    file: change,
    at: 'run',
    find: 'copied(form.dataOf(session))',
    replace: 'form.dataOf(session)',
    tests: update,
  },
  {
    name: 'update(fn) does not run again after a conflict',
    file: change,
    at: 'storeChange.make',
    find: 'onto: (base, row) => {\n',
    replace:
      'onto: (base, row) => {\n        if (row) return { data: merged(work, base, first.data, row, inHand.intent.signIn) }\n',
    tests: update,
  },
  {
    name: 'changes that update(fn) makes to req.session stay',
    file: change,
    at: 'run',
    find: 'wasMistaken = putBack(work, inHand, now)',
    replace: 'wasMistaken = false',
    tests: update,
  },
  {
    name: 'an update(fn) that changes req.session is stored',
    file: change,
    at: 'run',
    find: 'if (wasMistaken) {',
    replace: 'if (wasMistaken && start) {',
    tests: update,
  },
  {
    name: 'with an old token, update(fn) returns a value from the newer data',
    file: change,
    at: 'storeChange.make',
    find: "if (inHand.state.kind === 'former') return { data: next.data, source: first.source }\n",
    replace: '',
    tests: rotationGrace,
  },
  {
    name: 'the value that update(fn) returns is not a copy',
    file: change,
    at: 'run',
    find: 'value = detached(given === draft ? form.visible(source) : given) as Result',
    replace: 'value = given as Result',
    tests: update,
  },
  {
    name: 'update(fn) accepts an async function',
    file: change,
    at: 'run',
    find: '    assertSynchronous(given)\n',
    replace: '',
    tests: update,
  },
  {
    name: 'a sign-in requested after a lost write is forgotten once that write is found',
    file: commit,
    at: 'takeAsStored',
    find: 'if (intent.signIn === signIn && (intent.token === undefined || intent.token === token)) return',
    replace: 'if (token !== null) return',
    tests: lostAnswers,
  },
  {
    name: 'data that a newer version stored during the request is overwritten',
    file: commit,
    at: 'read',
    find: 'row && row.record.format > recordFormat',
    replace: 'row && row.record.format < recordFormat',
    tests: commitCases,
  },
  {
    name: 'a touch that finds another token counts as confirmed',
    file: commit,
    at: 'touch',
    find: "!== 'done'",
    replace: "=== 'gone'",
    tests: ['test/http/exchange.test.ts', ...rotationGrace],
  },
  {
    name: 'a token is signed again although its touch failed',
    file: commit,
    at: 'touch',
    find: '    isUnconfirmed = true\n',
    replace: '',
    tests: ['test/http/exchange.test.ts'],
  },
  {
    name: 'the commit reports only the last of several failures',
    file: 'src/core/serial-queue.ts',
    at: 'SerialQueue.take',
    find: 'this.#all = this.#all ? firstFailureOf(this.#all, turn) : turn',
    replace: 'this.#all = turn',
    tests: ['test/core/not-awaited.test.ts'],
  },
  {
    name: 'a queued change runs after its deadline',
    file: 'src/core/serial-queue.ts',
    at: 'LimitedSerialQueue.#inTurnByDeadline',
    find: 'if (tooLate) return',
    replace: 'if (tooLate) this.#waiting++',
    tests: ['test/core/session-turns.test.ts'],
  },
]
