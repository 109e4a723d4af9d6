import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Places } from './apps/session-kinds.ts'
import { machine } from './report/measured.ts'
import { putInto } from './report/page.ts'
import { table } from './report/table.ts'
import { startServers } from './servers.ts'
import { cases } from './stalls/cases.ts'
import type { Stalled } from './stalls/one.ts'
import { median } from './statistics.ts'

/**
 * `npm run bench -- stalls`: the longest time for which input at the limits holds the event loop. Writes docs/stalls.md;
 * `-- --only PART`, or any other option, only prints.
 */
const { values: options } = parseArgs({
  options: {
    /** Inputs whose words hold one of these. */
    only: { type: 'string', multiple: true },
    rounds: { type: 'string' },
  },
})
const rounds = Number(options.rounds ?? 5)
const isWhole = Object.keys(options).length === 0
const longest = 50 // ms: what is promised
const page = join(import.meta.dirname, '../docs/stalls.md')

const servers = await startServers()
try {
  const lines: string[][] = []
  for (const { input, stores } of cases) {
    if (options.only && !options.only.some((part) => input.includes(part))) continue
    for (const store of stores) {
      const places = await servers.placesFor(`stalls_${lines.length}`)
      lines.push(lineOf(input, store, await measure(input, store, places)))
      console.log(lines.at(-1)!.join(' | '))
    }
  }
  const head = ['input', 'store', 'worst round', 'CPU in it', 'median', `at most ${longest} ms`, 'outcome']
  const where = `${machine(servers.versions)}, ${new Date().toISOString().slice(0, 10)}. ${rounds} rounds.`
  const text = `${table(head, lines)}\n\n${where}`
  if (isWhole) await putInto(page, 'npm run bench -- stalls', text)
  else console.log(`\n${text}`)
} finally {
  await servers.stop()
}

/**
 * In a process of its own: what one leaves in memory does not slow the next. On any core, because V8 collects garbage in
 * threads of its own: on one core, the app's thread would wait for them.
 */
async function measure(input: string, store: string, places: Places): Promise<Stalled> {
  const file = join(import.meta.dirname, 'stalls/one.ts')
  const child = spawn(process.execPath, ['--expose-gc', file, input, store, `${rounds}`], {
    env: { ...process.env, PLACES: JSON.stringify(places) },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const [message] = (await Promise.race([
    once(child, 'message'),
    exited.then(() => {
      throw new Error(`The process of "${input}" on ${store} ended before it had measured.`)
    }),
  ])) as [Stalled]
  await exited
  return message
}

function lineOf(input: string, store: string, { holds, outcome }: Stalled): string[] {
  const worst = holds.reduce((one, other) => (other.time > one.time ? other : one))
  const ms = (time: number) => `${time.toFixed(1)} ms`
  return [
    input,
    store,
    ms(worst.time),
    `${worst.cpu.toFixed(0)} ms`,
    ms(median(holds.map(({ time }) => time))),
    worst.time <= longest ? 'held' : '**not held**',
    outcome,
  ]
}
