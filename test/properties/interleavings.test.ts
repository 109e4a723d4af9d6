import '../faked-timers.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Invariant } from './facts.ts'
import { play } from './play.ts'
import { type Focus, programs, shown } from './program.ts'
import { holds, isReplay, runs, timeout } from './replay.ts'
import { subjects } from './subjects.ts'
import { Tally } from './tally.ts'

interface Property extends Focus {
  /** How many programs are played in memory. */
  readonly count: number
  /** Those invariants that it is there for. All others are checked too where a program comes upon them. */
  readonly about: readonly Invariant[]
}

const properties: Readonly<Record<string, Property>> = {
  'changes of several requests all survive, and are read once they are told stored': {
    count: 200,
    about: ['I1', 'I5'],
    actions: ['set', 'set', 'same', 'delete', 'increment', 'increment', 'save', 'rotate', 'reload', 'touch'],
  },
  'whatever fails, an answer says what is stored': {
    count: 200,
    about: ['I8'],
    actions: ['set', 'set', 'same', 'delete', 'increment', 'increment', 'save', 'rotate'],
    faults: ['fails', 'fails', 'dies', 'overdue'],
  },
  'what has ended stays ended, everywhere': {
    count: 200,
    about: ['I2', 'I3'],
    actions: ['set', 'increment', 'save', 'rotate', 'touch', 'destroy', 'signOut', 'regenerate', 'signInAda'],
    others: ['revoke'],
  },
  'no token from before a login leads into it, also where apps die between two steps': {
    count: 200,
    about: ['I4'],
    actions: ['set', 'set', 'save', 'rotate', 'reload', 'signInAda', 'signInAda', 'signInBob', 'signOut'],
    faults: ['fails', 'dies', 'dies'],
  },
  'revocations reach the logins that began before them': {
    count: 200,
    about: ['I9'],
    actions: ['set', 'save', 'signInAda', 'signInAda', 'signInBob', 'revokeOthers', 'rotate'],
    others: ['revokeAll', 'revoke'],
    requests: 4,
  },
  'requests that only read write nothing but touches': {
    count: 50,
    about: ['I10'],
    actions: ['touch'],
  },
  'all of it together, with faults': {
    count: 300,
    about: ['I6', 'I7', 'I11'],
    actions: [
      'set', 'set', 'same', 'delete', 'increment', 'save', 'touch', 'reload', 'rotate', 'regenerate',
      'signInAda', 'signInBob', 'signOut', 'destroy', 'revokeOthers',
    ], // prettier-ignore
    others: ['revoke', 'revokeAll'],
    faults: ['fails', 'fails', 'dies', 'overdue'],
    requests: 8,
  },
}

const tally = new Tally()
afterAll(() => tally.print())

describe.each(subjects)('on $name', ({ name, traits, share, open }) => {
  let opened: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(() => opened.close())

  for (const [property, { count, about, ...focus }] of Object.entries(properties)) {
    const programsToPlay = (count * share) / 100
    test(`${property} (${runs(programsToPlay)} programs)`, { timeout }, async () => {
      const own = new Tally()
      const property = holds(
        programs(focus),
        programsToPlay,
        async (program) => {
          const checks = await play(program, await opened.empty(), traits)
          for (const counts of [own, tally]) counts.add(name, checks)
        },
        { shown },
      )
      await expect(property).resolves.toBeUndefined()
      expect(own.neverChecked(name, isReplay ? [] : about), 'never checked').toEqual([])
    })
  }
})
