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
    name: 'a former token shows what it stored',
    file: stored,
    at: 'adoptStored',
    find: 'data: seen }',
    replace: 'data: record.data }',
    tests: rotationGrace,
  },
  {
    name: 'the session in hand goes on from a write that the store has not confirmed',
    file: commit,
    at: 'write',
    find: '    result = await work.context.write(write, hash)\n',
    replace: `    await adoptStored(work, inHand, sent, recordAfter(write, before), source)
    result = await work.context.write(write, hash)
`,
    tests: ['test/core/store-failure.test.ts', ...lostAnswers],
  },
  {
    name: 'what the handler changes while a write is under way is lost',
    file: inHand,
    at: 'bringInLine.wanted',
    find: 'isAsItWas ? next : mergedTrees',
    replace: 'now ? next : mergedTrees',
    tests: [...concurrency, ...update],
  },
  {
    name: 'a session that takes no changes counts as one that took them',
    file: stored,
    at: 'adoptStored',
    find: 'isBehind: taken !== visible.data',
    replace: 'isBehind: false',
    tests: commitCases,
  },
  {
    name: 'a patch puts new objects in place of those that a handler holds',
    file: 'src/core/data/patch.ts',
    at: 'patch',
    find: 'if (isPlainObject(present)',
    replace: 'if (key.length > 99 && isPlainObject(present)',
    tests: [...concurrency, 'test/core/hardening.test.ts'],
  },
  {
    name: 'update(fn) runs on the session in hand',
    file: change,
    at: 'run',
    find: 'copied(form.dataOf(session))',
    replace: 'form.dataOf(session)',
    tests: update,
  },
  {
    name: 'update(fn) is not run again on what others stored',
    file: change,
    at: 'storeChange.make',
    find: 'onto: (base, row) => {\n',
    replace:
      'onto: (base, row) => {\n        if (row) return { data: merged(work, base, first.data, row, inHand.intent.signIn) }\n',
    tests: update,
  },
  {
    name: 'what update(fn) does to the session in hand stays there',
    file: change,
    at: 'run',
    find: 'wasMistaken = putBack(work, inHand, now)',
    replace: 'wasMistaken = false',
    tests: update,
  },
  {
    name: 'an update(fn) that changes the session in hand is stored',
    file: change,
    at: 'run',
    find: 'if (wasMistaken) {',
    replace: 'if (wasMistaken && start) {',
    tests: update,
  },
  {
    name: 'update(fn) tells a former token what it made of what came after',
    file: change,
    at: 'storeChange.make',
    find: "if (inHand.state.kind === 'former') return { data: next.data, source: first.source }\n",
    replace: '',
    tests: rotationGrace,
  },
  {
    name: 'what update(fn) returned can be changed',
    file: change,
    at: 'run',
    find: 'value = detached(given === draft ? form.visible(source) : given) as Result',
    replace: 'value = given as Result',
    tests: update,
  },
  {
    name: 'update(fn) may be async',
    file: change,
    at: 'run',
    find: '    assertSynchronous(given)\n',
    replace: '',
    tests: update,
  },
  {
    name: 'what was asked for after a write without an answer is forgotten once that is found',
    file: commit,
    at: 'takeAsStored',
    find: 'if (intent.signIn === signIn && (intent.token === undefined || intent.token === token)) return',
    replace: 'if (token !== null) return',
    tests: lostAnswers,
  },
  {
    name: 'what a later build stored while the request ran is overwritten',
    file: commit,
    at: 'read',
    find: 'row && row.record.format > recordFormat',
    replace: 'row && row.record.format < recordFormat',
    tests: commitCases,
  },
  {
    name: 'a touch that finds another token does not count as one',
    file: commit,
    at: 'touch',
    find: "!== 'done'",
    replace: "=== 'gone'",
    tests: ['test/http/exchange.test.ts', ...rotationGrace],
  },
  {
    name: 'a token is signed anew although the store did not say that it still leads anywhere',
    file: commit,
    at: 'touch',
    find: '    isUnconfirmed = true\n',
    replace: '',
    tests: ['test/http/exchange.test.ts'],
  },
  {
    name: 'the commit meets the last failure only',
    file: 'src/core/serial-queue.ts',
    at: 'SerialQueue.take',
    find: 'this.#all = this.#all ? firstFailureOf(this.#all, turn) : turn',
    replace: 'this.#all = turn',
    tests: ['test/core/not-awaited.test.ts'],
  },
  {
    name: 'a change whose turn comes too late is done all the same',
    file: 'src/core/serial-queue.ts',
    at: 'LimitedSerialQueue.#inTurnByDeadline',
    find: 'if (tooLate) return',
    replace: 'if (tooLate) this.#waiting++',
    tests: ['test/core/session-turns.test.ts'],
  },
]
