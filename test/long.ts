// npm run test:long -- NAME: what takes minutes or hours, and is no part of `npm test`.
import { startVitest } from 'vitest/node'

const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
  copy: () => import('./command/million.ts'),
  faults: () => import('./faults/run.ts'),
  fuzz: () => vitest('test/fuzz', { COATCHECK_FUZZ: 'nightly' }),
  galera: () =>
    vitest('test/faults/galera.test.ts', { GALERA: process.argv[2] === '--write' ? 'long' : 'short' }),
  move: () => import('./command/million-moved.ts'),
  mutations: () => import('./mutations/run.ts'),
  postgresql: () => import('./stores/postgresql-versions.ts'),
  properties: () => vitest('test/properties', { COATCHECK_RUNS: '50' }),
  redis: () => import('./stores/redis-versions.ts'),
  timing: () => import('./timing/signature.ts'),
}

// The name goes, so that what is started finds its own parameters where it looks for them.
const [name = ''] = process.argv.splice(2, 1)
const start = kinds[name]
if (start === undefined) {
  console.error(`Say which: npm run test:long -- NAME, where NAME is ${Object.keys(kinds).join(', ')}.`)
  process.exitCode = 1
} else await start()

async function vitest(files: string, env: Readonly<Record<string, string>>): Promise<void> {
  Object.assign(process.env, env)
  const run = await startVitest('test', [files], { run: true })
  await run.exit()
}
