import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What `npm publish` would publish. */
export interface Packed {
  readonly tarball: string
  /** The paths of its files. */
  readonly files: readonly string[]
}

/** Packs the package, as it was built, into `folder`. */
export async function pack(folder: string): Promise<Packed> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const { stdout } = await run('npm', args, { cwd: join(import.meta.dirname, '../..') })
  // An array up to npm 11, an object by package name from npm 12 on.
  const [packed] = Object.values(JSON.parse(stdout)) as { filename: string; files: { path: string }[] }[]
  return { tarball: join(folder, packed!.filename), files: packed!.files.map(({ path }) => path) }
}
