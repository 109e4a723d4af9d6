import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AppProcess } from './app-process.ts'
import { keepCoresAwake } from './cores.ts'
import type { Contender } from './contenders.ts'
import { scenarios, quickScenarios, type Scenario } from './scenarios.ts'
import { startServers } from './servers.ts'
import { measureSlice, type Slice } from './slice.ts'
import { median } from './statistics.ts'
import { visitorsOf } from './visitors.ts'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    /** Only contenders, and scenarios, whose name holds one of these. */
    only: { type: 'string', multiple: true },
    profile: { type: 'string', multiple: true },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
  },
})
const plan = options.quick
  ? { scenarios: quickScenarios, rounds: 3, seconds: 1, visitors: 500 }
  : { scenarios, rounds: 5, seconds: 2, visitors: 2_000 }
const rounds = Number(options.rounds ?? plan.rounds)
const seconds = Number(options.seconds ?? plan.seconds)

let appsStarted = 0
const awake = keepCoresAwake()
const servers = await startServers()
try {
  for (const scenario of plan.scenarios) {
    if (options.profile && !options.profile.includes(scenario.profile)) continue
    const slices = await measureScenario(scenario)
    console.log(scenario.profile, scenario.connections, scenario.bytes)
    const base = slices.get('express/none')
    for (const [name, of] of slices) {
      const m = (field: keyof Slice) => median(of.map((slice) => slice[field]))
      const ratio = base ? median(of.map((slice, round) => slice.perSecond / base[round]!.perSecond)) : NaN
      console.log(
        name.padEnd(28),
        m('perSecond').toFixed(0).padStart(6),
        ratio.toFixed(2),
        'p50',
        m('p50'),
        'p99',
        m('p99'),
        'app',
        m('appCPU').toFixed(0),
        'db',
        m('databaseCPU').toFixed(0),
        'stmts',
        m('statements').toFixed(0),
        'busy',
        m('appBusy').toFixed(2),
        m('otherBusy').toFixed(2),
        m('loadBusy').toFixed(2),
      )
    }
  }
} finally {
  await servers.stop()
}

async function measureScenario(scenario: Scenario): Promise<Map<string, Slice[]>> {
  const taking = scenario.contenders.filter(
    ({ name }) => !options.only || options.only.some((part) => name.includes(part)),
  )
  const prepared = []
  for (const contender of taking) prepared.push(await prepare(contender, scenario))
  const slices = new Map(prepared.map(({ contender }) => [contender.name, [] as Slice[]]))
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const { contender, app, cookies } of prepared) {
        const slice = await measureSlice(app, servers, { ...scenario, seconds, cookies })
        // The first round warms up: compilers, caches, connections.
        if (round > 0) slices.get(contender.name)!.push(slice)
      }
    }
  } finally {
    await Promise.all(prepared.map(({ app }) => app.stop()))
  }
  return slices
}

async function prepare(contender: Contender, { bytes }: Scenario) {
  const name = `bench_${++appsStarted}`
  const app = await AppProcess.start(contender, await servers.placesFor(name))
  const cookies = join(servers.folder, `${name}.cookies`)
  await writeFile(cookies, (await visitorsOf(app.port, plan.visitors, bytes)).join('\n') + '\n')
  return { contender, app, cookies }
}
