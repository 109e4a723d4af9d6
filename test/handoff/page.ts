// The files that docs/handoff.md prints, laid out to be run, with other ports.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { parse } from '../docs/markdown.ts'

const root = join(import.meta.dirname, '../..')

/** Where the page has its hub, `shop` and `blog`. */
export const ports = { hub: 3000, shop: 4000, blog: 5000 } as const
export type Ports = Readonly<Record<keyof typeof ports, number>>

/**
 * Writes the files of the page to a folder of their own, until the test is over.
 * @returns the folder. The store `sessions.db` is in it.
 */
export async function filesOfPage(name: string, given: Ports): Promise<string> {
  const page = await parse(await readFile(join(root, 'docs/handoff.md'), 'utf8'))
  // Within the repository, where Node finds the packages.
  const folder = join(root, 'test-results', name)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  for (const { code } of page.blocks) {
    const [, file] = /^\/\/ ([\w-]+\.ts)/.exec(code) ?? []
    if (file === undefined) continue
    const changed = Object.entries(ports)
      .reduce((text, [host, port]) => text.replaceAll(`${port}`, `${given[host as keyof Ports]}`), code)
      .replaceAll("'sessions.db'", `'${join(folder, 'sessions.db')}'`)
    await writeFile(join(folder, file), changed)
  }
  return folder
}
