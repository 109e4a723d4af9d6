import '../faked-timers.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Invariant } from './handoff/history.ts'
import { play, type PlayOptions } from './handoff/play.ts'
import { type Focus, programs, shown } from './handoff/program.ts'
import { holds, isReplay, runs, timeout } from './replay.ts'
import { subjects } from './subjects.ts'
import { Tally } from './tally.ts'

type Property = Focus &
  PlayOptions & {
    /** How many programs are played in memory. */
    readonly count: number
    /** Those invariants that it is there for. All others are checked too where a program comes upon them. */
    readonly about: readonly Invariant[]
  }

const properties: Readonly<Record<string, Property>> = {
  'whatever ends at the hub has ended at its sites, and no step-up there outlives it': {
    count: 100,
    byData: false,
    about: ['H1', 'H4', 'H7'],
    acts: [
      'handOff', 'handOff', 'stepUpAtSite', 'stepUpAtSite', 'rotateAtSite', 'change', 'signIn', 'signOut',
      'signOutEverywhere', 'revoke',
    ], // prettier-ignore
  },
  'a revocation reaches every hand-off that began before it': {
    count: 150,
    byData: false,
    about: ['H5'],
    acts: ['handOff', 'handOff', 'handOff', 'stepUpAtSite', 'revokeOthers', 'revokeOthers', 'revokeAll'],
    arrivals: [2, 5],
  },
  'a code gives one session at most, whatever fails or dies': {
    count: 80,
    byData: false,
    about: ['H3'],
    acts: ['handOffTwice', 'handOffTwice', 'rotateAtSite', 'signOut'],
    faults: ['fails', 'dies'],
    arrivals: [1, 4],
  },
  'what was changed at a site stays changed, whatever becomes of its token': {
    count: 80,
    byData: false,
    about: ['H6'],
    acts: ['change', 'change', 'change', 'handOff', 'stepUpAtSite', 'rotateAtSite'],
    faults: ['fails', 'dies'],
    arrivals: [2, 6],
  },
  'nobody is left half signed in, whatever fails or dies': {
    count: 150,
    byData: false,
    about: ['H2', 'H8', 'H10'],
    acts: [
      'handOff', 'handOff', 'handOffTwice', 'change', 'change', 'change', 'stepUpAtSite', 'rotateAtSite', 'signOutAtSite',
      'signOutEverywhere', 'signIn', 'stepUp', 'rotate', 'signOut', 'revoke', 'revokeAll', 'revokeOthers',
    ], // prettier-ignore
    faults: ['fails', 'fails', 'dies', 'overdue'],
    arrivals: [2, 8],
  },
  'a limit counts roots only': {
    count: 60,
    byData: false,
    most: 1,
    about: ['H7', 'H9'],
    acts: ['handOff', 'stepUpAtSite', 'stepUpAtSite', 'signIn'],
  },
  'where the data says who is signed in at the hub, no session of a site comes back with the user': {
    count: 200,
    byData: true,
    about: ['H1', 'H2', 'H4'],
    acts: ['handOff', 'handOff', 'signIn', 'signIn', 'signOut', 'signOut', 'stepUp'],
    arrivals: [3, 4],
    browsers: 1,
    users: ['ada', 'ada', 'ada', 'ada', 'bob'],
  },
}

const tally = new Tally()
afterAll(() => tally.print())

// Tables of express-mysql-session keep no children.
const stores = subjects.filter(({ traits }) => traits.rowsStay)

describe.each(stores)('a hub and two sites on $name', ({ name, share, open }) => {
  let opened: Awaited<ReturnType<typeof open>>
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(() => opened.close())

  for (const [property, { count, about, ...focus }] of Object.entries(properties)) {
    const programsToPlay = (count * share) / 100
    test(`${property} (${runs(programsToPlay)} programs)`, { timeout }, async () => {
      const own = new Tally()
      const checked = holds(
        programs(focus),
        programsToPlay,
        async (program) => {
          const checks = await play(program, await opened.empty(), focus)
          for (const counts of [own, tally]) counts.add(name, checks)
        },
        { shown },
      )
      await expect(checked).resolves.toBeUndefined()
      expect(own.neverChecked(name, isReplay ? [] : about), 'never checked').toEqual([])
    })
  }
})
