import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  createSessions,
  type SessionId,
  type Sessions,
  type SessionsOptions,
  type SessionStore,
} from 'coatcheck'
import { openStore } from 'coatcheck/open'
import { describe, expect, onTestFinished, test } from 'vitest'
import { recordTransfer, type TransferableStore, type WholeRecord } from '../../dist/core/store/transfer.js'
import { createId, createToken, hashOf, idOf } from '../../dist/core/token.js'
import { insertOf, noteOf } from '../../dist/testing/store/subject.js'
import { bag, committedToken, readData, secret, storedSession } from '../core/works.ts'
import { databases, freshDatabase } from '../servers/databases.ts'
import { ownFolder } from '../servers/owned.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { startRedis } from '../servers/redis.ts'
import type { CommandEnd } from './run-command.ts'
import { type Move, startTransfer } from './run-transfer.ts'

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-transfer-'))
  ownFolder(folder)
  return folder
}

const kinds: Readonly<Record<string, () => Promise<string>>> = {
  SQLite: async () => `sqlite:${join(await freshFolder(), 'sessions.db')}`,
  ...Object.fromEntries(databases().map(({ name, server }) => [name, () => freshDatabase(server)])),
  PostgreSQL: () => freshPostgreSQL(),
  Redis: async () => {
    const server = await startRedis()
    onTestFinished(() => server.stop())
    return server.url
  },
}

/** Two empty stores, and an empty folder. */
async function freshMove(from = 'SQLite', to = 'PostgreSQL'): Promise<Move> {
  const [one, other, folder] = await Promise.all([kinds[from]!(), kinds[to]!(), freshFolder()])
  const move = { from: one, to: other, folder }
  // An app has made its table.
  await storeAt(one).find([createId()])
  return move
}

function storeAt(url: string): SessionStore {
  const store = openStore(url)
  onTestFinished(() => store.close())
  return store
}

function sessionsAt(url: string, options: Partial<SessionsOptions> = {}): Sessions {
  const sessions = createSessions({ store: openStore(url), secret, sweep: false, ...options })
  onTestFinished(() => sessions.close())
  return sessions
}

async function copy(move: Move, ...parameters: string[]): Promise<CommandEnd> {
  const end = await startTransfer(move, ...parameters).ended
  expect(end, end.stderr).toMatchObject({ code: 0 })
  return end
}

/** All records of a store, by their ids. */
async function recordsAt(url: string): Promise<Map<SessionId, WholeRecord>> {
  const transfer = (storeAt(url) as SessionStore & TransferableStore)[recordTransfer]()!
  const { items } = await transfer.page(undefined, 10_000)
  const records = await transfer.read(items.map(({ id }) => id))
  return new Map(records.filter((record) => record !== undefined).map((record) => [record.id, plain(record)]))
}

/** With all bytes of one class, to be compared. */
function plain<Value>(value: Value): Value {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex') as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, plain<unknown>(field)]),
  ) as Value
}

const pairs = Object.keys(kinds).flatMap((from) =>
  Object.keys(kinds).map((to): [string, string] => [from, to]),
)

describe.each(pairs)('from %s to %s', (from, to) => {
  test('every record moves as it is, and no cookie has to change', async () => {
    const move = await freshMove(from, to)
    const encryption = [randomBytes(32), 'plain']
    const [old, site] = [
      sessionsAt(move.from, { encryption }),
      sessionsAt(move.from, { clientId: 'shop', encryption }),
    ]
    const visitor = await storedSession(old, { cart: ['tea'] })
    const ada = await storedSession(old, { name: 'Ada ☎', large: 'x'.repeat(50_000) }, 'ada')

    // Rotated a moment ago: the old token still works, on what the session was.
    const work = await old.load(ada)
    bag(work)['name'] = 'Ada L'
    await work.session!.rotate()
    const rotated = await committedToken(work)

    const root = await storedSession(old, {}, 'bob')
    const childId = createId()
    const child = createToken(childId, idOf(root))
    await storeAt(move.from).write([
      {
        ...insertOf({ id: childId, rootId: idOf(root), userId: 'bob', about: 'shop' }),
        hash: hashOf(child, 'shop'),
      },
    ])
    expect((await site.load(child)).userId).toBe('bob')
    await old.user('carol').revokeAll() // leaves a note

    const { stdout } = await copy(move)
    expect(stdout).toMatch(/^copied +5$/m)
    const [before, after] = await Promise.all([recordsAt(move.from), recordsAt(move.to)])
    expect(after).toEqual(before)
    expect(before.size).toBe(5)

    const fresh = sessionsAt(move.to, { encryption })
    expect(await readData(fresh, visitor)).toEqual({ cart: ['tea'] })
    expect((await readData(fresh, rotated))['name']).toBe('Ada L')
    expect((await readData(fresh, ada))['name']).toBe('Ada ☎')
    expect((await fresh.load(rotated)).userId).toBe('ada')
    const freshSite = sessionsAt(move.to, { clientId: 'shop', encryption })
    expect((await freshSite.load(child)).userId).toBe('bob')
    await bag(await fresh.load(root)).signOut()
    expect((await freshSite.load(child)).userId).toBeUndefined()
  })

  test('what changed, was used or was ended since is brought over', async () => {
    const move = await freshMove(from, to)
    const old = sessionsAt(move.from)
    const tokens = await Promise.all(
      ['one', 'two', 'three'].map((name) => storedSession(old, { name }, name)),
    )
    await copy(move)

    const changed = await old.load(tokens[0]!)
    bag(changed)['name'] = 'changed'
    await changed.commit()
    const used = await old.load(tokens[1]!)
    used.session!.touch()
    await used.commit()
    await endSession(old, tokens[2]!)
    const born = await storedSession(old, { name: 'four' })

    const { stdout } = await copy(move)
    const counts = ['copied', 'changed', 'touched', 'ended'].map(
      (name) => new RegExp(`^${name} +(\\d+)`, 'm').exec(stdout)![1],
    )
    expect(counts).toEqual(['1', '1', '1', '1'])
    expect(await recordsAt(move.to)).toEqual(await recordsAt(move.from))
    const fresh = sessionsAt(move.to)
    expect((await readData(fresh, tokens[0]!))['name']).toBe('changed')
    expect((await readData(fresh, born))['name']).toBe('four')
    expect((await fresh.load(tokens[2]!)).userId).toBeUndefined()
  })
})

async function endSession(sessions: Sessions, token: string): Promise<void> {
  const work = await sessions.load(token)
  await work.session!.destroy()
  await work.commit()
}

describe('while apps use both stores', () => {
  test('what an app on the new store changes or ends stays so', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const [changed, ended] = [
      await storedSession(old, { at: 'old' }, 'ada'),
      await storedSession(old, {}, 'bob'),
    ]
    await copy(move)
    const work = await fresh.load(changed)
    bag(work)['at'] = 'new'
    await work.commit()
    await endSession(fresh, ended)
    const created = await storedSession(fresh, { at: 'new' }, 'carol')
    for (const token of [changed, ended]) {
      const late = await old.load(token)
      bag(late)['at'] = 'old again'
      await late.commit()
    }
    const { stdout } = await copy(move)
    expect(stdout).toMatch(/^kept +1 /m)
    expect((await readData(fresh, changed))['at']).toBe('new')
    expect((await fresh.load(ended)).userId).toBeUndefined()
    expect((await fresh.load(created)).userId).toBe('carol')
    await copy(move)
    expect((await fresh.load(created)).userId).toBe('carol')
  })

  test('a session that was used on the new store ends with its end on the old one', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const token = await storedSession(old, {}, 'ada')
    await copy(move)
    const work = await fresh.load(token)
    bag(work)['at'] = 'new'
    await work.commit()
    await endSession(old, token)
    expect((await copy(move)).stdout).toMatch(/^ended +1 /m)
    expect((await fresh.load(token)).userId).toBeUndefined()
  })

  test('a sign-in on the new store after that end is not lost, and the copy says so', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const token = await storedSession(old, {}, 'ada')
    await copy(move)
    await endSession(old, token)
    await setTimeout(5)
    const work = await fresh.load(token)
    await bag(work).signIn('ada')
    const signedIn = await committedToken(work)
    expect(idOf(signedIn)).toBe(idOf(token))
    const { stdout } = await copy(move)
    expect(stdout).toContain('1 sessions that were ended in the store of --from stay in the other')
    expect((await fresh.load(signedIn)).userId).toBe('ada')
  })

  test('a sign-in on the old store from before a revocation on the new one does not come over', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const visitor = await storedSession(old, { cart: ['tea'] })
    await copy(move)
    const stolen = await storedSession(old, {}, 'ada')
    const work = await old.load(visitor)
    await bag(work).signIn('ada')
    const signedIn = await committedToken(work)
    await setTimeout(5)
    await fresh.user('ada').revokeAll()
    await setTimeout(5)
    const later = await storedSession(old, {}, 'ada')
    const other = await storedSession(old, {}, 'bob')
    const { stdout } = await copy(move)
    expect(stdout).toContain('2 sessions were not brought over: all sessions of their users were revoked')
    for (const token of [stolen, signedIn]) expect((await fresh.load(token)).userId).toBeUndefined()
    expect((await fresh.load(later)).userId).toBe('ada')
    expect((await fresh.load(other)).userId).toBe('bob')
    await copy(move)
    expect((await fresh.load(stolen)).userId).toBeUndefined()
  })

  test('a revocation on the old store spares what it spared there', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    await storedSession(old, {}, 'bob')
    await copy(move)
    const work = old.begin()
    await bag(work).signIn('ada')
    const token = await committedToken(work)
    const again = await old.load(token)
    await old.user('ada').revokeAll({ except: again.session! })
    await again.commit()
    await copy(move)
    expect((await fresh.load(await committedToken(again))).userId).toBe('ada')
  })

  test('with --follow, killed by SIGKILL again and again, nothing is lost and nothing comes back', async () => {
    const move = await freshMove('SQLite', 'MariaDB')
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const tokens: string[] = []
    const users = new Map<string, string>()
    const signIn = async () => {
      const user = randomBytes(6).toString('hex')
      const token = await storedSession(old, { changes: 0 }, user)
      tokens.push(token)
      users.set(token, user)
    }
    for (let count = 0; count < 300; count++) await signIn()
    await copy(move, '--batch', '50')

    // Every browser uses one store: that of the app that it visits.
    const changes = new Map<string, number>()
    const ended = new Set<string>()
    const stop = new AbortController()
    const browse = async (index: number) => {
      for (let visit = 0; !stop.signal.aborted; visit++) {
        const place = tokens[index]!
        const sessions = index % 2 === 0 ? old : fresh
        if (visit === 12 && index % 3 === 0) {
          await endSession(sessions, place)
          ended.add(place)
          return
        }
        const work = await sessions.load(place)
        expect(work.userId).toBe(users.get(place))
        bag(work)['changes'] = visit + 1
        await work.commit()
        changes.set(place, visit + 1)
        if (index % 2 === 0 && visit % 5 === 0) await signIn()
        await setTimeout(200 + Math.random() * 100)
      }
    }
    const browsing = Promise.all(Array.from({ length: 24 }, (_, index) => browse(index)))
    for (let run = 0; run < 8; run++) {
      const { child, ended: end } = startTransfer(move, '--follow', '--every', '0.1', '--batch', '5')
      await setTimeout(500 + Math.random() * 500)
      child.kill('SIGKILL')
      expect((await end).signal, (await end).stderr).toBe('SIGKILL')
    }
    stop.abort()
    await browsing
    await copy(move)
    const { stdout } = await copy(move)
    expect(stdout).toMatch(/^copied +0$/m)
    const found: Record<string, unknown> = {}
    for (const token of tokens) {
      const work = await fresh.load(token)
      found[token] = work.userId === undefined ? 'ended' : [work.userId, bag(work)['changes']]
    }
    expect(found).toEqual(
      Object.fromEntries(
        tokens.map((token) => [
          token,
          ended.has(token) ? 'ended' : [users.get(token), changes.get(token) ?? 0],
        ]),
      ),
    )
    expect((await recordsAt(move.to)).size).toBe(tokens.length - ended.size)
  })

  test('the way back takes what has happened meanwhile along, by the same ledger', async () => {
    const move = await freshMove()
    const back = { ...move, from: move.to, to: move.from }
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const [stays, changed, ended] = await Promise.all(
      ['a', 'b', 'c'].map((name) => storedSession(old, { name }, name)),
    )
    await copy(move)
    // More often than a record keeps marks.
    for (let count = 0; count < 6; count++) {
      const work = await fresh.load(changed!)
      bag(work)['count'] = count
      await work.commit()
    }
    await endSession(fresh, ended!)
    const created = await storedSession(fresh, {}, 'd')
    await copy(back)
    expect((await old.load(stays!)).userId).toBe('a')
    expect((await readData(old, changed!))['count']).toBe(5)
    expect((await old.load(ended!)).userId).toBeUndefined()
    expect((await old.load(created)).userId).toBe('d')
    expect((await copy(move)).stdout).toMatch(/^copied +0$/m)
  })
})

describe('the command', () => {
  test('goes on after a kill where it was', async () => {
    const move = await freshMove('MariaDB', 'PostgreSQL')
    const store = storeAt(move.from)
    const inserts = Array.from({ length: 8_000 }, () => insertOf({ userId: randomBytes(6).toString('hex') }))
    for (let start = 0; start < inserts.length; start += 500)
      await store.write(inserts.slice(start, start + 500))
    const count = async () => (await recordsAt(move.to).catch(() => new Map<SessionId, WholeRecord>())).size
    for (const atLeast of [500, 3_000]) {
      const { child, ended } = startTransfer(move, '--batch', '100')
      await expect.poll(count, { interval: 20 }).toBeGreaterThanOrEqual(atLeast)
      child.kill('SIGKILL')
      expect((await ended).signal).toBe('SIGKILL')
    }
    const { stdout } = await copy(move)
    expect(Number(/^copied +([\d,]+)$/m.exec(stdout)![1]!.replace(',', ''))).toBeLessThanOrEqual(5_000)
    expect(await recordsAt(move.to)).toEqual(await recordsAt(move.from))
  })

  test('with --follow, goes on until it is told to stop', async () => {
    const move = await freshMove()
    const old = sessionsAt(move.from)
    await storedSession(old, { name: 'one' })
    const { child, ended } = startTransfer(move, '--follow', '--every', '0.2')
    const size = async () => (await recordsAt(move.to).catch(() => new Map())).size
    await expect.poll(size).toBe(1)
    await storedSession(old, { name: 'two' })
    await expect.poll(size).toBe(2)
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^copied +2$/m) as string })
  })

  test('lets no two copies use one ledger', async () => {
    const move = await freshMove()
    await storedSession(sessionsAt(move.from), { name: 'one' })
    const { child, ended } = startTransfer(move, '--follow', '--every', '60')
    await expect.poll(async () => (await recordsAt(move.to).catch(() => new Map())).size).toBe(1)
    for (const parameters of [[], ['--forget']]) {
      expect(await startTransfer(move, ...parameters).ended).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^Another copy with the ledger .* is running\. Let it finish/,
        ) as string,
      })
    }
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
  })

  test('--forget drops the ledger, and where there is none it says so', async () => {
    const move = await freshMove()
    await copy(move)
    const [ledger] = await readdir(move.folder)
    expect(ledger).toMatch(/^coatcheck-copy-[\da-f]{8}\.db$/)
    expect((await copy(move, '--forget')).stdout).toBe(`Dropped ${ledger}.\n`)
    expect(await readdir(move.folder)).toEqual([])
    expect(await startTransfer(move, '--forget').ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no ledger') as string,
    })
  })

  test('a ledger of other stores is refused', async () => {
    const [one, other] = [await freshMove(), await freshMove('SQLite', 'SQLite')]
    await copy(one, '--ledger', join(one.folder, 'ledger'))
    const { code, stderr } = await startTransfer(other, '--ledger', join(one.folder, 'ledger')).ended
    expect(code).toBe(1)
    expect(stderr).toMatch(/is that of a copy between .* and .*\. Name another by --ledger/)
    expect(stderr).not.toMatch(/password|root|postgres:postgres/)
  })

  test('a store that has sessions already is refused at first, unless they are to stay', async () => {
    const move = await freshMove()
    const [old, fresh] = [sessionsAt(move.from), sessionsAt(move.to)]
    const [copied, stays] = [await storedSession(old, {}, 'ada'), await storedSession(fresh, {}, 'bob')]
    const { code, stderr } = await startTransfer(move).ended
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('run the command with --add') as string,
    })
    await copy(move, '--add')
    expect((await fresh.load(copied)).userId).toBe('ada')
    expect((await fresh.load(stays)).userId).toBe('bob')
  })

  test('a store that was emptied since is refused', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    await storedSession(sessionsAt(move.from), {}, 'ada')
    await copy(move)
    await storeAt(move.to).removeByUser('ada')
    expect(await startTransfer(move).ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is empty although 1 live sessions were copied into it') as string,
    })
  })

  test('most sessions are not ended without a question', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    const store = storeAt(move.from)
    const one = insertOf({ userId: 'ada' })
    await store.write([one, ...Array.from({ length: 150 }, () => insertOf({ userId: 'bob' }))])
    await copy(move)
    await store.removeByUser('bob')
    const refused = await startTransfer(move).ended
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('150 of 151 copied sessions are gone') as string,
    })
    expect((await recordsAt(move.to)).size).toBe(151)
    expect((await copy(move, '--end-all')).stdout).toMatch(/^ended +150 /m)
    expect([...(await recordsAt(move.to)).keys()]).toEqual([one.id])
  })

  test('one store by two names is refused', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    const link = join(await freshFolder(), 'link')
    await symlink(move.folder, link)
    const url = `sqlite:${join(move.folder, 'sessions.db')}`
    await storeAt(url).find([createId()])
    expect(
      await startTransfer({ ...move, from: url, to: `sqlite:${join(link, 'sessions.db')}` }).ended,
    ).toMatchObject({ code: 2 })
    const [database] = databases()
    const there = await freshDatabase(database!.server)
    await storeAt(there).find([createId()])
    const alias = there.replace('127.0.0.1', 'localhost')
    expect(alias).not.toBe(there)
    expect(await startTransfer({ ...move, from: there, to: alias }).ended).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('name the same store by two names') as string,
    })
  })

  test('what is missing or away is named, without a password', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    const secretURL = 'postgres://root:hush@127.0.0.1:1/shop'
    const file = join(move.folder, 'none.db')
    const cases: [Move, RegExp][] = [
      [{ ...move, from: `sqlite:${file}` }, /^There is no SQLite file .*none\.db\. Check --from\./],
      [{ ...move, to: secretURL }, /^At --to: .*Check that the database is up.*run the command again/],
      [{ ...move, from: secretURL }, /^At --from: /],
      [
        { ...move, from: await freshPostgreSQL() },
        /^There are no sessions at --from: it has no such table\./,
      ],
      [{ ...move, from: 'memory:' }, /^--from names a store whose sessions cannot be copied/],
    ]
    for (const [each, message] of cases) {
      const { code, stdout, stderr } = await startTransfer(each).ended
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) as string })
      expect(stdout + stderr).not.toMatch(/hush|127\.0\.0\.1|root/)
    }
    expect(existsSync(file)).toBe(false)
    const unwritable = await startTransfer(move, '--ledger', '/no/such/folder/ledger').ended
    expect(unwritable).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be used') as string })
  })

  test('tables of other names are named', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    const store = openStore(move.from, { table: 'shop_sessions' })
    onTestFinished(() => store.close())
    const insert = insertOf()
    await store.write([insert])
    await copy(move, '--from-table', 'shop_sessions', '--to-table', 'blog_sessions')
    const other = openStore(move.to, { table: 'blog_sessions' })
    onTestFinished(() => other.close())
    expect(await other.find([insert.id])).toMatchObject([{ id: insert.id }])
  })

  test('a session that the database refuses is left out, and the others are not', async () => {
    const move = await freshMove('SQLite', 'MariaDB')
    const [large, small] = [insertOf({ data: Buffer.alloc(2 ** 24 + 1, 32) }), insertOf()]
    await storeAt(move.from).write([large, small])
    const { stdout } = await copy(move)
    expect(stdout).toContain('1 sessions were left out')
    expect([...(await recordsAt(move.to)).keys()]).toEqual([small.id])
  })

  test('notes are kept on both sides', async () => {
    const move = await freshMove('SQLite', 'SQLite')
    const store = storeAt(move.from)
    const note = noteOf({ store } as never, { data: Buffer.from('{}') })
    await store.write([note])
    await copy(move)
    expect((await recordsAt(move.to)).get(note.id)).toMatchObject({ hash: undefined })
    await store.write([{ type: 'remove', id: note.id, userId: undefined }])
    await copy(move)
    expect((await recordsAt(move.to)).size).toBe(1)
  })
})
