import { cpus, totalmem } from 'node:os'
import type { Scenario } from '../scenarios.ts'
import type { Slice } from '../slice.ts'
import { median } from '../statistics.ts'

/** What one run of the bench measured, as it is kept in results/bench.json. */
export interface Measured {
  /** The machine and the programs. */
  readonly on: string
  readonly at: string
  readonly rounds: number
  readonly seconds: number
  /** Whether idle cores were kept awake. */
  readonly awake: boolean
  readonly scenarios: readonly MeasuredScenario[]
}

export type MeasuredScenario = Pick<Scenario, 'profile' | 'connections' | 'bytes'> & {
  /** The slices of each contender, by its name, in the order of the rounds. */
  readonly slices: Readonly<Record<string, readonly Slice[]>>
}

/** Names the machine and the programs, as far as figures depend on them. */
export function machine(servers: string): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} × ${cpu?.model.trim()}, ${memory} GB, Node ${process.versions.node}, ${servers}`
}

/** @throws Error if it was not measured */
export function scenarioOf(
  { scenarios }: Measured,
  { profile = 'read', connections = 64, bytes = 300 }: Partial<MeasuredScenario> = {},
): MeasuredScenario {
  const found = scenarios.find(
    (one) => one.profile === profile && one.connections === connections && one.bytes === bytes,
  )
  if (!found)
    throw new Error(`There is no measurement of ${profile}, ${connections} connections, ${bytes} bytes.`)
  return found
}

/** The median over the rounds. */
export function middle({ slices }: MeasuredScenario, name: string, of: (slice: Slice) => number): number {
  return median((slices[name] ?? []).map(of))
}

/** The median of one contender's ratios to another, each of the same round: what slows the machine slows both. */
export function ratio(
  { slices }: MeasuredScenario,
  name: string,
  other: string,
  of: (slice: Slice) => number = ({ perSecond }) => perSecond,
): number {
  const others = slices[other]
  if (!others) return Number.NaN
  return median((slices[name] ?? []).map((slice, round) => of(slice) / of(others[round]!)))
}
