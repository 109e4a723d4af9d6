import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mutated } from './aim.ts'
import { mutations } from './mutations.ts'

// They are played by `npm run test:long -- mutations`, which takes a while. That they are still aimed at the source is seen here.
test.each(mutations)('what is to be broken stands where it is looked for, once: $name', async (mutation) => {
  const source = await readFile(join(import.meta.dirname, '../..', mutation.file), 'utf8')
  expect(mutated(source, mutation)).not.toBe(source)
})
