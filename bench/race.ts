import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { format } from 'prettier'
import { AppProcess } from './app-process.ts'
import { type Contender, contenders } from './race/contenders.ts'
import { logouts, raceCounts, raceLogouts, raceUpdates, type Updates, updates } from './race/races.ts'
import { machine } from './report/measured.ts'
import { putInto } from './report/page.ts'
import { table } from './report/table.ts'
import { startServers } from './servers.ts'

/**
 * `npm run race`: counts what concurrent requests lose and bring back, with coatcheck and with what it replaces. Prints a
 * table; `-- --write` puts it into docs/race.md too, `-- --database mysql` runs on MySQL instead of MariaDB. Fails if
 * coatcheck does not keep a promise of its own.
 */
const { values: options } = parseArgs({
  options: {
    write: { type: 'boolean', default: false },
    database: { type: 'string', default: 'mariadb' },
  },
})
const { database } = options
const page = join(import.meta.dirname, '../docs/race.md')
const longest = 20 * 60_000 // ms, for all of it: it ends a hang

interface Outcome extends Contender, Updates {
  readonly miscounted: number
  readonly resurrected: number
}

// On leaving like this the servers are killed and their folders removed, and the apps end by themselves.
setTimeout(() => {
  console.error(`It is not done after ${longest / 60_000} minutes, and stops.`)
  process.exit(1)
}, longest).unref()
process.once('SIGTERM', () => process.exit(1))
process.once('SIGINT', () => process.exit(1))

// Nothing is measured here, so that the processes may run, and meet, on any core.
const servers = await startServers({ pinned: false, database, nodes: 6 })
try {
  const outcomes: Outcome[] = []
  for (const contender of contenders) {
    console.error(`${contender.title} …`)
    outcomes.push(await race(contender))
  }
  const where = `${machine(servers.versions)}, ${new Date().toISOString().slice(0, 10)}.`
  const text = `${asTable(outcomes)}\n\n${where}`
  console.log(`\n${await format(text, { parser: 'markdown' })}`)
  if (options.write)
    await putInto(page, `npm run race${database === 'mariadb' ? '' : ` -- --database ${database}`}`, text)
  for (const { title } of outcomes.filter(isBroken)) {
    console.error(
      `${title}: a guarantee is broken. Every update must be acknowledged, kept and counted, and every sign-out must be final.`,
    )
    process.exitCode = 1
  }
} finally {
  await servers.stop()
}

async function race(contender: Contender): Promise<Outcome> {
  const places = await servers.placesFor(`race_${contender.kind}`)
  const apps: AppProcess[] = []
  try {
    while (apps.length < contender.processes) {
      apps.push(
        await AppProcess.start({ framework: 'race', kind: contender.kind }, places, { pinned: false }),
      )
    }
    const origins = apps.map(({ port }) => `http://127.0.0.1:${port}`)
    return {
      ...contender,
      ...(await raceUpdates(origins)),
      miscounted: await raceCounts(origins),
      resurrected: await raceLogouts(origins),
    }
  } catch (cause) {
    throw new Error(`${contender.title} could not be raced.`, { cause })
  } finally {
    await Promise.all(apps.map((app) => app.stop()))
  }
}

function isBroken({ promises, acknowledged, lost, miscounted, resurrected }: Outcome): boolean {
  return promises && (acknowledged < updates || lost > 0 || miscounted !== 0 || resurrected > 0)
}

function asTable(outcomes: readonly Outcome[]): string {
  const number = new Intl.NumberFormat('en-US')
  return table(
    [
      '',
      'processes',
      `updates acknowledged of ${number.format(updates)}`,
      'updates lost',
      'increments lost',
      `sessions back of ${logouts}`,
    ],
    outcomes.map(({ title, processes, acknowledged, lost, miscounted, resurrected }) => [
      title,
      processes === 1 ? '1, in memory' : `${processes}`,
      ...[acknowledged, lost, miscounted, resurrected].map((count) => number.format(count)),
    ]),
  )
}
