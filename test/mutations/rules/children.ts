import type { Mutation } from '../aim.ts'

/** How the sessions of sites begin and end: most as the generated programs of a hub and two sites see it. */

const redeem = 'src/core/handoff/redeem.ts'
const reconcile = 'src/core/session/reconcile.ts'
const work = 'src/core/session/unit-of-work.ts'
const users = 'src/core/users/user-sessions.ts'
const site = 'src/http/handoff/site.ts'

const tests = ['test/properties/handoff.test.ts']

export const childRules: readonly Mutation[] = [
  {
    name: 'in programs of a hub and sites: a used code gives another session',
    file: redeem,
    at: 'judgeCode',
    find: "state.is === 'used' ?",
    replace: "state.is === 'used' && state.childId === '' ?",
    tests,
  },
  {
    name: 'in programs of a hub and sites: a request redeems a code although another was faster',
    file: redeem,
    at: 'redeemCode',
    find: "if (!(await changeCode(context, code, stored, { is: 'used', childId, returnTo }))) continue",
    replace: "await changeCode(context, code, stored, { is: 'used', childId, returnTo })",
    tests,
  },
  {
    name: 'in programs of a hub and sites: a redemption does not look for a revocation',
    file: redeem,
    at: 'storeChild',
    find: 'revokedSince(context, userId, { readAt: grant.readAt ?? note.record.createdAt, begunAt }),',
    replace: 'userId === String(readAt),',
    tests,
  },
  {
    name: 'in programs of a hub and sites: a code of an earlier sign-in on the same row gives a session',
    file: redeem,
    at: 'isStillRoot',
    find: 'if (authenticatedAt !== found.root.authenticatedAt) return false',
    replace: 'if (authenticatedAt === -1) return false',
    tests,
  },
  {
    name: 'in programs of a hub and sites: the children of a row stay when its user goes',
    file: 'src/core/session/commit.ts',
    at: 'write',
    find: 'if (before && before.userId !== write.userId) await endChildrenOf(work, before)',
    replace: 'if (before && before.userId === "") await endChildrenOf(work, before)',
    tests,
  },
  {
    name: 'in programs of a hub and sites: a step-up with an old token begins a session without a root',
    file: work,
    at: 'UnitOfWork.signIn',
    find: '!this.form.userOf && !inHand.root',
    replace: '!this.form.userOf',
    tests,
  },
  {
    name: 'in programs of a hub and sites: what begins in place of a child has no root',
    file: reconcile,
    at: 'startAnew',
    find: 'base.record.rootId)',
    replace: '[base.record.rootId][1])',
    tests,
  },
  {
    name: 'in programs of a hub and sites: a limit counts the sessions of sites too',
    file: users,
    at: 'UserSessions.roots',
    find: 'rootId === undefined',
    replace: "rootId !== ''",
    tests,
  },
  {
    name: 'in programs of a hub and sites: a sign-out everywhere ends the session of the site only',
    file: site,
    at: 'HandoffSite.#signOut',
    find: "await this.#sessions.revoke(root.userId, root.publicId, 'signOut')",
    replace: "await this.#sessions.revoke(root.userId, root.userId, 'signOut')",
    tests,
  },
  {
    name: 'in programs of a hub and sites: a site sees all that the hub stores',
    file: 'src/core/session/root.ts',
    at: 'shared',
    find: 'names.filter(',
    replace: '[...names, ...Object.keys(data)].filter(',
    tests,
  },
  {
    name: 'in programs of a hub and sites: a new hand-off leaves the session of an earlier one',
    file: work,
    at: 'UnitOfWork.continueAs',
    find: "await this.#removeAll(ending, 'signOut')",
    replace: "if (ending.length > 9) await this.#removeAll(ending, 'signOut')",
    tests,
  },
  {
    name: 'with userOf, a redemption slips in between a look for children and the write that follows',
    file: redeem,
    at: 'isStillRoot',
    find: 'await context.write(asItIs(found.root))',
    replace: "(asItIs(found.root), 'done' as string)",
    tests: ['test/handoff/user-of.test.ts'],
  },
  {
    name: 'a code is not bound to when the hub read its session',
    file: 'src/core/handoff/code.ts',
    at: 'grantedRoot',
    find: '    readAt,\n',
    replace: '    readAt: [readAt][1],\n',
    tests: ['test/handoff/redeem-steps.test.ts'],
  },
]
