import type { SessionId } from 'coatcheck'
import { createPool, type Pool, type PoolConnection, type QueryOptions, type RowDataPacket } from 'mysql2'
import { createConnection, type Connection } from 'mysql2/promise'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { openStore, storedMany, update } from './mysql-subject.ts'

const lockWaitTooLong = 1205
const deadlock = 1213
/** What `NOWAIT` says of a locked row: MariaDB, MySQL. */
const isLockedNow = new Set<unknown>([lockWaitTooLong, 3572])
/** MySQL makes 1 second of it. */
const shortestWait = 'SET innodb_lock_wait_timeout = 0'
const changedSinceRead = 1020

/** The order of rows in the table, in which a statement locks them. */
function inTable(one: SessionId, other: SessionId): number {
  return Buffer.compare(Buffer.from(one, 'base64url'), Buffer.from(other, 'base64url'))
}

onEachServer('locks of rows', ({ server }) => {
  let url: string
  /** The numbers of the errors that the store's statements got. */
  let refusals: unknown[]

  beforeEach(async () => {
    url = await freshDatabase(server)
    refusals = []
  })

  type Done = (error: { errno?: number } | null, answer?: unknown) => void

  /**
   * A pool of the app's, whose connections pass on what the server says of a statement that it undid when `before` has done
   * something first: so it is known what the next try finds.
   */
  function watchedPool(before: () => Promise<unknown>, setUp?: string): Pool {
    const pool = createPool({ uri: url })
    onTestFinished(() => pool.promise().end())
    pool.on('connection', (connection: PoolConnection) => {
      if (setUp) connection.query(setUp)
      const execute = connection.execute.bind(connection) as (options: QueryOptions, done: Done) => unknown
      Object.assign(connection, {
        execute: (options: QueryOptions, done: Done) =>
          execute(options, (error, answer) => {
            if (!error) return done(error, answer)
            refusals.push(error.errno)
            void before().then(() => done(error))
          }),
      })
    })
    return pool
  }

  /** A transaction of another, by a connection of its own. */
  async function otherTransaction(): Promise<Connection> {
    const connection = await createConnection(url)
    onTestFinished(() => connection.destroy())
    await connection.beginTransaction()
    return connection
  }

  function lock(connection: Connection, id: SessionId, how = ''): Promise<unknown> {
    return connection.query(`SELECT * FROM coatcheck_sessions WHERE id = ? FOR UPDATE ${how}`, [
      Buffer.from(id, 'base64url'),
    ])
  }

  async function versions(ids: SessionId[]): Promise<unknown[]> {
    return (await openStore(url).find(ids)).map((record) => record?.version)
  }

  describe('a change that the server undid', () => {
    it('because somebody kept its row locked for too long is sent again, and is done once', async () => {
      const [id] = await storedMany(openStore(url), 1)
      const other = await otherTransaction()
      await lock(other, id!)
      const store = openStore(watchedPool(() => other.rollback(), shortestWait))
      expect(await store.write([update(id!, 1)])).toEqual(['done'])
      expect(refusals).toEqual([lockWaitTooLong])
      expect(await versions([id!])).toEqual([2])
    })

    it('to end a deadlock is sent again, and is done once', async () => {
      const ids = (await storedMany(openStore(url), 2)).toSorted(inTable)
      const [first, second] = ids as [SessionId, SessionId]
      const other = await otherTransaction()
      // Of two in a circle the server picks the one that has done less.
      await other.query('CREATE TEMPORARY TABLE much (n INT) ENGINE=InnoDB')
      await other.query('INSERT INTO much VALUES ?', [Array.from({ length: 1_000 }, (_, n) => [n])])
      await lock(other, second)
      const store = openStore(watchedPool(() => circle.then(() => other.rollback())))
      const writing = store.write(ids.map((id) => update(id, 1)))
      await isLocked(first)
      const circle = lock(other, first)
      expect(await writing).toEqual(['done', 'done'])
      expect(refusals).toEqual([deadlock])
      expect(await versions(ids)).toEqual([2, 2])
    })

    it('because its row was changed after it was read is sent again', async () => {
      const [id] = await storedMany(openStore(url), 1)
      const pool = createPool({ uri: url })
      onTestFinished(() => pool.promise().end())
      const store = openStore(pool, { createTable: false })
      // In the server's place: only some of its versions say it, and never at will.
      pool.once('acquire', (connection: PoolConnection) => {
        const { execute } = connection
        Object.assign(connection, {
          execute: (_options: QueryOptions, done: (error: Error) => void) => {
            Object.assign(connection, { execute })
            refusals.push(changedSinceRead)
            const changed = { errno: changedSinceRead, sqlState: 'HY000' }
            done(Object.assign(new Error('Record has changed since last read in table'), changed))
          },
        })
      })
      expect(await store.write([update(id!, 1)])).toEqual(['done'])
      expect(refusals).toEqual([changedSinceRead])
    })

    it('is given up after five tries', async () => {
      const [id] = await storedMany(openStore(url), 1)
      await lock(await otherTransaction(), id!)
      const store = openStore(watchedPool(() => Promise.resolve(), shortestWait))
      expect(await store.write([update(id!, 1)])).toMatchObject([
        { code: 'ERR_SESSION_STORE_BUSY', status: 503 },
      ])
      expect(refusals).toEqual(Array(5).fill(lockWaitTooLong))
    })
  })

  describe('a change that the server refused', () => {
    // The numbers are said by a trigger: at will no server says them.
    it.each([
      ['others were in the way: 40001, 55000, 70100 by the SQLSTATE', [['40001'], ['55000'], ['70100']], 2],
      [
        'others were in the way, by the number',
        [1020, 1047, 1205, 1206, 1213, 1223, 1637, 1689, 3058, 3101, 3572].map((number) => ['HY000', number]),
        2,
      ],
      ['the data is refused', [['45000'], ['HY000', 1366], ['23000', 1062]], 1],
      ['the app is refused', [['42000'], ['HY000', 1364]], 1],
      ['the database can store nothing', [['HY000', 1114], ['HY000', 3024], ['53000'], ['40003']], 1],
    ] as [string, [state: string, number?: number][], number][])(
      'because %s, is sent as often as it may be',
      async (_why, answers, times) => {
        const [id] = await storedMany(openStore(url), 1)
        const pool = createPool({ uri: url, connectionLimit: 1 })
        onTestFinished(() => pool.promise().end())
        const store = openStore(pool, { createTable: false })
        const query = (sql: string) => pool.promise().query<RowDataPacket[]>(sql)
        for (const [state, number = 65_000] of answers) {
          await query('DROP TRIGGER IF EXISTS refuses')
          await query(
            `CREATE TRIGGER refuses BEFORE UPDATE ON coatcheck_sessions FOR EACH ROW BEGIN
               SET @sent = @sent + 1;
               IF @sent = 1 THEN SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${number}; END IF; END`,
          )
          await query('SET @sent = 0')
          const [record] = await store.find([id!])
          const [result] = await store.write([update(id!, record!.version)])
          const [[row]] = await query('SELECT @sent AS sent')
          expect({ state, number, sent: Number(row!['sent']), done: result === 'done' }).toEqual({
            state,
            number,
            sent: times,
            done: times === 2,
          })
        }
      },
    )
  })

  /** Resolves when a statement of another has locked this row. */
  async function isLocked(id: SessionId): Promise<void> {
    const connection = await createConnection(url)
    onTestFinished(() => connection.destroy())
    const asked = (): Promise<unknown> => lock(connection, id, 'NOWAIT').then(() => undefined, numberOf)
    while (!isLockedNow.has(await asked()));
  }

  function numberOf(error: unknown): unknown {
    return (error as { errno?: unknown }).errno
  }
})
