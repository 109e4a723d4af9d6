import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SessionError } from 'coatcheck'
import { SQLiteStore } from 'coatcheck/sqlite'
import { expect, it, onTestFinished } from 'vitest'
import { bytes, insertOf, newId } from '../../dist/testing/store/subject.js'
import { serveDropIn, serveSessions, Visitor } from './visitors.ts'

const canary = 'canary7f'

async function newFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-refusals-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return join(folder, 'sessions.db')
}

/** A store, and a connection beside it to the same file. */
async function opened(): Promise<{ store: SQLiteStore; file: string; beside: DatabaseSync }> {
  const file = await newFile()
  const store = new SQLiteStore(file, { busyTimeout: 30 })
  await store.write([insertOf()])
  const beside = new DatabaseSync(file)
  onTestFinished(async () => {
    beside.close()
    await store.close()
  })
  return { store, file, beside }
}

const refuseCanaries = `CREATE TRIGGER refuse BEFORE INSERT ON coatcheck_sessions WHEN instr(NEW.data, '${canary}') > 0
  BEGIN SELECT RAISE(ABORT, '${canary} is refused'); END;
  CREATE TRIGGER refuse_change BEFORE UPDATE ON coatcheck_sessions WHEN instr(NEW.data, '${canary}') > 0
  BEGIN SELECT RAISE(ABORT, '${canary} is refused'); END`

it.each([
  ['session(sessions)', serveSessions],
  ['session({ store })', serveDropIn],
])('data that the file refuses shuts out no other visitor: %s', async (_name, serve) => {
  const { store, beside } = await opened()
  beside.exec(refuseCanaries)
  const app = await serve(store)
  const other = new Visitor(app)
  expect(await other.say('first')).toBe('first')
  for (let tries = 0; tries < 12; tries++) {
    expect(await new Visitor(app).say(canary)).toBe('500 ERR_SESSION_DATA_REFUSED')
  }
  expect(await other.say('second')).toBe('second')
  const visitors = Array.from({ length: 20 }, () => new Visitor(app))
  for (const round of ['begin', 'change']) {
    const notes = visitors.map((_, index) => (index % 5 === 4 ? canary : `${round} ${index}`))
    const answers = await Promise.all(visitors.map((visitor, index) => visitor.say(notes[index]!)))
    expect(answers).toEqual(notes.map((note) => (note === canary ? '500 ERR_SESSION_DATA_REFUSED' : note)))
  }
  for (const error of app.errors) {
    expect(error.message).toMatch(/SQLITE_CONSTRAINT/)
    expect(error.message).not.toContain(canary)
    expect((error.cause as Error).message).toContain(canary)
  }
})

it('a write that is refused fails alone in its batch', async () => {
  const { store, beside } = await opened()
  beside.exec(refuseCanaries)
  const writes = [insertOf(), insertOf({ data: bytes(canary) }), insertOf()]
  expect(await store.write(writes)).toEqual([
    'done',
    expect.objectContaining({ code: 'ERR_SESSION_DATA_REFUSED' }),
    'done',
  ])
})

it.each<[string, (beside: DatabaseSync) => unknown, object, RegExp]>([
  [
    'locked by another connection',
    (beside) => beside.exec('BEGIN IMMEDIATE'),
    { code: 'ERR_SESSION_STORE_BUSY', status: 503 },
    /SQLITE_BUSY.*busyTimeout/,
  ],
  [
    'whose table calls a function that there is not',
    (beside) => {
      beside.function('own', () => 1)
      beside.exec('CREATE TRIGGER calls BEFORE INSERT ON coatcheck_sessions BEGIN SELECT own(); END')
    },
    { code: 'ERR_SESSION_STORE_CONFIGURATION', status: 500 },
    /cause of this error/,
  ],
])('a file %s is told so', async (_name, spoil, expected, message) => {
  const { store, beside } = await opened()
  spoil(beside)
  const error = await store.write([insertOf()]).catch((reason: SessionError) => reason)
  expect(error).toMatchObject(expected)
  expect((error as Error).message).toMatch(message)
  expect((error as Error).message).not.toMatch(/is up/)
})

it('a file that was removed while it was open says to restart', async () => {
  const file = await newFile()
  // Without the log of WAL mode, in which SQLite does not look.
  const connection = new DatabaseSync(file)
  onTestFinished(() => connection.close())
  const store = new SQLiteStore(connection)
  await store.write([insertOf()])
  await rm(file)
  const error = await store.write([insertOf()]).catch((reason: SessionError) => reason)
  expect(error).toMatchObject({ code: 'ERR_SESSION_STORE_CONFIGURATION' })
  expect((error as Error).message).toMatch(/SQLITE_READONLY_DBMOVED.*Restart/)
})

it('a connection that may only read is no outage, and one that the app closed is one', async () => {
  const { file } = await opened()
  const connection = new DatabaseSync(file, { readOnly: true })
  const store = new SQLiteStore(connection, { createTable: false })
  const app = await serveSessions(store)
  const visitor = new Visitor(app)
  for (let tries = 0; tries < 8; tries++) {
    expect(await visitor.say('note')).toBe('500 ERR_SESSION_STORE_CONFIGURATION')
  }
  connection.close()
  expect(await visitor.say('note')).toBe('503 ERR_SESSION_STORE_UNAVAILABLE')
  expect(app.errors.map(({ message }) => message)).toEqual([
    ...Array<unknown>(8).fill(expect.stringContaining('SQLITE_READONLY')),
    expect.stringContaining('closed'),
  ])
})

it('a table that was dropped is made again, also by an app that starts after that', async () => {
  const { store, file, beside } = await opened()
  const app = await serveSessions(store)
  const visitors = Array.from({ length: 5 }, () => new Visitor(app))
  for (const ask of [
    (visitor: Visitor) => visitor.say('note'),
    (visitor: Visitor) => visitor.recall(),
    (visitor: Visitor) => visitor.say('note'),
  ]) {
    beside.exec('DROP TABLE coatcheck_sessions')
    await Promise.all(visitors.map(ask))
  }
  expect(app.errors).toEqual([])
  beside.exec('DROP TABLE coatcheck_sessions')
  const late = new SQLiteStore(file)
  onTestFinished(() => late.close())
  const insert = insertOf()
  expect(await late.write([insert])).toEqual(['done'])
  expect(await store.find([insert.id])).toMatchObject([{ id: insert.id }])
})

it('a table that was dropped and may not be made names the ledger', async () => {
  const { file, beside } = await opened()
  beside.exec('DROP TABLE coatcheck_sessions')
  const store = new SQLiteStore(file, { createTable: false })
  onTestFinished(() => store.close())
  await expect(store.find([newId()])).rejects.toMatchObject({
    code: 'ERR_SESSION_MISSING_TABLE',
    message: expect.stringMatching(/schema\/sqlite\.sql.*coatcheck_migrations/) as string,
  })
})
