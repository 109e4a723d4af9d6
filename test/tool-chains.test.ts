import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pack } from './package/pack.ts'

// The packed package in projects as users have them, with the tools that they use: each has a lock of its own.

const run = promisify(execFile)
const parts = join(import.meta.dirname, 'package')

let folder: string
let tarball: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-tool-chains-'))
  ;({ tarball } = await pack(folder))
}, 300_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

/** Installs one of the projects, with the package in it. @returns its folder */
async function install(name: string): Promise<string> {
  const project = join(folder, name)
  if (existsSync(project)) return project
  await cp(join(parts, 'projects', name), project, { recursive: true })
  await cp(join(parts, 'apps'), project, { recursive: true })
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts']
  await run('npm', ['ci', ...quiet], { cwd: project })
  await run('npm', ['install', '--no-save', '--no-package-lock', ...quiet, tarball], { cwd: project })
  return project
}

/** Runs a program of a project's on this Node. @returns what it wrote, also where it failed */
async function tool(project: string, program: string, args: readonly string[]): Promise<string> {
  // Only what an app would set: nothing of the test runner's own is to reach it.
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'] }
  try {
    const { stdout, stderr } = await run(process.execPath, [join(project, program), ...args], {
      cwd: project,
      env,
    })
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    return stdout + stderr || String(error)
  }
}

describe.each(['jest-29', 'jest-30'])('%s', (name) => {
  let project: string
  beforeAll(async () => {
    project = await install(name)
    await writeFile(
      join(project, 'jest.config.json'),
      JSON.stringify({
        testMatch: ['**/*.jest.*'],
        transform: {
          '\\.m?js$': ['babel-jest', { presets: [['@babel/preset-env', { targets: { node: 'current' } }]] }],
          '\\.ts$': [
            'ts-jest',
            { tsconfig: { module: 'commonjs', target: 'es2022', strict: true, esModuleInterop: true } },
          ],
        },
        moduleFileExtensions: ['js', 'mjs', 'cjs', 'ts', 'json'],
      }),
    )
  }, 300_000)

  test.each([
    { subject: 'with babel-jest, all that is exported is there once', file: 'required.jest.js', tests: 1 },
    { subject: 'with ts-jest, sessions are kept', file: 'typed.jest.ts', tests: 2 },
    { subject: 'what Node and its SQLite throw is understood', file: 'realm.jest.js', tests: 4 },
  ])('$subject', async ({ file, tests }) => {
    const written = await tool(project, 'node_modules/jest/bin/jest.js', ['--ci', file])
    expect(written).toContain(`Tests:       ${tests} passed, ${tests} total`)
  })
})

describe('bundlers and Node', () => {
  let project: string
  beforeAll(async () => {
    project = await install('compilers')
  }, 300_000)

  test.each(['both.mjs', 'both.cjs'])(
    'what Node loads by import and by require in %s is one',
    async (file) => {
      expect(await tool(project, file, [])).toBe('one instance\n')
    },
  )

  // An ES module has no `require`. The dependencies want one.
  const banner =
    'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
  test.each([
    ['both.mjs', 'cjs', []],
    ['both.cjs', 'cjs', []],
    ['both.mjs', 'esm', [`--banner:js=${banner}`]],
    ['both.cjs', 'esm', [`--banner:js=${banner}`]],
  ])('esbuild bundles %s to %s, with one of each', async (file, format, more) => {
    const bundle = `bundles/${file}.${format === 'cjs' ? 'cjs' : 'mjs'}`
    const esbuild = join(project, 'node_modules/.bin/esbuild')
    await run(
      esbuild,
      [file, '--bundle', '--platform=node', `--format=${format}`, `--outfile=${bundle}`, ...more],
      {
        cwd: project,
      },
    )
    expect(await tool(project, bundle, [])).toBe('one instance\n')
  })

  test.each(['both.mjs', 'both.cjs'])('ncc bundles %s, with one of each', async (file) => {
    // Away from node_modules: a bundle runs by itself.
    const bundle = join(folder, `ncc-${file}`)
    await tool(project, 'node_modules/@vercel/ncc/dist/ncc/cli.js', [
      'build',
      file,
      '--out',
      bundle,
      '--quiet',
    ])
    const [index] = (await readdir(bundle)).filter((name) => name.startsWith('index.'))
    expect(await tool(bundle, index!, [])).toBe('one instance\n')
  })
})

describe('TypeScript', () => {
  let beside: string
  let without: string
  beforeAll(async () => {
    beside = await install('compilers')
    without = join(folder, 'without-types')
    const isNeeded = (path: string) =>
      !/\/node_modules\/(?:typescript-\d|esbuild|@vercel|@types\/express-session$)/.test(path)
    await cp(join(beside, 'node_modules'), join(without, 'node_modules'), {
      recursive: true,
      filter: (path) => isNeeded(path),
    })
  }, 300_000)

  const sets = {
    // These stores bring the types of express-session into the program.
    'stores, and an app that keeps @types/express-session': [
      'stores.ts',
      'memorystore.ts',
      'kept-types.ts',
      'old-usage.ts',
    ],
    'an app that keeps @types/express-session, and lists it in "types"': ['kept-types.ts', 'old-usage.ts'],
    'an app beside types of express-session that a neighbour installed': ['app.ts', 'cookie.ts'],
    'an app, and stores, without @types/express-session': [
      'app.ts',
      'cookie.ts',
      'postgresql.ts',
      'redis.ts',
      'stores.ts',
    ],
    "an app of express-session's form, without @types/express-session": ['drop-in.ts', 'old-usage.ts'],
    'session(sessions) and @types/express-session in one program': ['sessions.ts'],
  }
  type Subject = keyof typeof sets

  describe.each([
    ['4.9', ['node', 'node16', 'nodenext']],
    ['5.9', ['node', 'node16', 'nodenext', 'bundler']],
    ['7', ['node16', 'nodenext', 'bundler']],
  ])('%s', (version, resolutions) => {
    const apps = resolutions.flatMap((resolution) =>
      ['commonjs', 'module'].flatMap((type) =>
        (Object.keys(sets) as Subject[]).map((subject) => ({ resolution, type, subject })),
      ),
    )
    let said: Map<string, string>

    beforeAll(async () => {
      const folders = await Promise.all(apps.map(writeApp))
      said = await compile(version, folders)
    }, 300_000)

    const folderOf = ({ resolution, type, subject }: (typeof apps)[number]) =>
      join(
        subject.includes('without') ? without : beside,
        `${version}-${resolution}-${type}-${Object.keys(sets).indexOf(subject)}`,
      )

    async function writeApp(app: (typeof apps)[number]): Promise<string> {
      const { resolution, type, subject } = app
      const at = folderOf(app)
      const files = sets[subject]
      await mkdir(at)
      await writeFile(join(at, 'package.json'), JSON.stringify({ type }))
      for (const file of files) await cp(join(parts, 'types', file), join(at, file))
      const module = { node: { commonjs: 'commonjs', module: 'es2020' }[type], bundler: 'es2022' }[resolution]
      const compilerOptions = {
        module: module ?? resolution,
        moduleResolution: resolution,
        target: 'es2022',
        strict: true,
        noImplicitOverride: true,
        esModuleInterop: true,
        noEmit: true,
        types: /"types"|session\(sessions\)/.test(subject) ? ['node', 'express-session'] : ['node'],
      }
      await writeFile(join(at, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
      return at
    }

    test.each(apps)('$resolution, $type: $subject', (app) => {
      const expected = app.subject.startsWith('session(sessions)')
        ? /^sessions\.ts: TS2345 [^\n]*uninstall @types\/express-session[^\n]*$/
        : /^$/
      expect(said.get(folderOf(app))).toMatch(expected)
    })
  })

  /** @returns what the compiler says of each app and of coatcheck's own declarations; what other packages declare is not ours to mend */
  async function compile(version: string, folders: readonly string[]): Promise<Map<string, string>> {
    const compiler = join(beside, 'node_modules', `typescript-${version}`)
    if (version !== '7') {
      const { stdout } = await run(process.execPath, [join(parts, 'compile.cjs'), compiler, ...folders], {
        maxBuffer: 2 ** 26,
      })
      return new Map(Object.entries(JSON.parse(stdout) as Record<string, string>))
    }
    const said = new Map<string, string>()
    for (const at of folders) {
      const written = await tool(at, relative(at, join(compiler, 'bin/tsc')), ['--pretty', 'false'])
      const ours = written
        .split('\n')
        .filter((line) => line !== '' && !/^(?: |.*node_modules\/(?!coatcheck\/))/.test(line))
      said.set(
        at,
        ours.map((line) => line.replace(/\(\d+,\d+\): error/, ':').replace(/: (TS\d+):/, ': $1')).join('\n'),
      )
    }
    return said
  }

  test('a mistake in the options is told of that option', async () => {
    await cp(join(parts, 'types/mistakes.ts'), join(beside, 'mistakes.ts'))
    const args = '--noEmit --strict --module nodenext --target es2022 --types node --pretty false mistakes.ts'
    const written = await tool(beside, 'node_modules/typescript-7/bin/tsc', args.split(' '))
    const first = written.split('\n').filter((line) => line.startsWith('mistakes.ts'))
    expect(first.map((line) => line.replace(/^mistakes\.ts\((\d+),.*?: error TS\d+: /, '$1: '))).toEqual([
      expect.stringMatching(/^3: Type 'number' is not assignable to type '.*Store/),
      expect.stringMatching(/^4: .*'rollling' does not exist in type/),
      expect.stringMatching(/^5: Type 'string' is not assignable to type 'number/),
      expect.stringMatching(/^6: Type 'number' is not assignable to type '.*Key/),
      expect.stringMatching(/^7: .*'skipp' does not exist in type 'ExpressSessionOptions'/),
    ])
  })
})
