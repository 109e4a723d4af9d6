import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { crashFault } from '../crashes/crashes.ts'
import { diskFullFault } from './disk-full.ts'
import { scenarios } from './scenarios.ts'

const page = join(import.meta.dirname, '../../docs/faults.md')

test('docs/faults.md tells what came of each fault that there is, and of no other: otherwise run npm run test:long -- faults', async () => {
  const rows = (await readFile(page, 'utf8')).split('\n').filter((line) => line.startsWith('| '))
  const [, rule, ...faults] = rows.map((row) => row.split('|')[1]!.trim())
  expect(rule).toMatch(/^-+$/)
  expect(faults).toEqual([...scenarios.map(({ fault }) => fault), crashFault, diskFullFault])
})
