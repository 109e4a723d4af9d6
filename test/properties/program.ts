import fc from 'fast-check'
import type { Choice, Fate } from './schedule.ts'

export type Action =
  | 'set' | 'same' | 'delete' | 'increment' | 'save' | 'touch' | 'reload' | 'rotate' | 'regenerate'
  | 'signInAda' | 'signInBob' | 'signOut' | 'destroy' | 'revokeOthers' // prettier-ignore

/** Something that arrives at one of the apps. */
export type Arrival =
  | {
      readonly kind: 'request'
      readonly app: number
      readonly browser: number
      /** Of the tokens that this browser has had, how many newer ones this request was sent before. */
      readonly age: number
      readonly actions: readonly Action[]
    }
  | { readonly kind: 'revoke'; readonly app: number; readonly browser: number }
  | { readonly kind: 'revokeAll'; readonly app: number; readonly user: string }

export interface Program {
  /** Who is signed in at each browser before the program begins. */
  readonly users: readonly (string | undefined)[]
  /** Whether each read moves the expiry. */
  readonly touches: boolean
  readonly arrivals: readonly Arrival[]
  readonly choices: readonly Choice[]
}

export const apps = 3
const browsers = 2

/** What a kind of program is made of; what stands in a list twice comes twice as often. */
export interface Focus {
  readonly actions: readonly Action[]
  readonly others?: readonly ('revoke' | 'revokeAll')[]
  readonly faults?: readonly Fate[]
  /** How many requests there are for each of `others`. */
  readonly requests?: number
  /** How many arrivals there are at least and at most. */
  readonly arrivals?: readonly [number, number]
}

export function programs(focus: Focus): fc.Arbitrary<Program> {
  const { actions, others = [], faults = [], requests = 3, arrivals = [1, 7] } = focus
  const app = fc.nat(apps - 1)
  const browser = fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat(browsers - 1) },
  )
  const request = fc.record({
    kind: fc.constant('request' as const),
    app,
    browser,
    age: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(3) }),
    actions: actions.length > 0 ? fc.array(fc.constantFrom(...actions), { maxLength: 4 }) : fc.constant([]),
  })
  const revoke = fc.record({ kind: fc.constant('revoke' as const), app, browser })
  const user = fc.constantFrom('ada', 'ada', 'bob')
  const revokeAll = fc.record({ kind: fc.constant('revokeAll' as const), app, user })
  const arrival: fc.Arbitrary<Arrival> = fc.oneof(
    { weight: requests, arbitrary: request },
    ...others.map((kind) => ({ weight: 1, arbitrary: kind === 'revoke' ? revoke : revokeAll })),
  )
  const fate: fc.Arbitrary<Fate> =
    faults.length === 0
      ? fc.constant('goes')
      : fc.oneof(
          { weight: 12, arbitrary: fc.constant('goes' as const) },
          { weight: 1, arbitrary: fc.constantFrom(...faults) },
        )
  return fc.record({
    users: fc.array(fc.constantFrom(undefined, 'ada', 'bob'), { minLength: browsers, maxLength: browsers }),
    touches: fc.boolean(),
    arrivals: fc.array(arrival, { minLength: arrivals[0], maxLength: arrivals[1], size: 'max' }),
    choices: fc.array(fc.record({ pick: fc.nat(30), fate }), { maxLength: 160, size: 'max' }),
  })
}

/** For people to read. The choices are left out: what came of them is told by whoever goes by them. */
export function shown({ users, touches, arrivals }: Program): string {
  const start = `at the start: ${users.map((user) => user ?? 'nobody').join(', ')}${touches ? ', with touches' : ''}`
  return [start, ...arrivals.map((arrival, index) => `r${index}: ${JSON.stringify(arrival)}`)].join('\n')
}
