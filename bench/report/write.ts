import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { type Mark, marksOf } from './marks.ts'
import type { Measured } from './measured.ts'
import { plot } from './plot.ts'
import { fullTables, marksTable, summaryTable } from './tables.ts'

const root = join(import.meta.dirname, '../..')
const results = join(root, 'bench/results/bench.json')
const readme = join(root, 'README.md')
const page = join(root, 'docs/benchmark.md')
const picture = join(root, 'docs/benchmark.svg')

/** Keeps what was measured, and puts it into README and docs/benchmark.md, between the marks that say where. */
export async function writeReport(measured: Measured, more: readonly Mark[]): Promise<void> {
  await writeFile(results, `${JSON.stringify(measured, rounded)}\n`)
  await writeFile(picture, await plot(measured))
  const where = `${measured.on}. Medians of ${measured.rounds} rounds of ${measured.seconds} s, ${measured.at.slice(0, 10)}.`
  await replace(readme, `${summaryTable(measured)}\n\n${where}`)
  const marks = marksTable([...marksOf(measured), ...more])
  const awake = measured.awake
    ? 'Idle cores were kept awake.'
    : 'Idle cores could not be kept awake: run it as root.'
  await replace(
    page,
    `${where} ${awake}\n\n## The marks\n\n${marks}\n\n## All figures\n\n${fullTables(measured)}`,
  )
}

async function replace(file: string, text: string): Promise<void> {
  const [begin, end] = ['<!-- measured by npm run bench -->', '<!-- end of what was measured -->']
  const before = await readFile(file, 'utf8')
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from < 0 || to < from)
    throw new Error(`${file} has no place for what was measured: "${begin}" and "${end}".`)
  const after = `${before.slice(0, from)}${begin}\n\n${text}\n\n${before.slice(to)}`
  await writeFile(file, await format(after, { ...(await resolveConfig(file)), filepath: file }))
}

/** Figures to a thousandth, so that the file can be read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
}
