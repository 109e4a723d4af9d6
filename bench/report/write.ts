import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mainShape, shapes } from '../apps/shapes.ts'
import { type Mark, marksOf } from './marks.ts'
import type { Measured } from './measured.ts'
import { putInto } from './page.ts'
import { plot } from './plot.ts'
import { coresTitles, fullTables, marksTable, summaryTable } from './tables.ts'

const root = join(import.meta.dirname, '../..')
const results = join(root, 'bench/results/bench.json')
const readmes = ['README.md', 'README.zh-CN.md'].map((name) => join(root, name))
const page = join(root, 'docs/benchmark.md')
const command = 'npm run bench'
/** README and the picture show what users see: rented machines let idle cores sleep. */
const shown = 'asleep'
const picture = join(root, 'docs/benchmark.svg')

/** Keeps what was measured, and puts it into README and docs/benchmark.md, between the marks that say where. */
export async function writeReport(measured: Measured, more: readonly Mark[]): Promise<void> {
  await writeFile(results, `${JSON.stringify(measured, rounded)}\n`)
  await writeFile(picture, await plot(measured, shown))
  const where = `${measured.on}. Medians of ${measured.rounds} rounds of ${measured.seconds} s, ${measured.at.slice(0, 10)}.`
  const how = `64 connections, sessions with ${shapes[mainShape].title}, ${coresTitles[shown]}.`
  const summary = `${summaryTable(measured, shown)}\n\n${where} ${how}`
  for (const readme of readmes) await putInto(readme, command, summary)
  const marks = marksTable([...marksOf(measured), ...more])
  await putInto(page, command, `${where}\n\n## The marks\n\n${marks}\n\n${fullTables(measured)}`)
}

/** Figures to a thousandth, so that the file can be read. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value
}
