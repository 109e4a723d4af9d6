import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AppProcess } from './app-process.ts'
import type { Contender } from './contenders.ts'
import { keepCoresAwake } from './cores.ts'
import { type Sleep, type Slice, sleeps } from './load.ts'
import { marksOf } from './report/marks.ts'
import { machine, type MeasuredScenario } from './report/measured.ts'
import { otherMarks } from './report/other-marks.ts'
import { marksTable, scenarioTable, titleOf } from './report/tables.ts'
import { writeReport } from './report/write.ts'
import { quickScenarios, type Scenario, scenarios } from './scenarios.ts'
import { startServers } from './servers.ts'
import { measureSlice } from './slice.ts'
import { logOut, visitorsOf } from './visitors.ts'

/**
 * `npm run bench`: measures coatcheck beside what it replaces, and writes README's table, docs/benchmark.md and its
 * picture. `-- --quick` prints a part of it in under two minutes, and writes nothing; so do the other options.
 */
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Contenders whose name holds one of these. */
    only: { type: 'string', multiple: true },
    profile: { type: 'string', multiple: true },
    connections: { type: 'string', multiple: true },
    shape: { type: 'string', multiple: true },
    /** `awake` or `asleep`: both, or with `--quick` awake alone, if left out. */
    cores: { type: 'string', multiple: true },
    rounds: { type: 'string' },
    /** `mysql` instead of `mariadb`. */
    database: { type: 'string' },
    seconds: { type: 'string' },
  },
})
const plan = options.quick
  ? { scenarios: quickScenarios, cores: ['awake'], rounds: 3, warmUps: 1, seconds: 1, visitors: 300 }
  : { scenarios, cores: sleeps, rounds: 5, warmUps: 1, seconds: 2, visitors: 2_000 }
const rounds = Number(options.rounds ?? plan.rounds)
const seconds = Number(options.seconds ?? plan.seconds)
const isWhole = Object.keys(options).length === 1 && !options.quick
const coresAsked = options.cores ?? plan.cores
const measuredCores = sleeps.filter((cores) => coresAsked.includes(cores))
if (measuredCores.length < coresAsked.length) throw new Error(`--cores is one of ${sleeps.join(', ')}.`)

let appsStarted = 0
const servers = await startServers(options.database === undefined ? {} : { database: options.database })
try {
  const measured: MeasuredScenario[] = []
  for (const scenario of plan.scenarios) {
    if (options.profile && !options.profile.includes(scenario.profile)) continue
    if (options.connections && !options.connections.includes(`${scenario.connections}`)) continue
    if (options.shape && !options.shape.includes(scenario.shape)) continue
    for (const each of await measureScenario(scenario)) {
      measured.push(each)
      console.log(`\n${titleOf(each)}\n\n${scenarioTable(each)}`)
    }
  }
  const marks = marksOf({ scenarios: measured })
  const more = isWhole ? await otherMarks() : []
  if (marks.length > 0) console.log(`\n${marksTable([...marks, ...more])}`)
  if (isWhole) {
    const at = new Date().toISOString()
    await writeReport({ on: machine(servers.versions), at, rounds, seconds, scenarios: measured }, more)
  }
} finally {
  await servers.stop()
}

/** The same apps with idle cores kept awake, and with cores that sleep. */
async function measureScenario(scenario: Scenario): Promise<MeasuredScenario[]> {
  const taking = scenario.contenders.filter(
    ({ name }) => !options.only || options.only.some((part) => name.includes(part)),
  )
  if (taking.length === 0) return []
  const prepared: Prepared[] = []
  try {
    for (const contender of taking) prepared.push(await prepare(contender, scenario))
    const measured: MeasuredScenario[] = []
    for (const cores of measuredCores) {
      // Unless it is asked for.
      if (scenario.cores && scenario.cores !== cores && !options.cores) continue
      const { profile, connections, shape } = scenario
      const slices = await inCores(cores, () => measureInTurn(prepared, scenario))
      measured.push({ profile, connections, shape, cores, slices })
    }
    return measured
  } finally {
    await Promise.all(prepared.map(({ app }) => app.stop()))
  }
}

/** @throws Error if cores are to be kept awake, and cannot */
async function inCores<Result>(cores: Sleep, act: () => Promise<Result>): Promise<Result> {
  if (cores === 'asleep') return act()
  const letSleep = keepCoresAwake()
  if (!letSleep) throw new Error('Only root can keep cores awake: run it as root, or with --cores asleep.')
  try {
    return await act()
  } finally {
    letSleep()
  }
}

/** All contenders in turn, slice by slice, so that what slows the machine for a while slows each of them. */
async function measureInTurn(
  prepared: readonly Prepared[],
  scenario: Scenario,
): Promise<Record<string, Slice[]>> {
  const slices: Record<string, Slice[]> = Object.fromEntries(prepared.map(({ name }) => [name, []]))
  for (let round = -plan.warmUps; round < rounds; round++) {
    // Each round begins with another, so that none always comes after the same, whose work the database may go on with.
    const first = (round + plan.warmUps) % prepared.length
    for (const { name, connections, app, cookies } of [
      ...prepared.slice(first),
      ...prepared.slice(0, first),
    ]) {
      const { profile } = scenario
      const load = { profile, connections: connections ?? scenario.connections, seconds, cookies }
      const slice = await measureSlice(app, servers, load)
      // Before, compilers and caches warm up.
      if (round >= 0) slices[name]!.push(slice)
    }
  }
  return slices
}

interface Prepared extends Contender {
  readonly app: AppProcess
  readonly cookies: string
}

/** Starts an app, on a database and with visitors of its own. */
async function prepare(contender: Contender, { shape, profile }: Scenario): Promise<Prepared> {
  const place = `bench_${++appsStarted}`
  const app = await AppProcess.start(contender, await servers.placesFor(place), { shape })
  const visitors = await visitorsOf(app.port, plan.visitors)
  if (profile === 'dead') await logOut(app.port, visitors)
  const cookies = join(servers.folder, `${place}.cookies`)
  await writeFile(cookies, visitors.join('\n') + '\n')
  return { ...contender, app, cookies }
}
