import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { AppProcess } from './app-process.ts'
import { mainShape, shapeNamed, shapes } from './apps/shapes.ts'
import { contenders } from './contenders.ts'
import { keepCoresAwake } from './cores.ts'
import type { Profile } from './load.ts'
import { startServers } from './servers.ts'
import { measureSlice } from './slice.ts'
import { visitorsOf } from './visitors.ts'

/**
 * Says where an app's time goes: `npm run bench -- profile express/coatcheck-mysql`. Prints the functions that took
 * the most, by V8's sampling profiler, in microseconds a request. With `--against express/none`, what it takes more than
 * that one, by the module that takes it. For a read and for a change, on sessions of the main shape.
 */
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    profile: { type: 'string', multiple: true, default: ['read', 'change'] },
    connections: { type: 'string', default: '64' },
    shape: { type: 'string', default: mainShape },
    /** Let idle cores sleep. */
    asleep: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '4' },
    most: { type: 'string', default: '45' },
    against: { type: 'string' },
  },
})
const shape = shapeNamed(options.shape)

if (!options.asleep) keepCoresAwake()
const servers = await startServers()
try {
  for (const doing of options.profile as Profile[]) {
    const baseline = options.against === undefined ? undefined : await profile(options.against, doing)
    for (const name of positionals) print(await profile(name, doing), baseline)
  }
} finally {
  await servers.stop()
}

/** What one app took. Times are in microseconds a request. */
interface Profiled {
  readonly title: string
  readonly rows: readonly { readonly place: string; readonly time: number }[]
}

async function profile(name: string, doing: Profile): Promise<Profiled> {
  const contender = contenders.find((candidate) => candidate.name === name)
  if (!contender)
    throw new Error(`There is no "${name}". Name one of: ${contenders.map((one) => one.name).join(', ')}`)
  const places = await servers.placesFor(`${doing}_${name}`)
  const app = await AppProcess.start(contender, places, {
    shape,
    nodeOptions: ['--cpu-prof', `--cpu-prof-dir=${places.folder}`],
  })
  const cookies = join(places.folder, 'cookies')
  await writeFile(cookies, (await visitorsOf(app.port, 2_000)).join('\n') + '\n')
  const load = {
    profile: doing,
    connections: Number(options.connections),
    seconds: Number(options.seconds),
    cookies,
  }
  await measureSlice(app, servers, load) // warms up
  const slice = await measureSlice(app, servers, load)
  await app.stop()
  const file = (await readdir(places.folder)).find((found) => found.endsWith('.cpuprofile'))!
  const rows = selfTimes(
    JSON.parse(await readFile(join(places.folder, file), 'utf8')) as Recorded,
    load.seconds * 1_000_000,
  )
  const requests = slice.perSecond * load.seconds
  return {
    title: `${name}, ${doing}, ${shapes[shape].title}: ${slice.perSecond.toFixed(0)} requests/s, ${slice.appCPU.toFixed(1)} µs of CPU each`,
    rows: rows.map(({ place, time }) => ({ place, time: time / requests })),
  }
}

function print({ title, rows }: Profiled, baseline: Profiled | undefined): void {
  console.log(`\n${title}`)
  if (baseline) console.log(`less ${baseline.title}`)
  const shown = baseline ? byModule(rows, baseline.rows) : rows
  console.log()
  for (const { place, time } of shown.slice(0, Number(options.most))) {
    console.log(`${time.toFixed(2).padStart(7)}  ${place}`)
  }
}

/** What each module took more than in the baseline. */
function byModule(rows: Profiled['rows'], baseline: Profiled['rows']): Profiled['rows'] {
  const times = new Map<string, number>()
  const add = (place: string, time: number) =>
    times.set(moduleOf(place), (times.get(moduleOf(place)) ?? 0) + time)
  for (const { place, time } of rows) add(place, time)
  for (const { place, time } of baseline) add(place, -time)
  return [...times].map(([place, time]) => ({ place, time })).toSorted((one, other) => other.time - one.time)
}

/** The package of a dependency, the file of ours, and of Node's own what is known by a name. */
function moduleOf(place: string): string {
  const [, dependency] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(place) ?? []
  if (dependency) return dependency
  const [, ours] = / dist\/(\w+\/\S+)\.js:/.exec(place) ?? []
  if (ours) return `coatcheck ${ours}`
  const [, node] = / node:(\S+):/.exec(place) ?? []
  if (node) return `node:${node.replace(/^internal\//, '')}`
  return place.replace(/ :\d+$/, ' (native)')
}

/** What V8 writes. Times are in microseconds. */
interface Recorded {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Only of the last so many microseconds: before, the app started and was warmed up. */
function selfTimes(recorded: Recorded, last: number): { place: string; time: number }[] {
  const { nodes, samples, timeDeltas } = recorded
  const from = timeDeltas.reduce((sum, delta) => sum + delta, 0) - last
  const placeOf = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const file = url.replace(/^.*\/(?=(?:dist|node_modules|bench)\/)/, '')
      return [id, `${functionName || '(anonymous)'} ${file}:${lineNumber + 1}`]
    }),
  )
  const times = new Map<string, number>()
  let at = 0
  samples.forEach((id, index) => {
    at += timeDeltas[index]!
    if (at < from) return
    const place = placeOf.get(id)!
    times.set(place, (times.get(place) ?? 0) + timeDeltas[index]!)
  })
  return [...times].map(([place, time]) => ({ place, time })).toSorted((one, other) => other.time - one.time)
}
