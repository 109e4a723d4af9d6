import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { ChangeRates } from './changes.ts'
import type { SweepEffect } from './foreground.ts'
import type { LayoutComparison, LayoutResult } from './layouts.ts'
import type { LookupTimes } from './lookups.ts'

/** What one size of the table gave. */
export interface SizeResult {
  readonly rows: number
  readonly fillSeconds: number
  readonly megabytes: { readonly data: number; readonly indexes: number }
  readonly lookup: LookupTimes
  readonly changes: ChangeRates
}

/** Each part as it was last measured; where and when goes with it. */
export interface Results {
  sizes?: Measured<{ readonly tables: readonly SizeResult[] }>
  keys?: Measured<{ readonly rows: number; readonly timed: number; readonly random: number }>
  layouts?: Measured<LayoutComparison>
  sweep?: Measured<SweepEffect & { readonly live: number; readonly expired: number }>
}

export type Measured<Part> = Part & { readonly on: string; readonly at: string }

const folder = new URL('../results/', import.meta.url)
const json = new URL('scale.json', folder)
const markdown = new URL('scale.md', folder)

/** Names the machine and the programs, as far as figures depend on them. */
export function machine(server: string, bufferPoolMegabytes: number): string {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  return `${cpus().length} × ${cpu?.model.trim()}, ${memory} GB, Node ${process.version}, ${server}, buffer pool ${bufferPoolMegabytes} MB`
}

/** Replaces in the results that lie in the repository those parts that were measured anew. */
export function save(measured: Results): string {
  mkdirSync(folder, { recursive: true })
  const results: Results = { ...earlier(), ...measured }
  writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
  const text = asMarkdown(results)
  writeFileSync(markdown, text)
  return text
}

function earlier(): Results {
  try {
    return JSON.parse(readFileSync(json, 'utf8')) as Results
  } catch {
    return {}
  }
}

export function asMarkdown({ sizes, keys, layouts, sweep }: Results): string {
  const sections = [
    '# MySQLStore at scale',
    'Written by `npm run bench -- scale`. Sessions have 0.3 kB of data.',
  ]
  if (sizes) sections.push(...sizesSection(sizes))
  if (keys) {
    sections.push(
      '## Keys that begin with time',
      `Inserts a second into a table of ${count(keys.rows)} rows, in batches of 64, two at a time: **${count(keys.timed)}** with keys ` +
        `that begin with time, ${count(keys.random)} with keys that are random throughout (${(keys.timed / keys.random).toFixed(1)} ×).`,
      measuredOn(keys),
    )
  }
  if (layouts) sections.push(...layoutsSection(layouts))
  if (sweep) sections.push(...sweepSection(sweep))
  return `${sections.join('\n\n')}\n`
}

function sizesSection({ tables, ...measured }: NonNullable<Results['sizes']>): string[] {
  const row = (name: string, of: (size: SizeResult) => string) => [name, ...tables.map(of)]
  return [
    '## From 10 thousand rows to 10 million',
    table([
      ['rows', ...tables.map(({ rows }) => count(rows))],
      row('lookup, warm (µs)', ({ lookup }) => withRatio(lookup.warm, lookup.warmRatio)),
      row('lookup of 32, warm (µs)', ({ lookup }) => withRatio(lookup.warmBatch, lookup.warmBatchRatio)),
      row('lookup, uniform over all rows (µs)', ({ lookup }) => count(lookup.uniform)),
      row('inserts a second', ({ changes }) => count(changes.insert)),
      row('touches a second', ({ changes }) => count(changes.touch)),
      row('swept a second, without rests', ({ changes }) =>
        changes.sweep === undefined ? '' : count(changes.sweep),
      ),
      row('rows, indexes (MB)', ({ megabytes }) => `${count(megabytes.data)}, ${count(megabytes.indexes)}`),
    ]),
    'Warm: sessions of a set of 1,000, drawn at random from all, each read just before. In brackets: against the smallest ' +
      'table, as the median of the ratios within rounds. Inserts and touches go in batches of 64, two at a time.',
    measuredOn(measured),
  ]
}

/** How fast today's layout takes rows in, and how large it is, of the first one. */
export function layoutRatios({ today, first }: LayoutComparison): { perSecond: number; size: number } {
  const size = ({ megabytes }: LayoutResult) => megabytes.data + megabytes.indexes
  return { perSecond: today.perSecond / first.perSecond, size: size(today) / size(first) }
}

function layoutsSection(layouts: NonNullable<Results['layouts']>): string[] {
  const { rows, today, first } = layouts
  const ratios = layoutRatios(layouts)
  const sizes = ({ megabytes: { data, indexes } }: LayoutResult) => `${count(data)}, ${count(indexes)}`
  return [
    '## The layout of the table',
    table([
      ['', 'first edition', 'today', 'ratio'],
      ['rows inserted a second', count(first.perSecond), count(today.perSecond), ratios.perSecond.toFixed(2)],
      ['rows, indexes (MB)', sizes(first), sizes(today), ratios.size.toFixed(2)],
    ]),
    `${count(rows)} rows into each of two empty tables, in turns, by the same client, in statements of 64 rows, two at a time. ` +
      'The layout of the first edition had keys of 24 bytes, a name beside them, and an index on former keys.',
    measuredOn(layouts),
  ]
}

function sweepSection(sweep: NonNullable<Results['sweep']>): string[] {
  const ms = (value: number) => value.toFixed(2)
  const { quiet, sweeping } = sweep
  return [
    '## Requests while a sweep goes on',
    table([
      ['', 'quiet', 'sweeping', 'ratio'],
      ['p50 (ms)', ms(quiet.p50), ms(sweeping.p50), ms(sweep.p50Ratio)],
      ['p99 (ms)', ms(quiet.p99), ms(sweeping.p99), `**${ms(sweep.p99Ratio)}**`],
      ['requests a second', count(quiet.requestsPerSecond), count(sweeping.requestsPerSecond), ''],
    ]),
    `${count(sweep.swept)} records removed, ${count(sweep.sweptPerSecond)} a second, from a table of ${count(sweep.live)} live and ` +
      `${count(sweep.expired)} expired ones; medians of ${sweep.rounds} rounds. 16 clients that never pause load sessions, and touch 5% ` +
      'and change 5% of them, through the batcher and the store, in the process in which the sweeper runs.',
    measuredOn(sweep),
  ]
}

function measuredOn({ on, at }: Measured<object>): string {
  return `Measured on ${at.slice(0, 10)}: ${on}.`
}

function table(rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'))
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function withRatio(value: number, ratio: number): string {
  return `${count(value)} (${ratio.toFixed(2)})`
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}
