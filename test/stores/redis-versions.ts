// npm run test:long -- redis [redis-8] [valkey-9]: what is tested on Debian's Redis, on each other server that the store is for.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { otherPrograms } from '../servers/redis-programs.ts'

const tests = [
  'test/stores/redis.test.ts',
  'test/stores/redis-clients.test.ts',
  'test/properties/interleavings.test.ts',
]

const asked = process.argv.slice(2)
const results: Record<string, string> = {}
for (const name of Object.keys(otherPrograms)) {
  if (asked.length > 0 && !asked.includes(name)) continue
  console.log(`\n== ${name}`)
  const env = { ...process.env, COATCHECK_REDIS_PROGRAM: name, COATCHECK_MYSQL: 'none' }
  const child = spawn('npx', ['vitest', 'run', ...tests, '-t', '[Rr]edis'], { env, stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  results[name] = code === 0 ? 'passed' : 'failed'
}
console.table(results)
if (Object.values(results).some((result) => result !== 'passed')) process.exitCode = 1
