import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Mark, marksOf } from './marks.ts'
import type { Measured } from './measured.ts'
import { putInto } from './page.ts'
import { plot } from './plot.ts'
import { fullTables, marksTable, summaryTable } from './tables.ts'

const root = join(import.meta.dirname, '../..')
const results = join(root, 'bench/results/bench.json')
const readme = join(root, 'README.md')
const page = join(root, 'docs/benchmark.md')
const command = 'npm run bench'
const picture = join(root, 'docs/benchmark.svg')

/** Keeps what was measured, and puts it into README and docs/benchmark.md, between the marks that say where. */
export async function writeReport(measured: Measured, more: readonly Mark[]): Promise<void> {
  await writeFile(results, `${JSON.stringify(measured, rounded)}\n`)
  await writeFile(picture, await plot(measured))
  const where = `${measured.on}. Medians of ${measured.rounds} rounds of ${measured.seconds} s, ${measured.at.slice(0, 10)}.`
  await putInto(readme, command, `${summaryTable(measured)}\n\n${where}`)
  const marks = marksTable([...marksOf(measured), ...more])
  const awake = measured.awake
    ? 'Idle cores were kept awake.'
    : 'Idle cores could not be kept awake: run it as root.'
  await putInto(
    page,
    command,
    `${where} ${awake}\n\n## The marks\n\n${marks}\n\n## All figures\n\n${fullTables(measured)}`,
  )
}

/** Figures to a thousandth, so that the file can be read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
}
