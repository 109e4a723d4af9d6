import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { play } from './play.ts'
import { type Focus, type Program, programs } from './program.ts'
import { holds, runs, timeout } from './replay.ts'
import { subjects } from './subjects.ts'

/** What programs are made of, and how many of them are played in memory. */
const properties: Readonly<Record<string, Focus & { readonly count: number }>> = {
  'changes of several requests all survive, and are read once they are told stored': {
    count: 200,
    actions: ['set', 'set', 'same', 'delete', 'increment', 'increment', 'save', 'rotate', 'reload', 'touch'],
  },
  'whatever fails, an answer says what is stored': {
    count: 200,
    actions: ['set', 'set', 'same', 'delete', 'increment', 'increment', 'save', 'rotate'],
    faults: ['fails', 'fails', 'dies', 'overdue'],
  },
  'what has ended stays ended, everywhere': {
    count: 200,
    actions: ['set', 'increment', 'save', 'rotate', 'touch', 'destroy', 'signOut', 'regenerate', 'signInAda'],
    others: ['revoke'],
  },
  'no token from before a login leads into it, also where apps die between two steps': {
    count: 200,
    actions: ['set', 'set', 'save', 'rotate', 'reload', 'signInAda', 'signInAda', 'signInBob', 'signOut'],
    faults: ['fails', 'dies', 'dies'],
  },
  'revocations reach the logins that began before them': {
    count: 200,
    actions: ['set', 'save', 'signInAda', 'signInAda', 'signInBob', 'revokeOthers', 'rotate'],
    others: ['revokeAll', 'revoke'],
    requests: 4,
  },
  'requests that only read write nothing but touches': { count: 50, actions: ['touch'] },
  'all of it together, with faults': {
    count: 300,
    actions: [
      'set', 'set', 'same', 'delete', 'increment', 'save', 'touch', 'reload', 'rotate', 'regenerate',
      'signInAda', 'signInBob', 'signOut', 'destroy', 'revokeOthers',
    ], // prettier-ignore
    others: ['revoke', 'revokeAll'],
    faults: ['fails', 'fails', 'dies', 'overdue'],
    requests: 8,
  },
}

const table: Record<string, Record<string, number>> = {}

afterAll(() => {
  // How often each invariant was looked at: one that never is would hold whatever happens.
  console.table(table)
})

describe.each(subjects)('on $name', ({ name, traits, share, open }) => {
  let opened: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(() => opened.close())

  for (const [property, { count, ...focus }] of Object.entries(properties)) {
    const programsToPlay = (count * share) / 100
    test(`${property} (${runs(programsToPlay)} programs)`, { timeout }, async () => {
      const property = holds(
        programs(focus),
        programsToPlay,
        async (program) => {
          const checks = await play(program, await opened.empty(), traits)
          const row = (table[name] ??= {})
          for (const [invariant, times] of Object.entries(checks)) {
            row[invariant] = (row[invariant] ?? 0) + times
          }
        },
        shown,
      )
      await expect(property).resolves.toBeUndefined()
    })
  }
})

function shown({ users, touches, arrivals }: Program): string {
  const start = `at the start: ${users.map((user) => user ?? 'nobody').join(', ')}${touches ? ', with touches' : ''}`
  return [start, ...arrivals.map((arrival, index) => `r${index}: ${JSON.stringify(arrival)}`)].join('\n')
}
