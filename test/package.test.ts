import { execFile } from 'node:child_process'
import { copyFile, cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { installInto, nodeProgram, supportedNodes } from './package/nodes.ts'
import { pack } from './package/pack.ts'
import { databases, freshDatabase } from './servers/databases.ts'
import { freshPostgreSQL } from './servers/postgres-databases.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

let folder: string
let packed: readonly string[]
let mysqlUrl: string
let postgresqlUrl: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-package-'))
  const { tarball, files } = await pack(folder)
  packed = files

  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<'mysql2' | 'pg' | 'redis', string>
  }
  const drivers = (['mysql2', 'pg', 'redis'] as const).map((name) => `${name}@${devDependencies[name]}`)
  for (const version of supportedNodes) await nodeProgram(version)
  await installInto(project('every'), [tarball, ...drivers])
  for (const file of ['use.mjs', 'use.cjs', 'keep-and-find.cjs']) {
    await copyFile(join(root, 'test/package', file), join(project('every'), file))
  }
  // MySQL where one runs.
  mysqlUrl = await freshDatabase(databases().at(-1)!.server)
  postgresqlUrl = await freshPostgreSQL()
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

function project(name: string): string {
  return join(folder, name)
}

test('the package holds what its users need and nothing of the workshop', () => {
  for (const path of packed) {
    expect(path).toMatch(
      /^(dist\/.+\.([cm]?js|d\.[cm]?ts)|dist\/package\.json|schema\/.+\.sql|docs\/([a-z-]+|README)\.(md|png|svg)|docs\/decisions\/([a-z-]+|README)\.md|package\.json|llms\.txt|README\.zh-CN\.md|[A-Z]+(\.md)?)$/,
    )
  }
  const schemas = ['mysql', 'postgresql', 'sqlite'].map((name) => `schema/${name}.sql`)
  expect(packed).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md', ...schemas]))
})

test('no file of the package names a source map: the sources are not in it', async () => {
  for (const path of packed.filter((file) => file.startsWith('dist/'))) {
    expect(await readFile(join(root, path), 'utf8'), path).not.toContain('sourceMappingURL')
  }
})

describe.each(supportedNodes)('on Node %s', (version) => {
  test.for([
    { by: 'import', file: 'use.mjs' },
    { by: 'require', file: 'use.cjs' },
  ])('sessions are kept and found by $by, without a warning', async ({ by, file }) => {
    const used = await use(version, file, `${by}-${version}.db`)
    expect(used).toEqual({ stdout: 'memory\nsqlite\nmysql\npostgresql\nredis\nopen\n', stderr: '' })
  })

  test('the command runs without a warning', async () => {
    const program = await nodeProgram(version)
    // What npx starts. A relative path: npm makes a link of it, or on Windows a script.
    const command = 'node_modules/coatcheck/dist/command/coatcheck.js'
    const { stdout, stderr } = await run(program, [command, 'help', 'copy'], { cwd: project('every') })
    expect(stdout).toContain('Usage: coatcheck copy')
    expect(stderr).toBe('')
  })
})

describe('without a driver, it is said what to install', () => {
  beforeAll(async () => {
    await cp(project('every'), project('driverless'), { recursive: true })
    for (const driver of ['mysql2', 'pg', 'redis'])
      await rm(join(project('driverless'), 'node_modules', driver), { recursive: true })
  })

  const url = 'mysql://app@localhost/shop'
  const postgresql = 'postgres://app@localhost/shop'
  const redis = 'redis://app@localhost'

  test.each([
    ['mysql2', 'coatcheck/mysql', `import { MySQLStore } from 'coatcheck/mysql'; new MySQLStore('${url}')`],
    [
      'mysql2',
      'coatcheck/express-mysql-session',
      `import session from 'coatcheck/express'
       import expressMySQLSession from 'coatcheck/express-mysql-session'
       const MySQLStore = expressMySQLSession(session)
       new MySQLStore({ host: 'localhost', database: 'shop' })`,
    ],
    [
      'mysql2',
      'coatcheck/mysql by require',
      `const { MySQLStore } = require('coatcheck/mysql'); new MySQLStore('${url}')`,
    ],
    [
      'pg',
      'coatcheck/postgresql',
      `import { PostgreSQLStore } from 'coatcheck/postgresql'; new PostgreSQLStore('${postgresql}')`,
    ],
    [
      'pg',
      'coatcheck/postgresql by require',
      `const { PostgreSQLStore } = require('coatcheck/postgresql'); new PostgreSQLStore('${postgresql}')`,
    ],
    [
      'pg',
      "coatcheck/postgresql in Yarn's words, by require",
      `${inYarn('pg')}
       const { PostgreSQLStore } = require('coatcheck/postgresql')
       new PostgreSQLStore('${postgresql}')`,
    ],
    ['redis', 'coatcheck/redis', `import { RedisStore } from 'coatcheck/redis'; new RedisStore('${redis}')`],
    [
      'redis',
      'coatcheck/redis by require',
      `const { RedisStore } = require('coatcheck/redis'); new RedisStore('${redis}')`,
    ],
    [
      'redis',
      "coatcheck/redis in Yarn's words, by require",
      `${inYarn('redis')}
       const { RedisStore } = require('coatcheck/redis')
       new RedisStore('${redis}')`,
    ],
    ['mysql2', 'coatcheck/open', `import { openStore } from 'coatcheck/open'; openStore('${url}')`],
    [
      'pg',
      'coatcheck/open by require',
      `const { openStore } = require('coatcheck/open'); openStore('${postgresql}')`,
    ],
    ['redis', 'coatcheck/open', `import { openStore } from 'coatcheck/open'; openStore('${redis}')`],
  ])('%s, by %s, as a SessionError', async (driver, name, code) => {
    const type = name.endsWith('require') ? 'commonjs' : 'module'
    const failing = run(process.execPath, [`--input-type=${type}`, '--eval', code], {
      cwd: project('driverless'),
    })
    await expect(failing).rejects.toMatchObject({
      stderr: expect.stringMatching(
        new RegExp(`SessionError: [^]*Install it with "npm install ${driver}"[^]*code: 'ERR_SESSION_OPTION'`),
      ) as string,
    })
  })

  test('by coatcheck copy, which helps without it', async () => {
    const copy = (...args: string[]) =>
      run(process.execPath, ['node_modules/coatcheck/dist/command/coatcheck.js', 'copy', ...args], {
        cwd: project('driverless'),
      })
    await expect(copy('--from', 'sessions', '--url', url)).rejects.toMatchObject({
      code: 2,
      stderr: `Sessions in MySQL need the driver mysql2, and it is not installed. Install it with "npm install mysql2".\n`,
    })
    expect((await copy('--help')).stdout).toContain('--from <table>')
  })

  test.each([
    `import { MySQLStore } from 'coatcheck/mysql'
     new MySQLStore({ query() {}, execute() {}, getConnection() {}, on() {} })`,
    `import { PostgreSQLStore } from 'coatcheck/postgresql'
     new PostgreSQLStore({ totalCount: 0, connect() {}, on() {} })`,
    `import { RedisStore } from 'coatcheck/redis'
     new RedisStore({ isOpen: true, sendCommand() {}, duplicate() {} })`,
    `import { openStore } from 'coatcheck/open'
     for (const url of ['sqlite::memory:', 'memory:']) await openStore(url).find([])`,
  ])('and what needs no driver, or brings its own, needs none of ours: %s', async (code) => {
    const made = run(process.execPath, ['--input-type=module', '--eval', code], {
      cwd: project('driverless'),
    })
    await expect(made).resolves.toEqual({ stdout: '', stderr: '' })
  })
})

/** Code after which a driver is missing as Yarn says it. */
function inYarn(driver: string): string {
  return `const Module = require('node:module')
       const resolve = Module._resolveFilename
       Module._resolveFilename = function (name, ...rest) {
         if (name !== '${driver}') return resolve.call(this, name, ...rest)
         throw Object.assign(
           new Error("coatcheck tried to access ${driver} (a peer dependency) but it isn't provided by your application"),
           { code: 'MODULE_NOT_FOUND' },
         )
       }`
}

async function use(
  version: string,
  file: string,
  database: string,
): Promise<{ stdout: string; stderr: string }> {
  const program = await nodeProgram(version)
  // Only what an app would set: nothing of the test runner's own is to reach it.
  const env = {
    PATH: process.env['PATH'],
    SQLITE_FILE: join(folder, database),
    MYSQL_URL: mysqlUrl,
    POSTGRESQL_URL: postgresqlUrl,
    REDIS_URL: inject('redis'),
  }
  const { stdout, stderr } = await run(program, [file], { cwd: project('every'), env })
  return { stdout, stderr }
}
