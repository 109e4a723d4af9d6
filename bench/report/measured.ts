import { cpus, totalmem } from 'node:os'
import { mainShape } from '../apps/shapes.ts'
import type { Sleep, Slice } from '../load.ts'
import type { Scenario } from '../scenarios.ts'
import { median } from '../statistics.ts'

/** What one run of the bench measured, as it is kept in results/bench.json. */
export interface Measured {
  /** The machine and the programs. */
  readonly on: string
  readonly at: string
  readonly rounds: number
  readonly seconds: number
  readonly scenarios: readonly MeasuredScenario[]
}

export type MeasuredScenario = Pick<Scenario, 'profile' | 'connections' | 'shape'> & {
  /** Whether idle cores were kept awake meanwhile. */
  readonly cores: Sleep
  /** The slices of each contender, by its name, in the order of the rounds. */
  readonly slices: Readonly<Record<string, readonly Slice[]>>
}

/** Names the machine and the programs, as far as figures depend on them. */
export function machine(servers: string): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} × ${cpu?.model.trim()}, ${memory} GB, Node ${process.versions.node}, ${servers}`
}

/** `undefined` if it was not measured. What is left out is as in the main scenario: reading, 64 connections, the main shape. */
export function scenarioOf(
  { scenarios }: Pick<Measured, 'scenarios'>,
  cores: Sleep,
  { profile = 'read', connections = 64, shape = mainShape }: Partial<MeasuredScenario> = {},
): MeasuredScenario | undefined {
  return scenarios.find(
    (one) =>
      one.cores === cores &&
      one.profile === profile &&
      one.connections === connections &&
      one.shape === shape,
  )
}

/** The median over the rounds; NaN where it was not measured. */
export function middle(
  scenario: MeasuredScenario | undefined,
  name: string,
  of: (slice: Slice) => number,
): number {
  return median((scenario?.slices[name] ?? []).map(of))
}

/** The median of one contender's ratios to another, each of the same round: what slows the machine slows both. */
export function ratio(
  scenario: MeasuredScenario | undefined,
  name: string,
  other: string,
  of: (slice: Slice) => number = ({ perSecond }) => perSecond,
): number {
  const others = scenario?.slices[other]
  if (!others) return Number.NaN
  return median((scenario.slices[name] ?? []).map((slice, round) => of(slice) / of(others[round]!)))
}

/** The same of the app's CPU above that of an app without sessions in the same round. */
export function ratioAbove(
  scenario: MeasuredScenario | undefined,
  name: string,
  other: string,
  nothing: string,
): number {
  const [ones = [], others, nothings] = [name, other, nothing].map((key) => scenario?.slices[key])
  if (!others || !nothings) return Number.NaN
  const above = (slice: Slice, round: number) => slice.appCPU - nothings[round]!.appCPU
  return median(ones.map((slice, round) => above(slice, round) / above(others[round]!, round)))
}
