// Breaks one rule of the source at a time, in a copy, and looks which tests see it:
// npm run test:long -- mutations [part of a name]. A run of all of them writes docs/mutations.md.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startMariaDB } from '../servers/mariadb.ts'
import { ownFolder, ownProcess } from '../servers/owned.ts'
import { type Mutation, mutations } from './mutations.ts'

const root = join(import.meta.dirname, '../..')
const bin = join(root, 'node_modules/.bin')
const run = promisify(execFile)
/** Milliseconds that end what a mutation lets hang: one test, and all of them. */
const longestTest = 20_000
const longest = 900_000

interface Found {
  readonly mutation: Mutation
  readonly failed: readonly string[]
}

const asked = process.argv[2]
const chosen = mutations.filter(({ name }) => asked === undefined || name.includes(asked))
if (chosen.length === 0) throw new Error(`No mutation's name has "${asked}" in it.`)

const folder = mkdtempSync(join(tmpdir(), 'coatcheck-mutations-'))
ownFolder(folder)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
copySource()
const mariadb = await startMariaDB()
try {
  const untouched = await failures([...new Set(chosen.flatMap(({ tests }) => tests))], ['MySQL', 'SQLite'])
  if (untouched.length > 0) throw new Error(`Without a mutation there fail: ${untouched.join('; ')}`)
  const found: Found[] = []
  for (const mutation of chosen) {
    const failed = await failuresWith(mutation)
    found.push({ mutation, failed })
    console.log(`${failed.length > 0 ? 'caught  ' : 'SURVIVES'}  ${mutation.name}: ${seenBy(failed)}`)
  }
  if (asked === undefined) {
    writeFileSync(join(root, 'docs/mutations.md'), page(found))
    await run(join(bin, 'prettier'), ['--write', 'docs/mutations.md'], { cwd: root })
  }
  if (found.some(({ failed }) => failed.length === 0)) process.exitCode = 1
} finally {
  await mariadb.stop()
}

/** The tests import the package by its name, which in the copy is the copy. */
function copySource(): void {
  for (const part of ['src', 'test', 'docs', 'package.json', 'tsconfig.json', 'vitest.config.ts']) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  cpSync(join(root, 'schema'), join(folder, 'schema'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
}

/** @throws Error if what is to be replaced does not stand in its file exactly once */
async function failuresWith({ name, file, find, replace, tests, store }: Mutation): Promise<string[]> {
  const path = join(folder, file)
  const source = readFileSync(path, 'utf8')
  const count = source.split(find).length - 1
  if (count !== 1) throw new Error(`"${name}": its text stands ${count} times in ${file}, and not once.`)
  writeFileSync(
    path,
    source.replace(find, () => replace),
  )
  try {
    return await failures(tests, store ? [store] : [])
  } finally {
    writeFileSync(path, source)
  }
}

/** Builds the copy, runs test files on it, and gives the names of the tests that failed. */
async function failures(tests: readonly string[], stores: readonly string[]): Promise<string[]> {
  rmSync(join(folder, 'dist'), { recursive: true, force: true })
  await run('npm', ['run', '--silent', 'build'], { cwd: folder })
  const report = join(folder, 'report.json')
  rmSync(report, { force: true })
  const others = ['MySQL', 'SQLite'].filter((store) => !stores.includes(store))
  const names = others.length > 0 ? [`--testNamePattern=^(?!.*(${others.join('|')}))`] : []
  const limits = [`--testTimeout=${longestTest}`, ...names]
  const options = ['run', ...tests, '--reporter=json', `--outputFile=${report}`, ...limits]
  const env = {
    ...process.env,
    COATCHECK_MARIADB: mariadb.url,
    COATCHECK_MYSQL: 'none',
    COATCHECK_SEED: '1',
    COATCHECK_SHRINK: '0',
  }
  // It ends with 1 where tests fail: the report says which.
  const tested = run(join(bin, 'vitest'), options, { cwd: folder, env, timeout: longest })
  ownProcess(tested.child)
  await tested.catch(() => undefined)
  const { testResults } = readReport(report)
  return testResults.flatMap(({ name, status, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed').map((test) => test.fullName)
    return failed.length === 0 && status === 'failed' ? [name.slice(folder.length + 1)] : failed
  })
}

interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

function readReport(path: string): Report {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Report
  } catch {
    const hangs = {
      name: `${folder}/the tests do not come to their end`,
      status: 'failed',
      assertionResults: [],
    }
    return { testResults: [hangs] }
  }
}

function seenBy(failed: readonly string[]): string {
  const [first, second, ...more] = failed
  if (first === undefined) return 'nothing'
  return [
    first,
    ...(second === undefined ? [] : [second]),
    ...(more.length > 0 ? [`${more.length} more`] : []),
  ].join('; ')
}

function page(found: readonly Found[]): string {
  const rows = found.map(
    ({ mutation, failed }) => `| ${mutation.name} | ${mutation.file} | ${seenBy(failed)} |`,
  )
  return `# Rules that were broken to see whether a test notices

\`npm run test:long -- mutations\` breaks one rule of the source at a time, in a copy, runs the tests that should notice on it, and
writes this page. It fails if a broken rule goes unnoticed. The rules are in \`test/mutations/mutations.ts\`.

| broken rule | where | noticed by |
| --- | --- | --- |
${rows.join('\n')}
`
}
