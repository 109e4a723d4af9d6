import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AppProcess } from './app-process.ts'
import { contenders } from './contenders.ts'
import { keepCoresAwake } from './cores.ts'
import { type Memory, memoryResults } from './report/other-marks.ts'
import { machine } from './report/measured.ts'
import { startServers } from './servers.ts'
import { measureSlice } from './slice.ts'
import { visitorsOf } from './visitors.ts'

// Whether an app's memory stays as it is: `npm run bench -- memory`. 1,000,000 requests of the mixed profile on MySQL.
const enough = 1_000_000
const warm = 100_000

keepCoresAwake()
const servers = await startServers()
try {
  const contender = contenders.find(({ name }) => name === 'express/coatcheck-mysql')!
  const places = await servers.placesFor('memory')
  const app = await AppProcess.start(contender, places)
  const cookies = join(places.folder, 'cookies')
  await writeFile(cookies, (await visitorsOf(app.port, 2_000)).join('\n') + '\n')
  const load = { profile: 'mixed', connections: 64, seconds: 2, cookies } as const
  const samples: { readonly requests: number; readonly resident: number }[] = []
  for (let requests = 0; requests < enough;) {
    requests += (await measureSlice(app, servers, load)).perSecond * load.seconds
    samples.push({ requests, resident: (await app.usage()).resident })
    console.log(`${Math.round(requests)} requests, ${(samples.at(-1)!.resident / 2 ** 20).toFixed(0)} MB`)
  }
  await app.stop()
  const after = samples.filter(({ requests }) => requests >= warm).map(({ resident }) => resident)
  const away = Math.max(...after.map((resident) => Math.abs(resident / after[0]! - 1)))
  const results: Memory = {
    on: machine(servers.versions),
    at: new Date().toISOString(),
    samples: samples.map(({ requests, resident }) => ({ requests: Math.round(requests), resident })),
    away,
  }
  await writeFile(memoryResults, `${JSON.stringify(results, undefined, 2)}\n`)
  console.log(`At most ${(away * 100).toFixed(1)}% away from what it was after the first ${warm} requests.`)
} finally {
  await servers.stop()
}
