import { contenders, onSixtyFour } from '../contenders.ts'
import { shapes } from '../apps/shapes.ts'
import { type Sleep, sleeps } from '../load.ts'
import type { Mark } from './marks.ts'
import { type Measured, type MeasuredScenario, middle, ratio, scenarioOf } from './measured.ts'
import { table } from './table.ts'

const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const titles = new Map([...contenders, onSixtyFour].map(({ name, title }) => [name, title]))

/** The few lines for README. */
export function summaryTable(measured: Measured, cores: Sleep): string {
  const read = scenarioOf(measured, cores)
  const change = scenarioOf(measured, cores, { profile: 'change' })
  const rows = Object.keys(read?.slices ?? {}).filter((name) => name.startsWith('express/'))
  return table(
    [
      'on Express',
      'reading/s',
      'of nothing',
      'p99',
      'app CPU',
      'database CPU',
      'statements/1,000',
      'changing/s',
    ],
    rows.map((name) => [
      titles.get(name)!.replace('Express: ', ''),
      perSecond(read, name),
      ofNothing(read, name),
      milliseconds(middle(read, name, ({ p99 }) => p99)),
      microseconds(middle(read, name, ({ appCPU }) => appCPU)),
      microseconds(middle(read, name, ({ databaseCPU }) => databaseCPU)),
      number.format(middle(read, name, ({ statements }) => statements)),
      perSecond(change, name),
    ]),
  )
}

export const coresTitles: Readonly<Record<Sleep, string>> = {
  asleep: 'cores that sleep when idle',
  awake: 'cores kept awake',
}

/** Everything that one run measured. */
export function fullTables({ scenarios }: Measured): string {
  const parts = sleeps
    .map((cores) => [cores, scenarios.filter((scenario) => scenario.cores === cores)] as const)
    .filter(([, measured]) => measured.length > 0)
  return parts
    .flatMap(([cores, measured]) => [
      `## All figures, ${coresTitles[cores]}`,
      ...measured.map((scenario) => `### ${titleOf(scenario)}\n\n${scenarioTable(scenario)}`),
    ])
    .join('\n\n')
}

/** One scenario, for the terminal too. */
export function scenarioTable(scenario: MeasuredScenario): string {
  return table(
    [
      '',
      'requests/s',
      'of nothing',
      'p50',
      'p99',
      'app CPU',
      'database CPU',
      'statements/1,000',
      'app core',
      'other core',
      'of it load',
    ],
    Object.keys(scenario.slices).map((name) => [
      titles.get(name)!,
      perSecond(scenario, name),
      ofNothing(scenario, name),
      milliseconds(middle(scenario, name, ({ p50 }) => p50)),
      milliseconds(middle(scenario, name, ({ p99 }) => p99)),
      microseconds(middle(scenario, name, ({ appCPU }) => appCPU)),
      microseconds(middle(scenario, name, ({ databaseCPU }) => databaseCPU)),
      number.format(middle(scenario, name, ({ statements }) => statements)),
      percent(middle(scenario, name, ({ appBusy }) => appBusy)),
      percent(middle(scenario, name, ({ otherBusy }) => otherBusy)),
      percent(middle(scenario, name, ({ loadBusy }) => loadBusy)),
    ]),
  )
}

/** The headings of one page differ, so that each can be linked to. */
export function titleOf({ profile, connections, shape, cores }: MeasuredScenario): string {
  const what = {
    read: 'Reading',
    change: 'Changing',
    login: 'Logging in',
    mixed: '90 read, 9 change, 1 logs in',
    dead: 'Reading with dead tokens',
  }
  return `${what[profile]}, ${connections} connection${connections === 1 ? '' : 's'}, ${shapes[shape].title}, ${coresTitles[cores]}`
}

export function marksTable(marks: readonly Mark[]): string {
  return table(
    ['mark', 'wanted', ...sleeps.map((cores) => `cores ${cores}`), ''],
    marks.map(({ what, wanted, got, met }) => [
      what,
      wanted,
      ...sleeps.map((cores) => got[cores] ?? ''),
      met ? 'held' : '**not held**',
    ]),
  )
}

function ofNothing(scenario: MeasuredScenario | undefined, name: string): string {
  const share = ratio(scenario, name, `${name.split('/')[0]}/none`)
  // Nothing may have been left out of a run.
  return Number.isNaN(share) ? '' : share.toFixed(2)
}

function perSecond(scenario: MeasuredScenario | undefined, name: string): string {
  return number.format(middle(scenario, name, (slice) => slice.perSecond))
}

function milliseconds(time: number): string {
  return `${(time / 1_000).toFixed(1)} ms`
}

function microseconds(time: number): string {
  return `${time.toFixed(0)} µs`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)}%`
}
