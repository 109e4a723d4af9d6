import { readFileSync } from 'node:fs'
import parser from 'node-sql-parser'
import { describe, expect, it } from 'vitest'
import { largestBatch } from '../../dist/stores/sql/batch-size.js'
import { expressStatements } from '../../dist/stores/sql/mysql-express-statements.js'
import { lockStatement, unlockStatement } from '../../dist/stores/sql/mysql-lock.js'
import { migrationsTable, mysqlMigrations, mysqlStatements } from '../../dist/stores/sql/mysql-statements.js'

/** The tests run on MariaDB. That MySQL 8 reads the same text is checked with a grammar of MySQL. */
describe('every statement of MySQLStore is MySQL', () => {
  it.each([...everyStatement(), ...everyExpressStatement()])('%s', (_, sql) => {
    const { ast } = new parser.Parser().parse(sql, { database: 'MySQL' })
    expect([ast].flat()).toHaveLength(1)
  })

  it('and so is schema/mysql.sql', () => {
    const text = readFileSync(new URL('../../schema/mysql.sql', import.meta.url), 'utf8')
    const { ast } = new parser.Parser().parse(text, { database: 'MySQL' })
    expect([ast].flat().map((statement) => statement.type)).toEqual(['create', 'create', 'insert'])
  })

  it('and the grammar refuses what is not', () => {
    const wrong = mysqlStatements('coatcheck_sessions').remove.replace('WHERE', 'WERE')
    expect(() => new parser.Parser().parse(wrong, { database: 'MySQL' })).toThrow(/Expected .* but .* found/s)
  })
})

function everyStatement(): [name: string, sql: string][] {
  const {
    find,
    findFormer,
    versions,
    insert,
    touch,
    updateMany,
    removeThoseExpired,
    postpone,
    due,
    list,
    lock,
    rotate,
    ...texts
  } = mysqlStatements('coatcheck_sessions')
  const named: [string, string][] = Object.entries(texts)
  const sized = { find, findFormer, versions, insert, touch, updateMany, removeThoseExpired, postpone }
  for (const [name, bySize] of Object.entries(sized)) {
    for (const size of [1, 2, largestBatch]) named.push([`${name} ${size}`, bySize(size)])
  }
  named.push(['due', due(100)])
  for (const grace of [true, false]) named.push([`rotate, grace ${grace}`, rotate(grace)])
  for (const purpose of ['migrate', 'sweep'] as const) {
    named.push([`lock to ${purpose}`, lockStatement(lock(purpose), 1)])
    named.push([`unlock after ${purpose}`, unlockStatement(lock(purpose))])
  }
  for (const user of [true, false]) {
    for (const after of [true, false]) {
      named.push([`list, user ${user}, after ${after}`, list({ user, after, limit: 10 })])
    }
  }
  named.push(['the table of migrations', migrationsTable])
  for (const { version, statements } of mysqlMigrations('coatcheck_sessions')) {
    statements.forEach((sql, index) => named.push([`migration ${version}, statement ${index + 1}`, sql]))
  }
  return named
}

function everyExpressStatement(): [name: string, sql: string][] {
  const {
    find,
    insert,
    updateMany,
    touch,
    removeThoseThatContain,
    removeThoseExpired,
    expired,
    list,
    sweepLock,
    ...texts
  } = expressStatements('sessions')
  const named: [string, string][] = Object.entries(texts)
  const sized = { find, insert, updateMany, touch, removeThoseThatContain, removeThoseExpired }
  for (const [name, bySize] of Object.entries(sized)) {
    for (const size of [1, 2, largestBatch]) named.push([`${name} ${size}`, bySize(size)])
  }
  named.push(['expired', expired(100)], ['lock to sweep', lockStatement(sweepLock, 0)])
  for (const containing of [true, false]) {
    for (const after of [true, false]) {
      named.push([`list, containing ${containing}, after ${after}`, list({ containing, after, limit: 10 })])
    }
  }
  return named.map(([name, sql]) => [`on an old table: ${name}`, sql])
}
