import fc from 'fast-check'
import type { Choice, Fate } from '../schedule.ts'

export const siteNames = ['shop', 'blog'] as const
export type SiteName = (typeof siteNames)[number]
export const userNames = ['ada', 'bob'] as const
export type UserName = (typeof userNames)[number]

/** What happens at the hub, and what happens at a site. With `handOffTwice`, the address with the code is loaded twice. */
export type HubAct = 'signIn' | 'stepUp' | 'rotate' | 'signOut' | 'revoke' | 'revokeAll' | 'revokeOthers'
export type SiteAct =
  | 'handOff'
  | 'handOffTwice'
  | 'change'
  | 'stepUpAtSite'
  | 'rotateAtSite'
  | 'signOutAtSite'
  | 'signOutEverywhere'
export type Act = HubAct | SiteAct

export interface Arrival {
  readonly act: Act
  /** Which process of the app. */
  readonly process: number
  readonly browser: number
  /** Of a `HubAct`, it means nothing. */
  readonly site: SiteName
  /** Who signs in, or is revoked. */
  readonly user: UserName
  /** Of the tokens that this browser has had, how many newer ones this request was sent before. */
  readonly age: number
}

/** What a browser begins with. */
export interface Start {
  /** Who is signed in at the hub. */
  readonly user: UserName | undefined
  /** Whether that user is signed in at both sites too. */
  readonly isAtSites: boolean
}

export interface Program {
  readonly browsers: readonly Start[]
  readonly arrivals: readonly Arrival[]
  readonly choices: readonly Choice[]
}

/** How many processes each app has. */
export const processes = 2

/** What a kind of program is made of. What is in a list twice comes twice as often. */
export interface Focus {
  readonly acts: readonly Act[]
  readonly faults?: readonly Fate[]
  readonly arrivals?: readonly [least: number, most: number]
  readonly browsers?: number
  readonly users?: readonly UserName[]
}

export function programs({
  acts,
  faults = [],
  arrivals = [1, 6],
  browsers = 2,
  users = ['ada', 'ada', 'bob'],
}: Focus): fc.Arbitrary<Program> {
  const arrival = fc.record({
    act: fc.constantFrom(...acts),
    process: fc.nat(processes - 1),
    browser: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      { weight: 1, arbitrary: fc.nat(browsers - 1) },
    ),
    site: fc.constantFrom(...siteNames),
    user: fc.constantFrom(...users),
    age: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2) }),
  })
  const start = fc.record({
    user: fc.constantFrom(undefined, ...users, ...users),
    isAtSites: fc.boolean(),
  })
  const fate: fc.Arbitrary<Fate> =
    faults.length === 0
      ? fc.constant('goes')
      : fc.oneof(
          { weight: 16, arbitrary: fc.constant('goes' as const) },
          { weight: 1, arbitrary: fc.constantFrom(...faults) },
        )
  // One request often goes on for a while: so whole requests come between two steps of another.
  const stretch = fc.record({
    pick: fc.nat(30),
    fates: fc.oneof(
      fc.array(fate, { minLength: 1, maxLength: 2 }),
      fc.array(fate, { minLength: 1, maxLength: 30, size: 'max' }),
    ),
  })
  const choices = fc
    .array(stretch, { maxLength: 40, size: 'max' })
    .map((stretches) =>
      stretches.flatMap(({ pick, fates }) =>
        fates.map((each, index): Choice => ({ pick: index === 0 ? pick : -1, fate: each })),
      ),
    )
  return fc.record({
    browsers: fc.array(start, { minLength: browsers, maxLength: browsers }),
    arrivals: fc.array(arrival, { minLength: arrivals[0], maxLength: arrivals[1], size: 'max' }),
    choices,
  })
}

/** For people to read. The schedule's log tells the choices. */
export function shown({ browsers, arrivals }: Program): string {
  const starts = browsers.map((start) => `at the start: ${JSON.stringify(start)}`)
  return [...starts, ...arrivals.map((arrival, index) => `r${index}: ${JSON.stringify(arrival)}`)].join('\n')
}
