// Measures how much room sessions take in each store: `npm run bench -- sizes`. `--write` puts the table into docs/limits.md;
// `--most 5` stops at 10^5 sessions, `--store NAME` measures one.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { mainShape, type ShapeName, shapes } from './apps/shapes.ts'
import { machine } from './report/measured.ts'
import { putInto } from './report/page.ts'
import { table } from './report/table.ts'
import { dataOf, fill } from './sizes/fill.ts'
import { type Bytes, sizedStores } from './sizes/stores.ts'

const page = join(import.meta.dirname, '../docs/limits.md')
const { most, store: only, write } = readOptions()

/** Each shape once, and the main one in all sizes. */
const cases: (readonly [shape: ShapeName, sessions: number])[] = [
  ['passport', 100_000],
  ['preferences', 100_000],
  ...[4, 5, 6, 7]
    .filter((exponent) => exponent <= most)
    .map((exponent) => [mainShape, 10 ** exponent] as const),
]

const lines: string[][] = []
const versions: string[] = []
for (const { name, open } of sizedStores) {
  if (only !== undefined && only !== name) continue
  const place = await open()
  try {
    versions.push(place.version)
    for (const [shape, sessions] of cases) {
      const bytes: Record<'new' | 'used', Bytes> = { new: await measure('new'), used: await measure('used') }
      lines.push(lineOf(name, shape, sessions, bytes))
      console.log(lines.at(-1)!.join(' | '))

      async function measure(kind: 'new' | 'used'): Promise<Bytes> {
        const { store, bytes, remove } = await place.make()
        await fill(store, shape, sessions, kind)
        const measured = await bytes()
        await remove()
        return measured
      }
    }
  } finally {
    await place.close()
  }
}
const head = ['store', 'sessions', 'each holds', 'rows', 'indexes', 'all', 'all, after use']
const where = `In bytes for each session. ${machine(versions.join(', '))}, ${new Date().toISOString().slice(0, 10)}.`
const text = `${table(head, lines)}\n\n${where}`
if (write) await putInto(page, 'npm run bench -- sizes --write', text)
else console.log(`\n${text}`)

function lineOf(
  store: string,
  shape: ShapeName,
  sessions: number,
  bytes: Record<'new' | 'used', Bytes>,
): string[] {
  const each = (all: number) => Math.round(all / sessions).toLocaleString('en')
  return [
    store,
    sessions.toLocaleString('en'),
    `${dataOf(shape, 1).length.toLocaleString('en')} bytes: ${shapes[shape].title}`,
    each(bytes.new.rows),
    each(bytes.new.indexes),
    each(bytes.new.rows + bytes.new.indexes),
    each(bytes.used.rows + bytes.used.indexes),
  ]
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      most: { type: 'string', default: '6' },
      store: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  })
  const most = Number(values.most)
  if (![4, 5, 6, 7].includes(most)) throw new Error('--most is the power of ten to stop at: 4, 5, 6 or 7.')
  const names = sizedStores.map(({ name }) => name)
  if (values.store !== undefined && !names.includes(values.store))
    throw new Error(`--store is one of ${names.join(', ')}, not ${values.store}.`)
  return { ...values, most }
}
