import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
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

  test.each(['babel-jest', 'ts-jest'])(
    'and %s: all that is exported is there once, and sessions are kept',
    async (transform) => {
      const file = { 'babel-jest': 'required.jest.js', 'ts-jest': 'typed.jest.ts' }[transform]!
      const written = await tool(project, 'node_modules/jest/bin/jest.js', ['--ci', file])
      expect(written).toMatch(/^Tests: +[12] passed, [12] total$/m)
    },
  )
})

describe('with compilers and bundlers', () => {
  let project: string
  beforeAll(async () => {
    project = await install('compilers')
    await cp(join(parts, 'types'), join(project, 'types'), { recursive: true })
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

  describe.each([
    ['4.9', ['node', 'node16', 'nodenext']],
    ['5.9', ['node', 'node16', 'nodenext', 'bundler']],
    ['7', ['node16', 'nodenext', 'bundler']],
  ])('TypeScript %s', (version, resolutions) => {
    const kinds = resolutions.flatMap((resolution) => [
      { resolution, kind: 'commonjs' },
      { resolution, kind: 'module' },
    ])

    /** Compiles files of `types`. @returns what the compiler says of them and of coatcheck's own declarations */
    async function compiled(
      { resolution, kind }: { resolution: string; kind: string },
      files: readonly string[],
      { types = ['node'], project: at = project } = {},
    ): Promise<string> {
      const app = await mkdtemp(join(at, 'app-'))
      await writeFile(join(app, 'package.json'), JSON.stringify({ type: kind }))
      for (const file of files) await cp(join(parts, 'types', file), join(app, file))
      const module = { node: { commonjs: 'commonjs', module: 'es2020' }[kind], bundler: 'es2022' }[resolution]
      const compilerOptions = {
        module: module ?? resolution,
        moduleResolution: resolution,
        target: 'es2022',
        strict: true,
        noImplicitOverride: true,
        esModuleInterop: true,
        noEmit: true,
        skipLibCheck: false,
        types,
      }
      await writeFile(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
      const said = await tool(at, `node_modules/typescript-${version}/bin/tsc`, [
        '--pretty',
        'false',
        '--project',
        app,
      ])
      // What other packages declare is not ours to mend.
      const ours = said
        .split('\n')
        .filter((line) => line !== '' && !/^(?: |.*node_modules\/(?!coatcheck))/.test(line))
      return ours.map((line) => line.replace(`${basename(app)}/`, '')).join('\n')
    }

    // Stores bring the types of express-session into the program.
    test.each(kinds)(
      '$resolution, $kind: stores, and an app that keeps @types/express-session',
      async (how) => {
        expect(await compiled(how, ['stores.ts', 'memorystore.ts', 'kept-types.ts'])).toBe('')
      },
    )

    test('session(sessions) beside @types/express-session says what to do', async () => {
      const how = { resolution: 'nodenext', kind: 'module' }
      const said = await compiled(how, ['app.ts'], { types: ['node', 'express-session'] })
      expect(said).toMatch(
        /^app\.ts\(\d+,\d+\): error TS2345: [^\n]*uninstall @types\/express-session[^\n]*$/,
      )
    })

    test('types of express-session that a neighbour installed do not get into the program', async () => {
      expect(await compiled({ resolution: 'nodenext', kind: 'module' }, ['app.ts', 'cookie.ts'])).toBe('')
    })

    describe('without @types/express-session', () => {
      let bare: string
      beforeAll(async () => {
        bare = join(folder, `without-types-${version}`)
        await mkdir(bare)
        await cp(join(project, 'node_modules'), join(bare, 'node_modules'), { recursive: true })
        await rm(join(bare, 'node_modules/@types/express-session'), { recursive: true })
      })

      test.each(kinds)('$resolution, $kind: an app, and stores', async (how) => {
        expect(await compiled(how, ['app.ts', 'cookie.ts', 'stores.ts'], { project: bare })).toBe('')
      })
    })
  })

  test('a mistake in the options is told of that option', async () => {
    await cp(join(parts, 'types/mistakes.ts'), join(project, 'mistakes.ts'))
    const said = await tool(project, 'node_modules/typescript-7/bin/tsc', [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      '--pretty',
      'false',
      'mistakes.ts',
    ])
    const first = said.split('\n').filter((line) => line.startsWith('mistakes.ts'))
    expect(first.map((line) => line.replace(/^mistakes\.ts\((\d+),.*?: error TS\d+: /, '$1: '))).toEqual([
      expect.stringMatching(/^3: Type 'number' is not assignable to type '.*Store/),
      expect.stringMatching(/^4: .*'rollling' does not exist in type/),
      expect.stringMatching(/^5: Type 'string' is not assignable to type 'number/),
      expect.stringMatching(/^6: Type 'number' is not assignable to type '.*Key/),
      expect.stringMatching(/^7: .*'skipp' does not exist in type 'ExpressSessionOptions'/),
    ])
  })
})
