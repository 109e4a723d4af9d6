// Starts one of each kind of what tests start, says so, and waits to be killed.
import { startApp } from './apps.ts'
import { launchBrowser } from './chromium.ts'
import { startRedis } from './redis.ts'
import { ServerFolder } from './server-process.ts'

const folder = await ServerFolder.make('owner')
await Promise.all([
  startApp('test/servers/greeting-app.ts', { GREETING: 'good day' }),
  startRedis(),
  launchBrowser(),
])
process.stdout.write(`owns ${folder.path}\n`)
setInterval(() => undefined, 1_000_000)
