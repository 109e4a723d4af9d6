import type { Mutation } from '../aim.ts'

/** How a commit finds out what to store, and what became of it. */

const attempts = 'src/core/session/content-write.ts'
const commit = 'src/core/session/commit.ts'
const ending = 'src/core/session/ending.ts'
const inHand = 'src/core/session/in-hand.ts'
const plan = 'src/core/session/plan.ts'
const reconcile = 'src/core/session/reconcile.ts'
const state = 'src/core/session/state.ts'

const commitCases = ['test/core/commit-cases.test.ts']
const lostAnswers = ['test/core/lost-answers.test.ts', 'test/core/one-row.test.ts', ...commitCases]
const rotationGrace = ['test/core/rotation-grace.test.ts', 'test/core/one-row.test.ts']
const concurrency = ['test/core/concurrency.test.ts', ...commitCases]
const signIn = ['test/core/sign-in.test.ts', ...commitCases]
const update = ['test/core/update.test.ts', ...commitCases]

export const storingRules: readonly Mutation[] = [
  {
    name: 'a lost rotation of a store whose keys are tokens is looked for under its new token first',
    file: 'src/core/session/commit.ts',
    at: 'rowOf.record',
    find: `(known && (await context.find(known.record.id))) ||
    (byToken ? await context.find(context.idOf(lost.token)) : undefined)`,
    replace: `(byToken && (await context.find(context.idOf(lost.token)))) ||
    (known ? await context.find(known.record.id) : undefined)`,
    tests: ['test/stores/mysql-old-table.test.ts'],
  },
  {
    name: 'a lost rotation of a store whose keys are tokens goes by the content alone',
    file: 'src/core/session/state.ts',
    at: 'fateByContent',
    find: "  if (record.id === token) return isSame ? 'newest' : 'earlier'\n",
    replace: '',
    tests: ['test/core/reconcile.test.ts'],
  },
  // Whose the write was
  {
    name: 'a write whose answer was lost is not found again',
    file: commit,
    at: 'write',
    find: 'if (mayBeStored(error))',
    replace: 'if (!mayBeStored(error))',
    tests: lostAnswers,
  },
  {
    name: "whatever mark a record has is this request's",
    file: state,
    at: 'fateOf',
    find: 'if (Buffer.compare(mark, write.mark) === 0)',
    replace: 'if (mark.length > 0)',
    tests: lostAnswers,
  },
  {
    name: 'only the newest mark is looked at',
    file: state,
    at: 'fateOf',
    find: 'start < record.marks.length',
    replace: 'start < 1',
    tests: lostAnswers,
  },
  {
    name: 'a write that is not among the marks never was carried out, however old it is',
    file: state,
    at: 'fateOf',
    find: "since <= marksKept ? 'never' : 'unknown'",
    replace: "'never'",
    tests: lostAnswers,
  },
  {
    name: 'what is sent again has another mark',
    file: attempts,
    at: 'prepared',
    find: 'lost && isSameWrite(lost.write, write)',
    replace: 'lost && isSameWrite(lost.write, write) && lost.token.length === 0',
    tests: lostAnswers,
  },
  {
    name: 'other content is sent with the mark of what was lost',
    file: attempts,
    at: 'prepared',
    find: 'lost && isSameWrite(lost.write, write)',
    replace: 'lost',
    tests: lostAnswers,
  },
  {
    name: 'an insert whose answer was lost is sent again',
    file: reconcile,
    at: 'reconcileNew',
    find: 'repeatsInserts\n',
    replace: 'repeatsInserts || state.unanswered\n',
    tests: lostAnswers,
  },
  {
    name: 'what was perhaps stored is not stored over',
    file: plan,
    at: 'updateReason',
    find: "  if (unanswered?.some(({ held }) => Buffer.compare(held, facts.held) !== 0)) return 'perhaps stored'\n",
    replace: '',
    tests: lostAnswers,
  },
  {
    name: 'a session that is behind is stored without a look at what others stored',
    file: plan,
    at: 'plan',
    find: 'if (state.isBehind && !hasRead)',
    replace: 'if (state.isBehind && hasRead)',
    tests: [...lostAnswers, ...update],
  },
  {
    name: 'what gets another token, or ends, does not ask what became of a write without an answer',
    file: commit,
    at: 'settleUnanswered',
    find: '  if (!open?.unanswered) return\n',
    replace: '  if (!open?.unanswered || open.token) return\n',
    tests: lostAnswers,
  },
  {
    name: 'a store that is too busy may have stored it all the same',
    file: attempts,
    at: 'mayBeStored',
    find: 'neverStored.has(code)',
    replace: '!code.length',
    tests: [...lostAnswers, 'test/core/hardening.test.ts'],
  },

  // Where the row is not as it was read
  {
    name: 'an ended session begins again with a late commit',
    file: reconcile,
    at: 'reconcile',
    find: "return intent.signIn ? startAnew(state, undefined) : { is: 'gone' }",
    replace: 'return startAnew(state, undefined)',
    tests: ['test/core/ending.test.ts', 'test/properties/interleavings.test.ts'],
  },
  {
    name: 'what began before a sign-in is merged into it',
    file: reconcile,
    at: 'reconcile',
    find: "if (!isOwn || (place === 'former' && isAfterSignIn(row.record)))",
    replace: 'if (place === undefined)',
    tests: concurrency,
  },
  {
    name: 'what began before the same user proved again who they are is merged into that',
    file: reconcile,
    at: 'reconcile',
    find: " || (place === 'former' && isAfterSignIn(row.record))",
    replace: '',
    tests: rotationGrace,
  },
  {
    name: "a sign-in does not win over who rotated its user's session",
    file: reconcile,
    at: 'reconcile.mayClaim',
    find: '(isProved || ',
    replace: '(',
    tests: [...signIn, 'test/core/user-sessions.test.ts', 'test/core/one-row.test.ts'],
  },
  {
    name: 'revokeAll does not win over who rotated the session that is spared',
    file: reconcile,
    at: 'reconcile.mayClaim',
    find: ' || (isOwn && intent.forcesToken && row.owner !== undefined)',
    replace: '',
    tests: ['test/core/user-sessions.test.ts', 'test/core/one-row.test.ts'],
  },
  {
    name: 'who rotated a session goes on beside the one who forcesToken it',
    file: attempts,
    at: 'contentWrite',
    find: 'isTaken || isTooSoon ? 0 : context.rotationGrace',
    replace: 'context.rotationGrace',
    tests: ['test/core/user-sessions.test.ts', 'test/core/one-row.test.ts'],
  },
  {
    name: 'a sign-in within the millisecond of the one before leaves a grace that passes for that of a rotation',
    file: attempts,
    at: 'contentWrite',
    find: 'isTaken || isTooSoon ? 0',
    replace: 'isTaken ? 0',
    tests: rotationGrace,
  },
  {
    name: 'who proved later whose a session is loses it to a request from before that',
    file: reconcile,
    at: 'mayGoOver',
    find: ' && record.authenticatedAt === base.record.authenticatedAt',
    replace: '',
    tests: ['test/core/one-row.test.ts', 'test/core/reconcile.test.ts', 'test/core/password-change.test.ts'],
  },
  {
    name: 'who was spared by revokeAll loses the session to a request from before that',
    file: reconcile,
    at: 'mayGoOver',
    find: 'record.former !== undefined && ',
    replace: '',
    tests: ['test/core/reconcile.test.ts', 'test/core/password-change.test.ts'],
  },
  {
    name: 'a former token takes data along by a sign-in, and gets a new token by a claim',
    file: reconcile,
    at: 'reconcile',
    find: "state.kind === 'former' && (intent",
    replace: "state.kind === 'former' && isUnknown && (intent",
    tests: ['test/core/reconcile.test.ts', 'test/core/user-of.test.ts'],
  },
  {
    name: 'a session that has a new token gets a third one by a sign-in',
    file: reconcile,
    at: 'reconcile',
    find: "(place !== 'current' || !isOwn)",
    replace: '(!place || !isOwn)',
    tests: [...signIn, ...rotationGrace],
  },
  {
    name: 'a token that was replaced meanwhile goes on as the one of now',
    file: reconcile,
    at: 'reconcile',
    find: "place === 'current' ? { ...state, unanswered }",
    replace: 'place ? { ...state, unanswered }',
    tests: rotationGrace,
  },
  {
    name: 'a sign-in by a former token carries over what has ended',
    file: attempts,
    at: 'prepared',
    find: "(state.kind !== 'new' || read.row === undefined)",
    replace: "state.kind !== 'new'",
    tests: signIn,
  },
  {
    name: 'a sign-in that carries over a session does not look whether that is there still',
    file: plan,
    at: 'plan',
    find: 'if (state.copiedFrom && !hasRead)',
    replace: 'if (state.copiedFrom && hasRead)',
    tests: signIn,
  },
  {
    name: 'a former token stores what it saw over what is there now',
    file: plan,
    at: 'plan',
    find: "      if (!hasRead) return { do: 'read', why: state.unanswered ? 'an answer was lost' : 'former' }\n",
    replace: '',
    tests: rotationGrace,
  },
  {
    name: 'what others planted in the session is merged into a sign-in that does not keep it',
    file: inHand,
    at: 'merged',
    find: 'kept(form, theirs, keep)',
    replace: 'theirs',
    tests: signIn,
  },
  {
    name: 'what a sign-in does not keep counts as what the handler began from',
    file: inHand,
    at: 'merged',
    find: 'kept(form, before, keep)',
    replace: 'before',
    tests: signIn,
  },
  {
    name: "a sign-in goes on with what is another user's by now",
    file: reconcile,
    at: 'reconcile',
    find: "(place !== 'current' || !isOwn)",
    replace: "(place !== 'current')",
    tests: ['test/core/reconcile.test.ts', ...commitCases, 'test/core/user-of.test.ts'],
  },
  {
    name: 'a merge takes theirs',
    file: 'src/core/data/merge.ts',
    at: 'mergedValue',
    find: 'if (!resolve || isSame(ours, now)) return ours',
    replace: 'if (!resolve || isSame(ours, now)) return now',
    tests: ['test/core/merge.test.ts', 'test/properties/interleavings.test.ts'],
  },
  {
    name: 'the app is asked about places that only this request has changed',
    file: 'src/core/data/merge.ts',
    at: 'mergedValue',
    find: '  if (isSame(now, before)) return ours\n',
    replace: '',
    tests: ['test/core/merge.test.ts', ...concurrency, 'test/core/lost-answers.test.ts'],
  },
  {
    name: 'where both changed a place, the app is not asked',
    file: 'src/core/data/merge.ts',
    at: 'mergedValue',
    find: 'if (!resolve || isSame(ours, now)) return ours',
    replace: 'if (!resolve || before !== ours) return ours',
    tests: ['test/core/merge.test.ts', ...concurrency],
  },
  {
    name: 'an ending that finds another user removes that session',
    file: ending,
    at: 'removeStored',
    find: `    if (row && row.owner !== owner && row.owner !== undefined) return "another's"\n`,
    replace: '',
    tests: [...rotationGrace, 'test/core/ending.test.ts', 'test/core/hardening.test.ts'],
  },
  {
    name: 'an ending gives up where a parallel request has bound the session to its user',
    file: ending,
    at: 'removeStored',
    find: '    userId = found?.userId\n',
    replace: "    if (found || !found) return 'ended'\n",
    tests: [...rotationGrace, 'test/core/user-of.test.ts'],
  },
]
