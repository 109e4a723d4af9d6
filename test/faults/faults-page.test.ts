import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { crashFault } from '../crashes/crashes.ts'
import { diskFullFault } from './disk-full.ts'
import { databasesOfPage, marksOf, page } from './page.ts'
import { scenariosOn } from './scenarios.ts'

test.each(databasesOfPage)(
  'docs/faults.md tells what came of each fault that there is on $name, and of no other: otherwise run npm run test:long -- faults',
  async (kind) => {
    const { begin, end } = marksOf(kind)
    const [, after = ''] = (await readFile(page, 'utf8')).split(begin)
    const [measured = ''] = after.split(end)
    const rows = measured.split('\n').filter((line) => line.startsWith('| '))
    const [, rule, ...faults] = rows.map((row) => row.split('|')[1]!.trim())
    expect(rule).toMatch(/^-+$/)
    expect(faults).toEqual([...scenariosOn(kind).map(({ fault }) => fault), crashFault, diskFullFault])
  },
)
