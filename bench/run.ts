import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AppProcess } from './app-process.ts'
import type { Contender } from './contenders.ts'
import { keepCoresAwake } from './cores.ts'
import { marksOf } from './report/marks.ts'
import { machine, type MeasuredScenario } from './report/measured.ts'
import { otherMarks } from './report/other-marks.ts'
import { marksTable, scenarioTable, titleOf } from './report/tables.ts'
import { writeReport } from './report/write.ts'
import { quickScenarios, type Scenario, scenarios } from './scenarios.ts'
import { startServers } from './servers.ts'
import { measureSlice, type Slice } from './slice.ts'
import { visitorsOf } from './visitors.ts'

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
    rounds: { type: 'string' },
    /** `mysql` instead of `mariadb`. */
    database: { type: 'string' },
    seconds: { type: 'string' },
  },
})
const plan = options.quick
  ? { scenarios: quickScenarios, rounds: 3, warmUps: 1, seconds: 1, visitors: 300 }
  : { scenarios, rounds: 5, warmUps: 1, seconds: 2, visitors: 2_000 }
const rounds = Number(options.rounds ?? plan.rounds)
const seconds = Number(options.seconds ?? plan.seconds)
const isWhole = Object.keys(options).length === 1 && !options.quick

const awake = keepCoresAwake()
let appsStarted = 0
const servers = await startServers(options.database === undefined ? {} : { database: options.database })
try {
  const measured: MeasuredScenario[] = []
  for (const scenario of plan.scenarios) {
    if (options.profile && !options.profile.includes(scenario.profile)) continue
    if (options.connections && !options.connections.includes(`${scenario.connections}`)) continue
    measured.push(await measureScenario(scenario))
    console.log(`\n${titleOf(measured.at(-1)!)}\n\n${scenarioTable(measured.at(-1)!)}`)
  }
  if (isWhole) {
    const at = new Date().toISOString()
    const all = { on: machine(servers.versions), at, rounds, seconds, awake, scenarios: measured }
    const more = await otherMarks()
    await writeReport(all, more)
    console.log(`\n${marksTable([...marksOf(all), ...more])}`)
  }
} finally {
  await servers.stop()
}

/** All contenders in turn, slice by slice, so that what slows the machine for a while slows each of them. */
async function measureScenario(scenario: Scenario): Promise<MeasuredScenario> {
  const taking = scenario.contenders.filter(
    ({ name }) => !options.only || options.only.some((part) => name.includes(part)),
  )
  const prepared = []
  try {
    for (const contender of taking) prepared.push(await prepare(contender, scenario))
    const slices: Record<string, Slice[]> = Object.fromEntries(taking.map(({ name }) => [name, []]))
    for (let round = -plan.warmUps; round < rounds; round++) {
      // Each round begins with another, so that none always comes after the same, whose work the database may go on with.
      const first = (round + plan.warmUps) % prepared.length
      for (const { name, connections, app, cookies } of [
        ...prepared.slice(first),
        ...prepared.slice(0, first),
      ]) {
        const load = { ...scenario, connections: connections ?? scenario.connections, seconds, cookies }
        const slice = await measureSlice(app, servers, load)
        // Before, compilers and caches warm up.
        if (round >= 0) slices[name]!.push(slice)
      }
    }
    const { profile, connections, bytes } = scenario
    return { profile, connections, bytes, slices }
  } finally {
    await Promise.all(prepared.map(({ app }) => app.stop()))
  }
}

/** Starts an app, on a database and with visitors of its own. */
async function prepare(contender: Contender, { bytes }: Scenario) {
  const place = `bench_${++appsStarted}`
  const app = await AppProcess.start(contender, await servers.placesFor(place))
  const cookies = join(servers.folder, `${place}.cookies`)
  await writeFile(cookies, (await visitorsOf(app.port, plan.visitors, bytes)).join('\n') + '\n')
  return { ...contender, app, cookies }
}
