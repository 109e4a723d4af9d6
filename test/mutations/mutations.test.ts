import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mutations } from './mutations.ts'

// They are played by `npm run test:long -- mutations`, which takes a while. That they are still aimed at the source is seen here.
test.each(mutations)('what is to be broken stands in its file once: $name', async ({ file, find }) => {
  const source = await readFile(join(import.meta.dirname, '../..', file), 'utf8')
  expect(source.split(find)).toHaveLength(2)
})
