import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'

const page = 'docs/galera.md'
const [begin, end] = [
  '<!-- measured by npm run test:long -- galera --write -->',
  '<!-- end of what was measured -->',
]

/** What the tests on Galera saw. */
export class Figures {
  readonly #rows: (readonly [what: string, seen: string])[] = []

  add(what: string, seen: string): void {
    this.#rows.push([what, seen])
  }

  /** Prints them; and writes them into the page about Galera, if they are to stay. */
  async tell(toStay: boolean): Promise<void> {
    for (const [what, seen] of this.#rows) process.stdout.write(`${what}: ${seen}\n`)
    if (!toStay) return
    const rows = this.#rows.map(([what, seen]) => `| ${what} | ${seen} |`)
    const table = ['| measured | result |', '| --- | --- |', ...rows].join('\n')
    const before = await readFile(page, 'utf8')
    const [from, to] = [before.indexOf(begin), before.indexOf(end)]
    if (from < 0 || to < from) throw new Error(`${page} has no place for what was measured.`)
    const after = `${before.slice(0, from)}${begin}\n\n${table}\n\n${before.slice(to)}`
    await writeFile(page, await format(after, { ...(await resolveConfig(page)), filepath: page }))
  }
}
