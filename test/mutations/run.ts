// Breaks one rule of the source at a time, in a copy, and looks which tests see it:
// npm run test:long -- mutations [part of a name]. What came of those that were run is written into docs/mutations.md.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createVitest, type TestModule, type TestSpecification, type Vitest } from 'vitest/node'
import { startMariaDB } from '../servers/mariadb.ts'
import { ownFolder } from '../servers/owned.ts'
import { leaveDiskToPostgres, startPostgres } from '../servers/postgres.ts'
import { startRedis } from '../servers/redis.ts'
import { type Mutation, mutated } from './aim.ts'
import { mutations } from './mutations.ts'

const root = join(import.meta.dirname, '../..')
const bin = join(root, 'node_modules/.bin')
const run = promisify(execFile)
/** Milliseconds that end what a mutation lets hang: one test, and all of them. */
const longestTest = 20_000
const longest = 600_000

/** A copy of the source, and what runs its tests. */
interface Copy {
  readonly folder: string
  vitest: Vitest
  specifications: readonly TestSpecification[]
}

interface Found {
  readonly mutation: Mutation
  /** The tests that failed. Of a mutation that does not compile: none, for it tries nothing. */
  readonly failed: readonly string[]
}

const asked = process.argv[2]
const chosen = mutations.filter(({ name }) => asked === undefined || name.includes(asked))
if (chosen.length === 0) throw new Error(`No mutation's name has "${asked}" in it.`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const mariadb = await startMariaDB()
const postgres = await startPostgres({ settings: leaveDiskToPostgres })
const redis = await startRedis()
Object.assign(process.env, {
  COATCHECK_MARIADB: mariadb.url,
  COATCHECK_MYSQL: 'none',
  COATCHECK_POSTGRESQL: postgres.url,
  COATCHECK_REDIS: redis.url,
  COATCHECK_SEED: '1',
  COATCHECK_SHRINK: '0',
})
try {
  const copy = await copyOfSource()
  const untouched = await failures(
    copy,
    [...new Set(chosen.flatMap(({ tests }) => tests))],
    ['MySQL', 'PostgreSQL', 'Redis', 'SQLite'],
  )
  if (untouched.length > 0) throw new Error(`Without a mutation there fail: ${untouched.join('; ')}`)
  const found: Found[] = []
  await playAll(copy, chosen, found)
  const path = join(root, 'docs/mutations.md')
  writeFileSync(path, page(found, readFileSync(path, 'utf8')))
  await run(join(bin, 'prettier'), ['--write', path], { cwd: root })
  if (found.some(({ failed }) => failed.length === 0)) process.exitCode = 1
} finally {
  await mariadb.stop()
  await Promise.all([postgres.stop(), redis.stop()])
}
// What a mutation lets hang keeps nobody waiting.
process.exit()

async function playAll(copy: Copy, mutations: readonly Mutation[], found: Found[]): Promise<void> {
  for (const [index, mutation] of mutations.entries()) {
    try {
      const failed = await failuresWith(copy, mutation)
      found[index] = { mutation, failed }
      console.log(`${failed.length > 0 ? 'caught  ' : 'SURVIVES'}  ${mutation.name}: ${seenBy(failed)}`)
    } catch (error) {
      found[index] = { mutation, failed: [] }
      console.log(`BROKEN    ${mutation.name}: ${(error as { stdout?: string }).stdout ?? String(error)}`)
    }
  }
}

/** The tests import the package by its name, which in the copy is the copy. */
async function copyOfSource(): Promise<Copy> {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-mutations-'))
  ownFolder(folder)
  for (const part of ['src', 'test', 'docs', 'schema', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
    // prettier-ignore
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  await run('npm', ['run', '--silent', 'build'], { cwd: folder })
  return { folder, ...(await runnerIn(folder)) }
}

/** One for many runs: to start it takes longer than most of them. Each file is run in a thread or process of its own, which loads the build anew. */
async function runnerIn(folder: string): Promise<Omit<Copy, 'folder'>> {
  const options = { root: folder, watch: false, silent: true, reporters: [{}], testTimeout: longestTest }
  const vitest = await createVitest('test', options)
  return { vitest, specifications: await vitest.globTestSpecifications() }
}

/** @throws Error as `mutated`, or if the copy does not compile */
async function failuresWith(copy: Copy, mutation: Mutation): Promise<string[]> {
  const path = join(copy.folder, mutation.file)
  const source = readFileSync(path, 'utf8')
  writeFileSync(path, mutated(source, mutation))
  try {
    return await failures(copy, mutation.tests, mutation.store ? [mutation.store] : [])
  } finally {
    writeFileSync(path, source)
  }
}

/** Builds the copy, runs test files on it, and gives the names of the tests that failed. */
async function failures(copy: Copy, tests: readonly string[], stores: readonly string[]): Promise<string[]> {
  const { folder, vitest } = copy
  await run(join(bin, 'tsc'), [], { cwd: folder })
  const others = ['MySQL', 'PostgreSQL', 'Redis', 'SQLite'].filter((store) => !stores.includes(store))
  vitest.setGlobalTestNamePattern(others.length > 0 ? new RegExp(`^(?!.*(${others.join('|')}))`) : /^/)
  const chosen = copy.specifications.filter(({ moduleId }) => tests.includes(relative(folder, moduleId)))
  // A mutation may end the thread that runs a test file, which Vitest takes for an error of its own.
  const died = new Promise<undefined>((resolve) =>
    process.once('uncaughtException', () => resolve(undefined)),
  )
  const tested = vitest.runTestSpecifications(chosen)
  const result = await Promise.race([tested, died, setTimeout(longest, undefined, { ref: false })])
  process.removeAllListeners('uncaughtException')
  if (result) {
    // It also holds the files that were run before, for other mutations.
    const ran = result.testModules.filter(({ moduleId }) => chosen.some((each) => each.moduleId === moduleId))
    return ran.flatMap((module) => failuresIn(module, folder))
  }
  Object.assign(copy, await runnerIn(folder))
  return ['the tests do not finish']
}

function failuresIn(module: TestModule, folder: string): string[] {
  const failed = [...module.children.allTests('failed')].map(({ fullName }) =>
    fullName.replaceAll(' > ', ' '),
  )
  return failed.length === 0 && module.state() === 'failed' ? [relative(folder, module.moduleId)] : failed
}

/** The shortest name tells most. */
function seenBy(failed: readonly string[]): string {
  const [first, ...more] = failed.toSorted((one, other) => one.length - other.length)
  if (first === undefined) return 'nothing'
  return more.length === 0 ? first : `${first}; and ${more.length} more`
}

/** @param before the page as it is: what it says of a mutation that was not run stays. */
function page(found: readonly Found[], before: string): string {
  const earlier = new Map(before.split('\n').map((line) => [line.split('|')[1]?.trim(), line]))
  const failedOf = new Map(found.map(({ mutation, failed }) => [mutation, failed]))
  const rows = mutations.flatMap((mutation) => {
    const failed = failedOf.get(mutation)
    if (failed === undefined) return earlier.get(mutation.name) ?? []
    return `| ${mutation.name} | ${mutation.file}, \`${mutation.at}\` | ${seenBy(failed)} |`
  })
  return `# Mutation tests

\`npm run test:long -- mutations\` checks that the tests notice a broken rule. In a copy of the source, it breaks one rule
at a time and runs the tests for it. It fails if all of them still pass. Each run writes its results into this page;
\`npm run test:long -- mutations PART\` runs only the rules with that text in their name.

The rules are in \`test/mutations/rules\`. Their words:

- **old token**: a token that a rotation or a sign-in has replaced. It works for the grace period (\`rotationGrace\`).
- **mark**: a random value that a write leaves in its row. It shows whether a write whose reply was lost was stored.
- **note**: a record that holds a fact about a user, such as a revocation. No token opens it.
- **child**: a record that is found only while its root record is there and has the same user.

| broken rule | source | caught by |
| --- | --- | --- |
${rows.join('\n')}
`
}
