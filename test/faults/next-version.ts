import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** What the next version does otherwise: its table has a column more, which it fills. In the words of the built file. */
const differences = [
  ['expires_at, sweep_at) VALUES', 'expires_at, sweep_at, made_by) VALUES'],
  ['${exports.now} + ?, expires_at)`, size)', "${exports.now} + ?, expires_at, 'next')`, size)"],
  [
    ') ENGINE=InnoDB`,\n            ],\n        },\n    ];',
    ') ENGINE=InnoDB`,\n            ],\n        },\n        { version: 2, statements: [`ALTER TABLE \\`${table}\\` ADD COLUMN made_by VARBINARY(16) NULL`] },\n    ];',
  ],
] as const

/** The app of the fault bench on the package as its next version may be: one that has migrated the table. */
export interface NextVersion {
  /** The app's file. */
  readonly program: string
  /** The built file of its MySQLStore. */
  readonly store: string
  remove(): Promise<void>
}

export async function makeNextVersion(): Promise<NextVersion> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-next-'))
  const next = join(folder, 'node_modules/coatcheck')
  await mkdir(next, { recursive: true })
  for (const part of ['dist', 'package.json'])
    await cp(join(root, part), join(next, part), { recursive: true })
  await symlink(join(root, 'node_modules'), join(next, 'node_modules'))
  await symlink(join(root, 'node_modules/express'), join(folder, 'node_modules/express'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  const statements = join(next, 'dist/stores/mysql/statements.js')
  let text = await readFile(statements, 'utf8')
  for (const [now, then] of differences) {
    if (text.split(now).length !== 2) throw new Error(`${statements} no longer holds ${now} once.`)
    text = text.replace(now, () => then)
  }
  await writeFile(statements, text)
  const program = join(folder, 'app.ts')
  await cp(join(import.meta.dirname, 'app.ts'), program)
  const store = join(next, 'dist/stores/mysql.js')
  return { program, store, remove: () => rm(folder, { recursive: true }) }
}
