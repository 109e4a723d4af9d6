import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format } from 'prettier'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { appsOf, compile, type Diagnostic, type Module } from './compile.ts'
import { parse } from './markdown.ts'
import { type Page, pagesOf, repositoryFiles, root } from './pages.ts'

/** Where the modules stay after a run, for an editor to open. */
const folder = join(root, 'test-results/docs')

let pages: readonly Page[]

beforeAll(async () => {
  pages = await pagesOf(await repositoryFiles(), /^(README[^/]*|docs\/[^/]+)\.md$/)
})

describe('TypeScript and JavaScript', () => {
  let modules: readonly Module[]
  let diagnostics: readonly Diagnostic[]

  beforeAll(async () => {
    const apps = pages.flatMap(appsOf)
    modules = apps.flat()
    diagnostics = await compile(folder, apps)
  })

  test('every block compiles against the package, unless a comment before it says why not', () => {
    expect(modules.length).toBeGreaterThan(3)
    // A block that stands in two apps fails in both.
    const failures = diagnostics.filter(({ module }) => module.block.excuse === undefined)
    expect([...new Set(failures.map(({ text }) => text))].toSorted()).toEqual([])
  })

  test('every block can be loaded by Node, unless it needs what is not here', async () => {
    const work = await mkdtemp(join(tmpdir(), 'coatcheck-docs-'))
    onTestFinished(() => rm(work, { recursive: true, force: true }))
    // A block that stands in several apps is loaded in the first.
    const first = new Map(modules.toReversed().map((module) => [module.block, module]))
    const loading = [...first.values()].filter(
      ({ block }) => block.excuse === undefined && !needsMore.test(block.code),
    )
    expect(loading.length).toBeGreaterThan(40)
    const failures: string[] = []
    const queue = loading.values()
    const loadNext = async (): Promise<void> => {
      for (const { page, block, path } of queue) {
        const error = await load(join(folder, path), work, block.code)
        if (error !== undefined) failures.push(`${page.path}:${block.line}: ${error}`)
      }
    }
    await Promise.all([loadNext(), loadNext()])
    expect(failures.toSorted()).toEqual([])
  }, 600_000)

  test('no comment excuses a block that compiles', () => {
    const excused = new Map(
      modules.filter(({ block }) => block.excuse !== undefined).map((module) => [module.block, module]),
    )
    const list = [...excused.values()].map(({ page, block }) => `${page.path}:${block.line}: ${block.excuse}`)
    const blocks = new Set(modules.map(({ block }) => block))
    console.info([`${list.length} of ${blocks.size} code blocks are not compiled.`, ...list].join('\n'))
    for (const { module } of diagnostics) excused.delete(module.block)
    expect([...excused.values()].map(({ page, block }) => `${page.path}:${block.line}`)).toEqual([])
  })
})

/** A test runner, a browser, a database that answers, files of a server, an app that the page does not show. */
const needsMore =
  /from '(?:vitest|node:test|supertest)'|require\('supertest'\)|\bjest\.|^@\w+\(|\bdocument\.|^(?:const \w+ = )?await (?:fetch|store)\b|\bremoveExpired\(|\breadFileSync\(|\/var\/lib\/|^app\.use\((?![^]*const app|[^]*import)/m

/**
 * Loads a module as an app that starts, in a folder of its own and without a database.
 * @returns why it could not; `undefined` also if it got as far as the database
 */
function load(file: string, cwd: string, shown: string): Promise<string | undefined> {
  const database = shown.includes('PostgreSQLStore') ? 'postgres' : 'mysql'
  const code = `import(${JSON.stringify(pathToFileURL(file).href)}).then(() => process.exit(), (error) => {
    console.error(error)
    process.exit(1)
  })`
  const env = {
    PATH: process.env['PATH'],
    PORT: '0',
    SESSION_SECRET: 'a secret of these tests, not used elsewhere',
    SHOP_SECRET: 'another secret of these tests, not used elsewhere',
    REDIS_URL: 'redis://app:word@127.0.0.1:1',
    DATABASE_URL: `${database}://app:word@127.0.0.1:1/shop`,
    SESSION_ENCRYPTION_KEY: 'bm90IGEgcmVhbCBrZXksIG9ubHkgMzIgYnl0ZXMgbG8=',
  }
  return new Promise((resolve) => {
    execFile(process.execPath, ['--eval', code], { cwd, env }, (error, _stdout, stderr) =>
      resolve(
        error && !stderr.includes('ECONNREFUSED')
          ? stderr.trim().split('\n').slice(0, 8).join('\n')
          : undefined,
      ),
    )
  })
}

/** Each reads a block of its language, and throws where it cannot. */
const checks: Readonly<Record<string, (code: string) => unknown>> = {
  json: (code) => JSON.parse(code),
  jsonc: (code) => format(code, { parser: 'jsonc' }),
  yaml: (code) => format(code, { parser: 'yaml' }),
  html: (code) => format(code, { parser: 'html' }),
  css: (code) => format(code, { parser: 'css' }),
  // It reads the commands and runs none.
  sh: (code) => {
    const { status, stderr } = spawnSync('sh', ['-n'], { input: code, encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
  },
  diff: (code) => allLines(code, /^([-+ ]|@@ |diff |index |$)/),
  // A message, or some of its headers. The body comes after an empty line.
  http: (code) =>
    allLines(code.split('\n\n')[0]!, /^([A-Z]+ \S+( HTTP\/[\d.]+)?|HTTP\/[\d.]+ \d{3}.*|[\w-]+: .*)$/),
}

function allLines(code: string, form: RegExp): void {
  for (const line of code.split('\n')) if (!form.test(line)) throw new Error(`not of the language: ${line}`)
}

/** Languages without a check that is cheap. */
const unchecked = ['sql', 'text', 'mermaid', 'nginx', 'dockerfile', 'ini']

test('every block is of a language that is known here, by its usual name', () => {
  const known = ['ts', 'js', ...Object.keys(checks), ...unchecked]
  const unknown = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language }) => !known.includes(language))
      .map(({ language, line }) => `${path}:${line}: ${language}`),
  )
  expect(unknown).toEqual([])
})

test.each(Object.keys(checks))('every block of %s can be read', async (language) => {
  const failures: string[] = []
  for (const page of pages) {
    for (const block of page.blocks.filter((each) => each.language === language)) {
      try {
        await checks[language]!(block.code)
      } catch (error) {
        failures.push(`${page.path}:${block.line}: ${(error as Error).message}`)
      }
    }
  }
  expect(failures).toEqual([])
})

test('a translated README has the code blocks of the README', () => {
  const blocksOf = ({ blocks }: Page) => blocks.map(({ language, code }) => ({ language, code }))
  for (const page of pages.filter(({ path }) => path.startsWith('README.zh-CN.'))) {
    const original = pages.find(({ path }) => path === page.path.replace('.zh-CN', ''))
    expect(blocksOf(page), page.path).toEqual(blocksOf(original!))
  }
})

describe('the check itself', () => {
  async function compiled(...lines: readonly string[]): Promise<string[]> {
    const page = { path: 'page.md', ...(await parse(lines.join('\n'))) }
    const diagnostics = await compile(join(root, 'test-results/docs-check'), appsOf(page))
    return diagnostics.map(({ text }) => text.split(': ', 2).join(': ')).toSorted()
  }

  test('finds faults at their lines, also in JavaScript, and knows the files of a page', async () => {
    const found = await compiled(
      '```ts',
      '// sessions.ts: the same in every app',
      "import { createSessions, MemoryStore } from 'coatcheck'",
      "export const sessions = createSessions({ store: new MemoryStore(), secret: 'secret' })",
      '```',
      '',
      '```ts',
      '// app.ts',
      "import { sessions } from './sessions.ts'",
      'const answer: string = sessions',
      '```',
      '',
      '```js',
      "import { createSession } from 'coatcheck'",
      "import { absent } from './absent.js'",
      "import { createSessions, MemoryStore } from 'coatcheck'",
      'let untyped = absent + undeclared',
      "createSessions({ store: new MemoryStore(), secret: 'secret', maxAge: 1 })",
      '```',
    )
    expect(found).toEqual([
      'page.md:10: error TS2322',
      'page.md:14: error TS2724',
      'page.md:15: error TS2307',
      'page.md:18: error TS2353',
    ])
  })

  test('finds what is no JavaScript', async () => {
    expect(await compiled('```js', 'const one == 1', '```')).toEqual(['page.md:2: error TS1005'])
  })

  test('checks the blocks beside one that is excused', async () => {
    const excused = ['<!-- not compiled: it is no code -->', '', '```ts', 'const one == 1', '```', '']
    expect(await compiled(...excused, '```ts', "const one: number = 'one'", '```')).toEqual([
      'page.md:4: error TS1005',
      'page.md:8: error TS2322',
    ])
  })

  test('takes a file that comes again for another way to write it, beside the others', async () => {
    const data = (type: string) => [
      '```ts',
      '// sessions.ts',
      "import 'coatcheck'",
      "declare module 'coatcheck' {",
      `  interface SessionData { name: ${type} }`,
      '}',
      'export const one = 1',
      '```',
      '',
    ]
    const app = ['```ts', '// app.ts', "import { one } from './sessions.ts'", 'one.toFixed()', '```', '']
    expect(await compiled(...data('string'), ...app, ...data('number'))).toEqual([])
  })
})
