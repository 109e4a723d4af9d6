import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SQLiteStore } from 'coatcheck/sqlite'
import { storeSuite } from 'coatcheck/testing'
import { migrations } from '../../dist/stores/sqlite/schema.js'
import { statements } from '../../dist/stores/sqlite/statements.js'
import {
  bytes,
  expired,
  find,
  inserted,
  insertOf,
  newId,
  present,
  removalOf,
  rotationOf,
  updateOf,
  write,
} from '../../dist/testing/store/subject.js'

const run = promisify(execFile)
const incrementer = join(import.meta.dirname, 'sqlite-incrementer.ts')
const schema = join(import.meta.dirname, '../../schema/sqlite.sql')
const leftovers: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanUp of leftovers.splice(0).reverse()) await cleanUp()
})

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-sqlite-'))
  leftovers.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function newFile(): Promise<string> {
  return join(await emptyFolder(), 'sessions.db')
}

function storeAt(...parameters: ConstructorParameters<typeof SQLiteStore>): SQLiteStore {
  const store = new SQLiteStore(...parameters)
  leftovers.push(() => store.close())
  return store
}

/** Each is opened twice on one file. */
const connections: Record<string, (file: string) => DatabaseSync> = {
  'a connection': (file) => new DatabaseSync(file),
  'a connection that reads bigints': (file) => new DatabaseSync(file, { readBigInts: true }),
  'a file of UTF-16': (file) => {
    const database = new DatabaseSync(file)
    database.exec("PRAGMA encoding = 'UTF-16'")
    return database
  },
}

storeSuite('SQLiteStore on a file', {
  describe,
  it,
  open: async () => {
    const file = await newFile()
    return { store: new SQLiteStore(file), other: new SQLiteStore(file), cleanUp: async () => {} }
  },
})

storeSuite('SQLiteStore in memory', {
  describe,
  it,
  open: async () => {
    const store = new SQLiteStore(':memory:')
    const other = { ...bound(store), close: async () => {} }
    return { store: { ...bound(store), close: async () => {} }, other, cleanUp: () => store.close() }
  },
})

for (const [what, connect] of Object.entries(connections)) {
  storeSuite(`SQLiteStore on ${what}`, {
    describe,
    it,
    open: async () => {
      const file = await newFile()
      const databases = [connect(file), connect(file)] as const
      return {
        store: new SQLiteStore(databases[0]),
        other: new SQLiteStore(databases[1]),
        cleanUp: async () => databases.forEach((database) => database.close()),
      }
    },
  })
}

/** The store's methods, so that two of the suite's stores can share one connection. */
function bound(store: SQLiteStore) {
  return {
    find: store.find.bind(store),
    alive: store.alive.bind(store),
    write: store.write.bind(store),
    list: store.list.bind(store),
    removeByUser: store.removeByUser.bind(store),
    removeExpired: store.removeExpired.bind(store),
  }
}

describe('several processes on one file', () => {
  it('lose no increment, and see no lock', async () => {
    const file = await newFile()
    const store = storeAt(file)
    const { id } = await inserted(store, { data: bytes('0') })
    await Promise.all(
      [1, 2, 3].map(async () => {
        const { stderr } = await run(process.execPath, [incrementer, file, id, '200'])
        expect(stderr).toBe('')
      }),
    )
    const record = await present(store, id)
    expect(Buffer.from(record.data).toString()).toBe('600')
    expect(record.version).toBe(601)
  })

  it('may make the table at the same moment', async () => {
    const file = await newFile()
    const stores = Array.from({ length: 5 }, () => storeAt(file))
    const results = await Promise.all(stores.map((store) => write(store, insertOf())))
    expect(results).toEqual(['done', 'done', 'done', 'done', 'done'])
    expect((await storeAt(file).list({ limit: 10, data: false })).items).toHaveLength(5)
  })

  it('are told where their Node has no node:sqlite', async () => {
    const starting = run(process.execPath, ['--no-experimental-sqlite', incrementer, await newFile()])
    await expect(starting).rejects.toThrow('SQLiteStore needs node:sqlite')
  })

  it('find what another wrote before it ended', async () => {
    const file = await newFile()
    const first = storeAt(file)
    const record = await inserted(first)
    await first.close()
    expect((await present(storeAt(file), record.id)).createdAt).toBe(record.createdAt)
  })
})

describe('a file that another connection has locked', () => {
  async function locked(busyTimeout: number) {
    const file = await newFile()
    const store = storeAt(file, { busyTimeout })
    const record = await inserted(store)
    await expired(store)
    const locker = new DatabaseSync(file)
    leftovers.push(async () => locker.close())
    locker.exec('BEGIN IMMEDIATE')
    return { file, store, record, unlock: () => locker.exec('ROLLBACK') }
  }

  it('leaves the event loop free, and the write is done once the lock is gone', async () => {
    const { store, record, unlock } = await locked(60_000)
    let answered = false
    const removal = write(store, removalOf(record)).finally(() => (answered = true))
    for (let turns = 0; turns < 100; turns++) await turn()
    expect(answered).toBe(false)
    unlock()
    expect(await removal).toBe('done')
  })

  it('can still be read', async () => {
    const { store, record } = await locked(60_000)
    await present(store, record.id)
    expect((await store.list({ limit: 10, data: false })).items).toHaveLength(1)
  })

  it('can be read by a process that has just started', async () => {
    const { file, record } = await locked(60_000)
    const restarted = storeAt(file, { busyTimeout: 1 })
    expect((await present(restarted, record.id)).id).toBe(record.id)
  })

  it('fails a write as busy after busyTimeout, and the store works on when the lock is gone', async () => {
    const { store, record, unlock } = await locked(30)
    await expect(write(store, removalOf(record))).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_BUSY',
      status: 503,
    })
    await expect(store.removeByUser('ada')).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_BUSY' })
    unlock()
    await present(store, record.id)
    expect(await write(store, removalOf(record))).toBe('done')
  })

  it('is not swept now', async () => {
    const { store, unlock } = await locked(60_000)
    expect(await store.removeExpired(10)).toBe(0)
    unlock()
    expect(await store.removeExpired(10)).toBe(1)
  })

  it('is refused aloud by a lock that somebody holds for ever', async () => {
    const { store, unlock } = await locked(60_000)
    for (let sweep = 0; sweep < 5; sweep++) expect(await store.removeExpired(10)).toBe(0)
    await expect(store.removeExpired(10)).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_BUSY',
      status: 503,
      message: expect.stringMatching(/last 6 sweeps.*transaction/),
    })
    for (let sweep = 0; sweep < 5; sweep++) expect(await store.removeExpired(10)).toBe(0)
    unlock()
    expect(await store.removeExpired(10)).toBe(1)
  })

  it('ends the wait of a store that is closed', async () => {
    const { store } = await locked(60_000)
    const [answer] = await Promise.allSettled([write(store, insertOf()), store.close()])
    expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'ERR_SESSION_CLOSED' } })
  })
})

describe('a file that is opened here', () => {
  it('is in WAL mode and waits for the disk at each commit, so that what was acknowledged survives a power cut', async () => {
    const file = await newFile()
    // Those settings belong to the connection, which the store keeps to itself: what it does first gives it away.
    const execute = vi.spyOn(DatabaseSync.prototype, 'exec')
    try {
      await inserted(storeAt(file))
      const [database, ...others] = new Set(execute.mock.contexts as DatabaseSync[])
      expect(others).toEqual([])
      expect(database!.prepare('PRAGMA journal_mode').all()).toMatchObject([{ journal_mode: 'wal' }])
      const full = 2
      expect(database!.prepare('PRAGMA synchronous').all()).toMatchObject([{ synchronous: full }])
    } finally {
      execute.mockRestore()
    }
  })
})

describe('the mode of the file', () => {
  /** The files in a folder, with their modes in octal. */
  async function modesIn(folder: string): Promise<Record<string, string>> {
    const names = (await readdir(folder)).sort()
    const modeOf = async (name: string) => ((await stat(join(folder, name))).mode & 0o777).toString(8)
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await modeOf(name)])))
  }
  const ownerAlone = { 'sessions.db': '600', 'sessions.db-shm': '600', 'sessions.db-wal': '600' }

  it.each([
    ['by a path', (file: string) => file],
    ['by a URI', (file: string) => `file:${file}`],
    ['by a URI with a host and a query', (file: string) => `file://localhost${file}?mode=rwc&cache=private`],
  ])("that is made here, %s, is its owner's alone, and so are those beside it", async (_how, named) => {
    const folder = await emptyFolder()
    const store = storeAt(named(join(folder, 'sessions.db')))
    await inserted(store)
    expect(await modesIn(folder)).toEqual(ownerAlone)
  })

  it('that was there is left as it is', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'sessions.db')
    await writeFile(file, '')
    await chmod(file, 0o660)
    const store = storeAt(file)
    await inserted(store)
    expect(await modesIn(folder)).toEqual({
      'sessions.db': '660',
      'sessions.db-shm': '660',
      'sessions.db-wal': '660',
    })
  })

  it.each([':memory:', 'file::memory:', 'file:sessions.db?mode=memory'])(
    '"%s" makes no file',
    async (name) => {
      const before = await readdir('.')
      await inserted(storeAt(name))
      expect(await readdir('.')).toEqual(before)
    },
  )
})

describe('a connection that was passed in', () => {
  it.each(Object.entries(connections))('%s stays open when the store is closed', async (_what, connect) => {
    const database = connect(':memory:')
    const store = new SQLiteStore(database)
    await inserted(store)
    await store.close()
    expect(database.prepare('SELECT * FROM coatcheck_sessions').all()).toHaveLength(1)
    database.close()
  })

  it.each(Object.entries(connections))(
    '%s keeps a transaction of the app apart from writes',
    async (_what, connect) => {
      const database = connect(':memory:')
      const store = storeAt(database, { busyTimeout: 60_000 })
      const record = await inserted(store)
      database.exec('BEGIN')
      const removal = write(store, removalOf(record))
      await turn()
      database.exec('ROLLBACK')
      expect(await removal).toBe('done')
      expect(await find(store, record.id)).toBeUndefined()
      database.close()
    },
  )
})

describe('a row that somebody else has written', () => {
  it.each([
    ['marks of an odd length', "marks = x'01'"],
    ['a hash of an odd length', "secret_hash = x'010203'"],
  ])(
    'with %s, in UTF-16, is found as one that holds nothing and is nobody’s, and fails no other',
    async (_what, set) => {
      const database = connections['a file of UTF-16']!(':memory:')
      leftovers.push(async () => database.close())
      const store = storeAt(database)
      const [broken, other] = [await inserted(store), await inserted(store)]
      database.exec(`UPDATE coatcheck_sessions SET user_id = x'616461', ${set} WHERE id = x'${idOf(broken)}'`)
      const [found, neighbour] = await store.find([broken.id, other.id])
      expect(found?.data).toHaveLength(0)
      expect(found?.userId).toBeUndefined()
      expect(neighbour).toMatchObject({ id: other.id, version: 1 })
      expect(neighbour!.data.length).toBeGreaterThan(0)
    },
  )

  function idOf({ id }: { readonly id: string }): string {
    return Buffer.from(id, 'base64url').toString('hex')
  }
})

describe('the table of SQLiteStore', () => {
  function layout(database: DatabaseSync) {
    return {
      objects: database.prepare('SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name').all(),
      migrations: database.prepare('SELECT table_name, version FROM coatcheck_migrations').all(),
    }
  }

  it('is the same whether made on first use or by schema/sqlite.sql', async () => {
    const byStore = new DatabaseSync(':memory:')
    await storeAt(byStore).list({ limit: 1, data: false })
    const byFile = new DatabaseSync(':memory:')
    byFile.exec(await readFile(schema, 'utf8'))
    expect(layout(byFile)).toEqual(layout(byStore))
    expect(layout(byStore).objects).toHaveLength(5)
    expect(layout(byStore).migrations).toHaveLength(migrations('coatcheck_sessions').length)
    await storeAt(byFile).list({ limit: 1, data: false })
    byFile.exec(await readFile(schema, 'utf8'))
    expect(layout(byFile)).toEqual(layout(byStore))
  })

  it('may have another name, also in schema/sqlite.sql, and two tables stay apart', async () => {
    const file = await newFile()
    const database = new DatabaseSync(file)
    leftovers.push(async () => database.close())
    database.exec((await readFile(schema, 'utf8')).replaceAll('coatcheck_sessions', 'visits'))
    const visits = storeAt(file, { table: 'visits', createTable: false })
    const others = storeAt(file)
    const { id } = await inserted(visits)
    expect(await find(others, id)).toBeUndefined()
    await present(visits, id)
    expect(layout(database).migrations.map(({ table_name }) => table_name)).toContain('visits')
  })

  it('is missed by name, with the cure, when createTable is false', async () => {
    const store = storeAt(':memory:', { createTable: false })
    const answers = [
      store.find([newId()]),
      store.write([insertOf()]),
      store.list({ limit: 1, data: false }),
      store.removeByUser('ada'),
      store.removeExpired(1),
    ]
    for (const answer of answers) {
      await expect(answer).rejects.toMatchObject({
        code: 'ERR_SESSION_MISSING_TABLE',
        message: expect.stringMatching(/"coatcheck_sessions".*schema\/sqlite\.sql/),
      })
    }
  })

  it.each(['about', 'former_hash'].flatMap((column) => [true, false].map((make) => [column, make] as const)))(
    'of an earlier build, without %s, is an error that says what to do (createTable: %s)',
    async (column, createTable) => {
      for (const connect of Object.values(connections)) {
        const file = await newFile()
        const made = new DatabaseSync(file)
        made.exec((await readFile(schema, 'utf8')).replace(new RegExp(`^ *${column} .*\n`, 'm'), ''))
        made.close()
        const database = connect(file)
        leftovers.push(async () => database.close())
        const store = storeAt(database, { createTable })
        const record = { id: newId(), version: 1, userId: undefined }
        const uses = [
          store.find([newId()]),
          store.write([updateOf(record)]),
          store.write([rotationOf(record, { grace: 1 })]),
          ...(column === 'about' ? [store.write([insertOf()]), store.list({ limit: 1, data: false })] : []),
        ]
        for (const use of uses) {
          await expect(use).rejects.toMatchObject({
            code: 'ERR_SESSION_WRONG_TABLE',
            message: expect.stringMatching(
              new RegExp(`"coatcheck_sessions" lacks a column.* drop it.* schema/sqlite.sql.*${column}`),
            ),
          })
        }
      }
    },
  )

  it('may be one WITHOUT ROWID, as an earlier build made it', async () => {
    const database = new DatabaseSync(':memory:')
    const [steps] = migrations('coatcheck_sessions')
    for (const step of steps!) database.exec(step.replace(/\) STRICT$/, ') STRICT, WITHOUT ROWID'))
    const store = storeAt(database)
    const record = await inserted(store, { userId: 'ada' })
    expect((await present(store, record.id)).createdAt).toBe(record.createdAt)
    expect((await store.list({ userId: 'ada', limit: 1, data: true })).items).toHaveLength(1)
    expect(await store.removeExpired(10)).toBe(0)
    expect(await store.removeByUser('ada')).toBe(1)
    expect(
      database.prepare('SELECT sql FROM sqlite_schema WHERE name = ?').get('coatcheck_sessions'),
    ).toMatchObject({
      sql: expect.stringContaining('WITHOUT ROWID') as string,
    })
  })

  it('answers each question from an index', async () => {
    const database = new DatabaseSync(':memory:')
    await storeAt(database).list({ limit: 1, data: false })
    const sql = statements('coatcheck_sessions')
    const primaryKey = 'INDEX sqlite_autoindex_coatcheck_sessions_1'
    const byId = `SEARCH session USING ${primaryKey} (id=?)`
    const root = `SEARCH root USING ${primaryKey} (id=?)`
    const byUser = 'USING INDEX coatcheck_sessions_user_id (user_id=?)'
    const plans: [statement: string, steps: string[], sorts?: boolean][] = [
      [sql.find(2), [byId, root]],
      [sql.alive(2), [byId, root]],
      [sql.list(true), [`SEARCH session USING ${primaryKey} (id<?)`, root]],
      // By the moment of their last use: an index of that would move with each.
      [sql.listByUser(false), [`SEARCH session ${byUser}`, root], true],
      [sql.replaceSecret(true), [`SEARCH coatcheck_sessions USING ${primaryKey} (id=?)`]],
      [sql.removeByUser, [`SEARCH coatcheck_sessions ${byUser}`]],
      [
        sql.removeExpired,
        ['SEARCH coatcheck_sessions USING INDEX coatcheck_sessions_expires_at (expires_at<?)'],
      ],
    ]
    for (const [statement, steps, sorts = false] of plans) {
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${statement}`).all() as { detail: string }[]
      const details = plan.map(({ detail }) => detail)
      expect(details).toEqual(expect.arrayContaining(steps))
      expect(details.filter((detail) => /SCAN/.test(detail))).toEqual([])
      expect(details.some((detail) => /TEMP B-TREE/.test(detail))).toBe(sorts)
    }
  })
})

describe('a file that cannot be used', () => {
  it('in a folder that does not exist is refused at once, by name', async () => {
    const file = join(await emptyFolder(), 'missing', 'sessions.db')
    expect(() => new SQLiteStore(file)).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_OPTION', message: expect.stringContaining(file) }),
    )
  })

  it('because it is something else is an error that says so, and stays as it is', async () => {
    const file = await newFile()
    const content = 'Dear diary, today I was taken for a database. '.repeat(40)
    await writeFile(file, content)
    await expect(storeAt(file).find([newId()])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_CONFIGURATION',
      message: expect.stringContaining('SQLITE_NOTADB'),
    })
    expect(await readFile(file, 'utf8')).toBe(content)
  })

  it.skipIf(process.getuid?.() === 0)(
    'because of its permissions is refused or unavailable (root may do all)',
    async () => {
      const file = await newFile()
      await inserted(storeAt(file))
      await chmod(file, 0o000)
      expect(() => new SQLiteStore(file)).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
    },
  )

  it('because it is full fails that write, typed, and keeps what it holds', async () => {
    const database = new DatabaseSync(':memory:')
    const store = storeAt(database)
    const record = await inserted(store)
    database.exec('PRAGMA max_page_count = 10')
    const big = insertOf({ data: new Uint8Array(200_000) })
    await expect(store.write([insertOf(), big])).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_UNAVAILABLE',
    })
    expect((await store.list({ limit: 10, data: false })).items.map(({ id }) => id)).toEqual([record.id])
    expect(await write(store, insertOf())).toBe('done')
  })
})

describe('the options of SQLiteStore', () => {
  it.each(['', '1st', 'a b', 'a"b', 'a;b', 'sqlite_x', 'ä', 'main.t', 'x'.repeat(49)])(
    'a table named "%s" is refused',
    (table) => {
      expect(() => new SQLiteStore(':memory:', { table })).toThrow(
        expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
      )
    },
  )

  it('an empty path is refused, since SQLite would take it for a file that vanishes', () => {
    expect(() => new SQLiteStore('')).toThrow(expect.objectContaining({ code: 'ERR_SESSION_OPTION' }))
  })

  it('a misspelt option is refused by name', () => {
    expect(() => new SQLiteStore(':memory:', { tableName: 'x' } as object)).toThrow(/"tableName"/)
  })

  it('a closed store says so', async () => {
    const store = storeAt(':memory:')
    await store.close()
    const closed = { code: 'ERR_SESSION_CLOSED', status: 503 }
    await expect(store.find([newId()])).rejects.toMatchObject(closed)
    expect(await store.find([])).toEqual([])
  })
})
