import { randomBytes } from 'node:crypto'
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { createSessions } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createId, createToken, hashOf, idOf, isSameHash } from '../../dist/core/token.js'
import { bag, secret, storedSession } from '../core/works.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { urlOfUser } from '../stores/mysql-subject.ts'
import type { CommandEnd } from './run-command.ts'
import { differences, startCopy } from './run-copy.ts'

onEachServer('the command', ({ server, start }) => {
  let url: string
  let database: Connection

  beforeEach(async () => {
    url = await freshDatabase(server)
    database = await createConnection(url)
    onTestFinished(() => database.end())
    await createTable('sessions', ['session_id', 'expires', 'data'])
  })

  async function createTable(name: string, [id, expires, data]: readonly string[]): Promise<void> {
    await database.query(
      `CREATE TABLE ${name} (${id} varchar(128) COLLATE utf8mb4_bin PRIMARY KEY, ${expires} int unsigned NOT NULL, ${data} mediumtext COLLATE utf8mb4_bin)`,
    )
  }

  /** A session as express-mysql-session stores it. */
  function stored(data: object): string {
    return JSON.stringify({ cookie: { originalMaxAge: 3_600_000, httpOnly: true, path: '/' }, ...data })
  }

  async function put(id: string, data: string, seconds = 3_600): Promise<void> {
    await database.query('REPLACE INTO sessions VALUES (?, UNIX_TIMESTAMP() + ?, ?)', [id, seconds, data])
  }

  async function putMany(count: number): Promise<void> {
    const expires = Math.floor(Date.now() / 1_000) + 3_600
    const session = (number: number) => [`id-${number}`, expires, `{"cookie":{},"number":${number}}`]
    await database.query('INSERT INTO sessions VALUES ?', [
      Array.from({ length: count }, (_, index) => session(index + 1)),
    ])
  }

  async function rows(sql: string): Promise<RowDataPacket[]> {
    return (await database.query<RowDataPacket[]>(sql))[0]
  }

  async function counts(): Promise<Record<string, number>> {
    const [row] = await rows(differences)
    return Object.fromEntries(Object.entries(row!).map(([name, value]) => [name, Number(value)]))
  }

  const none = { lost: 0, other: 0, surplus: 0, doubled: 0 }

  function copy(...parameters: string[]): Promise<CommandEnd> {
    return startCopy(url, '--from', 'sessions', ...parameters).ended
  }

  function openStore(): MySQLStore {
    const store = new MySQLStore(url)
    onTestFinished(() => store.close())
    return store
  }

  /** What a browser's token leads to in the new table. */
  async function found(id: string): Promise<{ data: unknown; userId: string | undefined } | undefined> {
    const [record] = await openStore().find([idOf(id)])
    if (!isSameHash(record?.hash, hashOf(id))) return undefined
    return (
      record && { data: JSON.parse(Buffer.from(record.data).toString()) as unknown, userId: record.userId }
    )
  }

  describe('coatcheck copy --forget', () => {
    test('says which right its user lacks', async () => {
      expect((await copy()).code).toBe(0)
      const limited = await urlOfUser(url, 'SELECT, INSERT, UPDATE, DELETE, CREATE')
      const { code, stderr } = await startCopy(limited, '--from', 'sessions', '--forget').ended
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/^The user may not drop coatcheck_\w+\. GRANT DROP on it/) as string,
      })
    })
  })

  describe('coatcheck copy', () => {
    test('copies what lives, with its data, under the hash of its id', async () => {
      await put('one', stored({ name: 'Ada' }))
      await put('old', stored({ name: 'gone' }), -60)
      const { code, stderr, stdout } = await copy()
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('1 copied') as string })
      expect(stdout).toMatch(/read +\d+ .*rows\/s, \d pass/)
      expect(stdout).toMatch(/copied +1$/m)
      expect(await found('one')).toEqual({
        data: JSON.parse(stored({ name: 'Ada' })) as unknown,
        userId: undefined,
      })
      expect(await found('old')).toBeUndefined()
    })

    test('keeps each expiry', async () => {
      await put('one', stored({}), 5_000)
      await copy()
      const [row] = await rows(
        'SELECT expires_at DIV 1000 AS now_there, expires AS was FROM coatcheck_sessions, sessions',
      )
      expect(row!['now_there']).toBe(row!['was'])
    })

    test('finds the user where it is told to look', async () => {
      await put('one', stored({ passport: { user: 42 } }))
      await put('two', stored({}))
      await copy('--user', 'passport.user')
      expect((await found('one'))!.userId).toBe('42')
      expect((await found('two'))!.userId).toBeUndefined()
      expect((await openStore().list({ userId: '42', limit: 10, data: false })).items).toHaveLength(1)
    })

    test("copies a session whose user has no usable id as nobody's, and says how many", async () => {
      const unusable = ['admin\0x', 'ad\ud800min', '', { id: 1 }, true, 1.5, 'x'.repeat(256)]
      for (const [index, user] of unusable.entries()) await put(`id-${index}`, stored({ user }))
      await put('admin', stored({ user: 'admin' }))
      await put('nobody', stored({ user: null }))
      const { stdout } = await copy('--user', 'user')
      for (const index of unusable.keys()) expect((await found(`id-${index}`))!.userId).toBeUndefined()
      expect((await openStore().list({ userId: 'admin', limit: 10, data: false })).items).toHaveLength(1)
      expect(stdout).toMatch(/with a user +1 /)
      expect(stdout).toContain(`${unusable.length} sessions name a user at user by what is no user id`)
    })

    test('keeps whose a session is that an app which has moved stored in the old table', async () => {
      const moved = createSessions({
        store: new MySQLStore(url, { layout: 'express-mysql-session' }),
        secret,
        sweep: false,
      })
      const users = ['Ada L', 'a%41', 'ädä']
      const tokens = [await storedSession(moved, { name: 'nobody' })]
      for (const user of users) tokens.push(await storedSession(moved, { name: user }, user))
      const before = await Promise.all(users.map((user) => moved.user(user).list()))
      await moved.close()
      await put('unmoved', stored({ name: 'Bob', uid: 'bob' }))
      const { code, stdout } = await copy('--user', 'uid')
      expect(code).toBe(0)
      expect(stdout).toMatch(/with a user +4 /)

      const here = createSessions({ store: openStore(), secret, sweep: false })
      const after = await Promise.all(users.map((user) => here.user(user).list()))
      const identity = ([info, ...more]: readonly (typeof before)[number][number][]) => ({
        publicId: info!.publicId,
        createdAt: info!.createdAt,
        authenticatedAt: info!.authenticatedAt,
        more,
      })
      expect(after.map(identity)).toEqual(before.map(identity))
      const works = await Promise.all(tokens.map((token) => here.load(token)))
      expect(works.map(({ userId }) => userId)).toEqual([undefined, ...users])
      expect(works.map((work) => bag(work))).toMatchObject(['nobody', ...users].map((name) => ({ name })))
      for (const work of works) expect(bag(work)).not.toHaveProperty('coatcheck')

      // Begun anew over what is there already, it finds that nothing is left to do.
      expect((await copy('--user', 'uid', '--forget')).code).toBe(0)
      expect((await copy('--user', 'uid')).stdout).toMatch(/copied +0$/m)
      await database.query(
        "UPDATE sessions SET data = REPLACE(data, 'Ada L', 'Ada') WHERE data LIKE '%Ada L%'",
      )
      expect((await copy('--user', 'uid')).stdout).toMatch(/changed +1 /)
    })

    test("finds a token of coatcheck's by the id in it, and any other by a hash", async () => {
      const tokens = [
        createToken(),
        createToken().replace('coat_', 'COAT_'),
        `${createToken()}\n`,
        `${createToken().slice(0, -1)}+`,
        'x'.repeat(128),
        'ß☂\u{1f600}',
      ]
      for (const token of tokens) await put(token, stored({ token }))
      expect((await copy()).stdout).toMatch(/copied +6$/m)
      for (const token of tokens) expect((await found(token))!.data).toMatchObject({ token })
      const marks = await rows(
        'SELECT SUM(LENGTH(marks)) AS length, COUNT(DISTINCT marks) AS count FROM coatcheck_sessions',
      )
      expect(marks).toMatchObject([{ length: '48', count: 6 }])
    })

    test('of two tokens of one id copies the one that expires later, as often as it runs', async () => {
      for (const order of [1, -1]) {
        const id = createId()
        const [first, second] = [createToken(id), createToken(id)].sort((one, other) => (one < other ? -order : order)) as [string, string] // prettier-ignore
        await put(first, stored({ which: 'sooner' }), 1_000)
        await put(second, stored({ which: 'later' }), 2_000)
        for (const parameters of [[], [], ['--batch', '1'], ['--forget'], ['--batch', '1']]) {
          await copy(...parameters)
          expect(await found(first)).toBeUndefined()
          expect((await found(second))!.data).toMatchObject({ which: 'later' })
        }
      }
    })

    test('takes over a new token, also where nothing else changed', async () => {
      const id = createId()
      const [former, token] = [createToken(id), createToken(id)]
      await put(former, stored({ name: 'Ada' }))
      await copy()
      await database.query('UPDATE sessions SET session_id = ?', [token])
      expect((await copy()).stdout).toMatch(/changed +1 /)
      expect(await found(former)).toBeUndefined()
      expect((await found(token))!.data).toMatchObject({ name: 'Ada' })
      const [row] = await rows('SELECT version, LENGTH(marks) AS length FROM coatcheck_sessions')
      expect(row).toEqual({ version: 2, length: 16 })
    })

    test('keeps the user who has signed in by signIn, and none that a visitor has written there', async () => {
      const sessions = createSessions({
        store: new MySQLStore(url, { layout: 'express-mysql-session' }),
        secret: 'the secret of the shop',
        sweep: false,
      })
      const work = sessions.begin()
      await work.session!.signIn('ada')
      await work.commit()
      await sessions.close()
      const coatcheck = { userId: 'admin', publicId: 'AAAAAAAAAAAAAAAA', createdAt: 1 }
      await put('forged', stored({ n: 1, coatcheck }))
      expect((await copy()).stdout).toMatch(/copied +2$/m)
      const [signedIn, forged] = await openStore().find([idOf(work.id), idOf('forged')])
      expect(signedIn).toMatchObject({ userId: 'ada', authenticatedAt: expect.any(Number) })
      expect(forged).toMatchObject({ userId: undefined, authenticatedAt: undefined })
      expect(Buffer.from(forged!.data).toString()).toBe(stored({ n: 1 }))
    })

    test('leaves what coatcheck remembers of users where it is', async () => {
      await put('note.revoked.somebody', stored({ text: '' }))
      await put('NOTE.taken', stored({}))
      expect((await copy()).stdout).toMatch(/copied +1$/m)
    })

    test('run again, copies nothing twice, and takes over what changed, moved on or ended', async () => {
      for (const id of ['same', 'changed', 'touched', 'ended']) await put(id, stored({ id }))
      await copy()
      await put('changed', stored({ id: 'changed', again: true }))
      await put('touched', stored({ id: 'touched' }), 7_200)
      await database.query("DELETE FROM sessions WHERE session_id = 'ended'")
      const { stdout } = await copy('--end-all')
      expect(stdout).toMatch(/copied +0\b/)
      expect((await found('changed'))!.data).toMatchObject({ again: true })
      expect(await found('ended')).toBeUndefined()
      expect(await counts()).toEqual(none)
    })

    test('leaves alone what changed in the new table, and brings back nothing that ended there', async () => {
      for (const id of ['changed', 'ended']) await put(id, stored({ id }))
      await copy()
      const store = openStore()
      const [record] = await store.find([idOf('changed')])
      const { id, version } = record!
      const [userId, format, mark] = [undefined, 1, randomBytes(8)]
      const data = Buffer.from(stored({ by: 'a moved app' }))
      const lifetime = { idle: 3_600_000, absolute: undefined }
      expect(
        await store.write([
          { type: 'update', id, version, userId, data, format, mark, lifetime },
          { type: 'remove', id: idOf('ended'), userId },
        ]),
      ).toEqual(['done', 'done'])
      await put('changed', stored({ by: 'an old app' }))
      await put('ended', stored({ by: 'an old app' }))
      await copy()
      expect((await found('changed'))!.data).toMatchObject({ by: 'a moved app' })
      expect(await found('ended')).toBeUndefined()
    })

    test('leaves out what is no session, says so, and copies the rest', async () => {
      await put('corrupt', '{"cookie":')
      await put('one', stored({}))
      const { code, stdout } = await copy()
      expect(code).toBe(0)
      expect(stdout).toContain('the data of 1 rows is not the JSON of a session')
      expect(await found('one')).toBeDefined()
      expect(await found('corrupt')).toBeUndefined()
    })

    test('follows a table with other names for its columns', async () => {
      await createTable('visits', ['sid', 'until', 'payload'])
      await database.query('INSERT INTO visits VALUES (?, UNIX_TIMESTAMP() + 60, ?)', ['one', stored({})])
      const { ended } = startCopy(
        url,
        '--from',
        'visits',
        '--columns',
        'session_id=sid,expires=until,data=payload',
      )
      expect((await ended).code).toBe(0)
      expect(await found('one')).toBeDefined()
    })

    test('killed by SIGKILL in the middle, goes on where it was: none is lost, none is there twice', async () => {
      await putMany(20_000)
      for (const atLeast of [2_000, 8_000]) {
        const { child, ended } = startCopy(url, '--from', 'sessions', '--batch', '200')
        await untilCopied(atLeast)
        child.kill('SIGKILL')
        expect((await ended).signal).toBe('SIGKILL')
        expect((await counts())['lost']).toBeGreaterThan(0)
      }
      expect((await copy()).code).toBe(0)
      expect(await counts()).toEqual(none)
    })

    test('works on a server that writes its log by statement', async () => {
      const logging = await start(['--log-bin', '--server-id=1', '--binlog-format=STATEMENT'])
      onTestFinished(() => logging.stop())
      url = await freshDatabase(logging.url)
      await database.end()
      database = await createConnection(url)
      await createTable('sessions', ['session_id', 'expires', 'data'])
      await put('one', stored({ name: 'Ada' }))
      expect(await copy()).toMatchObject({ code: 0 })
      await put('one', stored({ name: 'Ada L' }))
      expect((await copy()).stdout).toMatch(/changed +1 /)
    })

    test('with --follow, goes on until it is told to stop', async () => {
      await put('one', stored({}))
      const { child, ended } = startCopy(url, '--from', 'sessions', '--follow', '--every', '1')
      await untilCopied(1)
      await put('two', stored({}))
      await untilCopied(2)
      child.kill('SIGTERM')
      expect((await ended).code).toBe(0)
      expect(await counts()).toEqual(none)
    })

    test('lets no two copies run into one table', async () => {
      await put('one', stored({}))
      const { child, ended } = startCopy(url, '--from', 'sessions', '--follow', '--every', '60')
      await untilCopied(1)
      const second = await copy()
      child.kill('SIGTERM')
      await ended
      expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining('Another copy') as string })
    })

    test.for<[string, string[], RegExp]>([
      ['no table', [], /--from/],
      ['an option that it does not have', ['--from', 'sessions', '--fast'], /fast/],
      ['a batch that is no number', ['--from', 'sessions', '--batch', 'many'], /batch/],
      ['a URL without --url', ['--from', 'sessions', 'mysql://root:hush@host/db'], /^(?!.*hush).*--url/s],
      ['a table name that is none', ['--from', 'sessions', '--to', 'a b'], /letters|table/i],
    ])('refuses %s with exit code 2, and says what to do', async ([, parameters, message]) => {
      const { code, stderr } = await startCopy(url, ...parameters).ended
      expect(code).toBe(2)
      expect(stderr).toMatch(message)
    })

    test('says what to do where there is no database to be reached, and never the password', async () => {
      const missing = await startCopy(undefined, '--from', 'sessions').ended
      expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('DATABASE_URL') as string })
      const secret = 'very-secret'
      const away = await startCopy(`mysql://root:${secret}@127.0.0.1:1/none`, '--from', 'sessions').ended
      expect(away.code).toBe(1)
      expect(away.stderr).toMatch(/ECONNREFUSED.*Check that the database is up/)
      expect(away.stderr + away.stdout).not.toMatch(new RegExp(`${secret}|127\\.0\\.0\\.1|root`))
    })

    test('without a terminal, its progress is lines', async () => {
      await putMany(10)
      const { stderr } = await copy()
      expect(stderr).toMatch(/^pass 1: 10 rows\n/)
      expect(stderr).not.toContain('\u001b')
    })
  })

  /** The copy is another process, so its rows in the database are what tells how far it is. */
  async function untilCopied(count: number): Promise<void> {
    await expect
      .poll(
        async () =>
          (await rows('SELECT COUNT(*) AS copied FROM coatcheck_sessions').catch(() => []))[0]?.['copied'] as
            number | undefined,
        {
          interval: 5,
          timeout: 60_000,
        },
      )
      .toBeGreaterThanOrEqual(count)
  }
})
