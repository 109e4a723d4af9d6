import { execFile } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Block } from './markdown.ts'
import { type Page, root } from './pages.ts'

/** A block of TypeScript or JavaScript, as a file of an app. */
export interface Module {
  readonly page: Page
  readonly block: Block
  /** Below the folder of all modules. */
  readonly path: string
}

export interface Diagnostic {
  readonly module: Module
  /** `docs/stores.md:12: error TS2322: …`, with the lines that the compiler adds. */
  readonly text: string
}

/** The first line of a block that is a file of an app: `// app.ts`, or `// app.ts: what it is for`. */
const firstLine = /^\/\/ ((?:[\w-]+\/)*[\w.-]+\.[cm]?[jt]s)(?![\w/])/

const compilerOptions = {
  module: 'nodenext',
  // With the types of the browser too, for the client's half.
  lib: ['es2024', 'dom', 'dom.iterable'],
  target: 'es2023',
  types: ['node'],
  strict: true,
  moduleDetection: 'force',
  verbatimModuleSyntax: true,
  allowImportingTsExtensions: true,
  experimentalDecorators: true,
  skipLibCheck: true,
  allowJs: true,
  checkJs: true,
  noEmit: true,
}

/**
 * What is reported of JavaScript: errors of syntax, imports that do not exist, and unknown options. The rest would be
 * about types, which JavaScript cannot declare.
 */
const ofJavaScript = /error TS(?:1\d{3}|8\d{3}|2305|2307|2613|2614|2724):|may only specify known properties/

/**
 * Lays out the blocks of a page as an app: files in one folder, which import each other by the names that the blocks
 * give them. A name that comes again is a variant of the file. It begins a new folder, with copies of the others. An
 * excused block has a folder of its own too, because an error of syntax hides all other errors of a program.
 * @returns a list for each folder
 */
export function appsOf(page: Page): Module[][] {
  const name = page.path.replace(/\.md$/, '').replaceAll('/', '-')
  const named = new Map<string, Block>()
  let files = new Map<string, Block>()
  const apps = [files]
  for (const block of page.blocks.filter(({ language }) => /^[jt]s$/.test(language))) {
    const fileName = firstLine.exec(block.code)?.[1]
    const file = fileName ?? `line-${block.line}.${extension(block)}`
    if (block.excuse !== undefined) {
      apps.push(new Map([...named, [file, block]]))
      continue
    }
    if (files.has(file)) apps.push((files = new Map(named)))
    files.set(file, block)
    if (fileName !== undefined) named.set(fileName, block)
  }
  return apps
    .filter(({ size }) => size > 0)
    .map((app, index) =>
      [...app].map(([file, block]) => ({ page, block, path: join(`${name}-${index + 1}`, file) })),
    )
}

function extension({ language, code }: Block): string {
  return language === 'js' && /\brequire\(/.test(code) && !/^import /m.test(code) ? 'cjs' : language
}

/** Type-checks apps, each as a program of its own, in one run of the compiler. Throws if it complains of anything else. */
export async function compile(folder: string, apps: readonly (readonly Module[])[]): Promise<Diagnostic[]> {
  const modules = new Map(apps.flat().map((module) => [module.path, module]))
  await rm(folder, { recursive: true, force: true })
  for (const { path, block } of modules.values()) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    // Its lines have the numbers that they have in the page.
    await writeFile(join(folder, path), '\n'.repeat(block.line) + block.code + '\n')
  }
  const programs = [...new Set([...modules.keys()].map((path) => path.split('/')[0]!))]
  for (const program of programs) await writeJson(join(folder, program, 'tsconfig.json'), { compilerOptions })
  await writeJson(join(folder, 'tsconfig.json'), {
    files: [],
    references: programs.map((path) => ({ path })),
  })

  const output = await outputOfCompiler(folder)
  const found: Diagnostic[] = []
  // A message begins at the margin; what the compiler adds to it is indented.
  for (const message of output.split(/\n(?=\S)/)) {
    const [, path, line, text] = /^([^(\n]+)\((\d+),\d+\): (.*)$/s.exec(message.trimEnd()) ?? []
    const module = modules.get(path!)
    if (module === undefined) {
      if (message.trim() !== '') throw new Error(output)
    } else if (!path!.endsWith('js') || ofJavaScript.test(text!)) {
      found.push({ module, text: `${module.page.path}:${line}: ${text}` })
    }
  }
  return found
}

function writeJson(path: string, value: unknown): Promise<void> {
  return writeFile(path, JSON.stringify(value))
}

function outputOfCompiler(folder: string): Promise<string> {
  return new Promise((resolve) => {
    const args = ['--build', '--pretty', 'false']
    execFile(
      join(root, 'node_modules/.bin/tsc'),
      args,
      { cwd: folder, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        // It exits with an error where there are faults.
        resolve(stdout + stderr || (error?.message ?? ''))
      },
    )
  })
}
