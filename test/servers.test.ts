import { createConnection } from 'mysql2/promise'
import { expect, test } from 'vitest'
import { freshDatabase } from './servers/databases.ts'

test('each fresh database is an empty one of its own', async () => {
  const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
  expect(one).not.toBe(other)
  const connection = await createConnection(one)
  try {
    await connection.query('CREATE TABLE only_here (id int PRIMARY KEY)')
    const [tables] = await connection.query('SHOW TABLES')
    expect(tables).toHaveLength(1)
  } finally {
    await connection.end()
  }
  const second = await createConnection(other)
  try {
    const [tables] = await second.query('SHOW TABLES')
    expect(tables).toEqual([])
  } finally {
    await second.end()
  }
})
