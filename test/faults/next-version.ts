import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { NextStore } from './databases/faulty-database.ts'

const root = join(import.meta.dirname, '../..')

/** The app of the fault bench on the package as its next version may be: one that has migrated the table. */
export interface NextVersion {
  /** The app's file. */
  readonly program: string
  /** The built file of its store. */
  readonly store: string
  remove(): Promise<void>
}

export async function makeNextVersion({ file, differences }: NextStore): Promise<NextVersion> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-next-'))
  const next = join(folder, 'node_modules/coatcheck')
  await mkdir(next, { recursive: true })
  for (const part of ['dist', 'package.json'])
    await cp(join(root, part), join(next, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(next, 'node_modules'))
  for (const name of ['express', 'pg'])
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const statements = join(next, file)
  let text = await readFile(statements, 'utf8')
  for (const [now, then] of differences) {
    if (text.split(now).length !== 2) throw new Error(`${statements} no longer holds ${now} once.`)
    text = text.replace(now, () => then)
  }
  await writeFile(statements, text)
  const program = join(folder, 'app.ts')
  await cp(join(import.meta.dirname, 'app.ts'), program)
  const store = `${dirname(statements)}.js`
  return { program, store, remove: () => rm(folder, { recursive: true }) }
}
