import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Document, parse } from './markdown.ts'

export const root = join(import.meta.dirname, '../..')

/** A Markdown file of the repository. */
export interface Page extends Document {
  /** Its path in the repository. */
  readonly path: string
}

/** The paths of the repository's files, new ones included. */
export async function repositoryFiles(): Promise<Set<string>> {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard']
  const { stdout } = await promisify(execFile)('git', args, { cwd: root, maxBuffer: 64 * 1024 * 1024 })
  return new Set(stdout.split('\0').filter((path) => path !== '' && existsSync(join(root, path))))
}

/** Reads those of the Markdown files whose path matches. */
export async function pagesOf(files: ReadonlySet<string>, paths: RegExp): Promise<Page[]> {
  const chosen = [...files]
    .filter((path) => paths.test(path))
    .toSorted((one, other) => (one < other ? -1 : 1))
  return Promise.all(
    chosen.map(async (path) => ({ path, ...(await parse(await readFile(join(root, path), 'utf8'))) })),
  )
}
