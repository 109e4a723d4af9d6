import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { layoutRatios, type Results as Scale } from '../scale/report.ts'
import { mark, type Mark } from './marks.ts'

/** What `npm run bench -- memory` measured. */
export interface Memory {
  readonly on: string
  readonly at: string
  /** Resident bytes after so many requests. */
  readonly samples: readonly { readonly requests: number; readonly resident: number }[]
  /** The most that it was away from what it was after the first 100,000 requests: 0.1 is 10%. */
  readonly away: number
}

const folder = join(import.meta.dirname, '../results')
export const memoryResults = join(folder, 'memory.json')

/** The marks of `npm run bench -- scale` and `npm run bench -- memory`, as they were last measured. */
export async function otherMarks(): Promise<Mark[]> {
  const scale = (await kept(join(folder, 'scale.json'))) as Scale | undefined
  const memory = (await kept(memoryResults)) as Memory | undefined
  const marks: Mark[] = []
  const largest = scale?.sizes?.tables.at(-1)
  if (largest?.rows === 10_000_000) {
    const { warmRatio, warmBatchRatio } = largest.lookup
    marks.push(
      mark('Lookup of one key at 10^7 rows, of that at 10^4, warm', ['at most', 1.25], { asleep: warmRatio }),
    )
    marks.push(
      mark('Lookup of 32 keys at once at 10^7 rows, of that at 10^4, warm', ['at most', 1.25], {
        asleep: warmBatchRatio,
      }),
    )
  }
  if (scale?.layouts?.rows === 1_000_000) {
    const { perSecond, size } = layoutRatios(scale.layouts)
    marks.push(
      mark('Insert of 10^6 rows: rows/s, of the first edition’s layout', ['at least', 1.15], {
        asleep: perSecond,
      }),
      mark('… size on disk, of the first edition’s layout', ['at most', 0.85], { asleep: size }),
    )
  }
  if (scale?.sweep) {
    marks.push(
      mark('Foreground p99 while 1,000,000 expired rows are swept, of that without', ['at most', 1.5], {
        asleep: scale.sweep.p99Ratio,
      }),
    )
  }
  if (memory) {
    marks.push(
      mark('Resident memory over 1,000,000 requests, away from that after 100,000', ['at most', 0.1], {
        awake: memory.away,
      }),
    )
  }
  return marks
}

async function kept(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown
  } catch {
    return undefined
  }
}
