import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { clockOffBy } from '../servers/faketime.ts'
import { makeNextVersion } from './next-version.ts'
import { setStage, type Stage, type StageOptions } from './stage.ts'
import { Crowd, type Tally } from './visitors.ts'

interface Runs {
  readonly short: number
  readonly long: number
}

/** A fault, and how it is brought about. */
export interface Scenario {
  readonly fault: string
  /** How often it happens within `npm test`, and in `npm run test:faults`. */
  readonly runs: Runs
  /** Where it needs another stage than the one for all. */
  readonly stage?: StageOptions
  /** Brings the fault about once, under load, waits until it was felt, and ends it. That all works again is seen to elsewhere. */
  happen(stage: Stage, crowd: Crowd, round: number): Promise<void>
}

export interface Outcome extends Tally {
  readonly fault: string
  readonly runs: number
  /** The first answers that were not as they should be. */
  readonly strange: readonly string[]
}

/** Goes through a fault so many times under load, waits after each until all works again, and reads everything back. */
export async function play(
  stage: Stage,
  { fault, runs: times, happen }: Scenario,
  form: keyof Runs,
): Promise<Outcome> {
  const runs = times[form]
  const crowd = new Crowd(stage.urls, stage.stored)
  crowd.start(8)
  try {
    await crowd.acknowledgesMore(50)
    for (let round = 0; round < runs; round++) {
      await happen(stage, crowd, round)
      await crowd.acknowledgesMore(50)
    }
    const tally = await crowd.settle()
    await Promise.all(stage.urls.map((url) => works(stage, url)))
    return { fault, runs, strange: crowd.strange, ...tally }
  } finally {
    stage.proxy.pass()
    await crowd.end()
  }
}

/** Waits until this app by itself writes again. */
async function works({ stored }: Stage, url: string): Promise<void> {
  const crowd = new Crowd([url], stored)
  crowd.start(1)
  await crowd.acknowledgesMore(1)
  await crowd.end()
}

/** Plays one that needs a stage of its own. */
export async function playAlone(scenario: Scenario, form: keyof Runs): Promise<Outcome> {
  const stage = await setStage(scenario.stage)
  try {
    return await play(stage, scenario, form)
  } finally {
    await stage.end()
  }
}

/** Those that are noticed by silence only take a second or two each. */
const slow: Runs = { short: 2, long: 10 }
const quick: Runs = { short: 8, long: 40 }

export const scenarios: readonly Scenario[] = [
  {
    fault: 'database killed (SIGKILL) and started again',
    runs: { short: 2, long: 50 },
    async happen({ database }, crowd) {
      await database.crash()
      await crowd.failsMore()
      await database.restart()
    },
  },
  {
    fault: 'network swallows everything, then delivers it late or never',
    runs: slow,
    async happen({ proxy }, crowd, round) {
      proxy.blackhole()
      await crowd.failsMore(5)
      if (round % 2 === 0) proxy.loseServerEnd()
      proxy.pass()
    },
  },
  {
    fault: "connections half open: the server's end is gone",
    runs: slow,
    async happen({ proxy }) {
      proxy.loseServerEnd()
    },
  },
  {
    fault: 'connections reset',
    runs: quick,
    async happen({ proxy }) {
      proxy.reset()
    },
  },
  {
    fault: 'connection cut in the middle of a packet',
    runs: quick,
    async happen({ proxy }, _crowd, round) {
      await proxy.cutAfter(randomInt(1, 2_000), round % 2 === 0 ? 'client' : 'server')
    },
  },
  {
    fault: 'connection cut just before a change, or before the reply to it',
    runs: quick,
    async happen({ proxy }, _crowd, round) {
      await proxy.cutAround('"canary"', round % 2 === 0 ? 'before the reply' : 'before the request')
    },
  },
  {
    fault: 'database hangs (SIGSTOP)',
    runs: slow,
    async happen({ database, urls }, crowd) {
      process.kill(database.pid!, 'SIGSTOP')
      try {
        await crowd.failsMore(5)
        // Whoever needs no database is served while others wait for it.
        for (const url of urls) assert.equal((await fetch(`${url}/pulse`)).status, 200)
      } finally {
        process.kill(database.pid!, 'SIGCONT')
      }
    },
  },
  {
    fault: 'network slow (20 ms each way)',
    runs: slow,
    async happen({ proxy }, crowd) {
      proxy.delay(20)
      await crowd.acknowledgesMore(50)
      proxy.pass()
    },
  },
  {
    fault: '500 requests at once on a pool of 2 connections, with room for 100 to wait',
    runs: { short: 1, long: 5 },
    stage: { apps: 1, env: { POOL: '2', QUEUE: '100', STATEMENT_TIMEOUT: '10000', DEADLINE: '20000' } },
    async happen({ proxy, owner }, crowd) {
      const visitors = []
      for (let made = 0; made < 500; made += 50) visitors.push(...(await crowd.signedIn(50)))
      proxy.delay(100)
      const answers = await Promise.all(visitors.map((visitor) => crowd.write(visitor)))
      proxy.pass()
      // Each is stored, or was turned away because the queue was full.
      const codes = answers.map((answer) => (answer?.status === 200 ? 'done' : answer?.body['code']))
      assert.deepEqual(new Set(codes), new Set(['done', 'ERR_SESSION_STORE_BUSY']))
      assert.ok((await connectionsOfApps(owner)) <= 2)
    },
  },
  {
    fault: 'deadlock with a client that locks in the opposite order',
    runs: quick,
    async happen({ owner }) {
      await asOwner(owner, async (connection) => {
        await connection.query('CREATE TABLE IF NOT EXISTS weight (number INT) ENGINE=InnoDB')
        const before = await status(connection, 'Innodb_deadlocks')
        while ((await status(connection, 'Innodb_deadlocks')) === before) await lockBackwards(connection)
      })
    },
  },
  {
    fault: 'sessions locked by a transaction that goes on',
    runs: slow,
    async happen({ owner }, crowd) {
      await asOwner(owner, async (connection) => {
        await connection.beginTransaction()
        await connection.query('SELECT version FROM coatcheck_sessions FOR UPDATE')
        await crowd.failsMore()
        await connection.rollback()
      })
    },
  },
  {
    fault: 'database read only (1290)',
    runs: slow,
    async happen({ owner }, crowd) {
      const [reader] = await crowd.signedIn(1)
      await asOwner(owner, async (connection) => {
        await connection.query('SET GLOBAL read_only = 1')
        try {
          await crowd.failsMore(5)
          assert.equal((await crowd.read(reader!))?.status, 200)
        } finally {
          await connection.query('SET GLOBAL read_only = 0')
        }
      })
    },
  },
  {
    fault: 'stored data cut off at every byte',
    runs: { short: 1, long: 5 },
    happen: (stage, crowd) => corrupt(stage, crowd, 'data', cutAtEveryByte, [401]),
  },
  {
    // What is still JSON then cannot be told from what was stored.
    fault: 'each bit of stored data flipped',
    runs: { short: 1, long: 5 },
    happen: (stage, crowd) => corrupt(stage, crowd, 'data', withEachBitFlipped, [401, 200]),
  },
  {
    fault: 'each bit of encrypted data, and of whose it is, flipped',
    runs: { short: 1, long: 5 },
    stage: { env: { ENCRYPTION: randomBytes(32).toString('base64') } },
    async happen(stage, crowd) {
      await corrupt(stage, crowd, 'data', withEachBitFlipped, [401])
      await corrupt(stage, crowd, 'user_id', withEachBitFlipped, [401])
    },
  },
  {
    fault: 'session one byte larger than it may be',
    runs: slow,
    async happen(_stage, crowd) {
      const [visitor] = await crowd.signedIn(1)
      const { text } = (await crowd.read(visitor!))!
      const room = 65_536 - Buffer.byteLength(text) - ',"filler":""'.length
      const larger = await crowd.ask(visitor!, 'POST', `/filler/${room + 1}`)
      assert.equal(larger?.body['code'], 'ERR_SESSION_TOO_LARGE')
      assert.equal((await crowd.ask(visitor!, 'POST', `/filler/${room}`))?.status, 200)
    },
  },
  {
    fault: 'an app killed (SIGKILL) and started again',
    runs: { short: 3, long: 30 },
    async happen({ urls, restart }, crowd, round) {
      const url = urls[round % urls.length]!
      await crowd.without(url, () => restart(url, { signal: 'SIGKILL' }))
    },
  },
  {
    fault: 'an app stopped (SIGTERM) and started again',
    runs: { short: 3, long: 30 },
    async happen({ urls, restart }, crowd, round) {
      const url = urls[round % urls.length]!
      await crowd.without(url, () => restart(url))
    },
  },
  {
    fault:
      'two versions at once: the next one, whose table has a column more, comes app by app and goes again',
    runs: { short: 1, long: 5 },
    stage: {},
    async happen({ owner, restart, stored, urls }, crowd) {
      const next = await makeNextVersion()
      const [newer, older] = urls as [string, string]
      await crowd.without(newer, () => restart(newer, { program: next.program }))
      await crowd.acknowledgesMore(50)
      const there = new Crowd([newer], stored)
      const [visitor] = await there.signedIn(1)
      for (const path of ['/data/from/older', '/rotate']) await visitor!.browser.post(older, path)
      assert.equal((await visitor!.browser.get(newer, '/data')).body['from'], 'older')
      await asOwner(owner, async (connection) => {
        const [rows] = await connection.execute<RowDataPacket[]>(
          'SELECT made_by FROM coatcheck_sessions WHERE user_id = ?',
          [visitor!.user],
        )
        assert.deepEqual(
          rows.map((row) => String(row['made_by'])),
          ['next'],
        )
      })
      for (const url of urls.slice(1)) {
        await crowd.without(url, () => restart(url, { program: next.program }))
        await crowd.acknowledgesMore(20)
      }
      for (const url of urls) await crowd.without(url, () => restart(url))
      await next.remove()
    },
  },
  {
    fault: 'secret changed, app by app: both, both the other way around, the new one only',
    runs: { short: 1, long: 5 },
    stage: { env: { SECRETS: secretOf(0) } },
    async happen({ urls, restart }, crowd, round) {
      const [before, after] = [secretOf(round), secretOf(round + 1)]
      const restartAll = async (...secrets: readonly string[]): Promise<void> => {
        for (const url of urls) {
          await crowd.without(url, () => restart(url, { env: { SECRETS: secrets.join(',') } }))
          await crowd.acknowledgesMore(20)
        }
      }
      const [idle] = await crowd.signedIn(1)
      const old = idle!.browser.clone()
      await restartAll(before, after)
      await restartAll(after, before)
      assert.equal((await old.clone().get(urls[0]!, '/data')).status, 200)
      // Each that comes while both are good gets its token signed with the new one.
      await crowd.readAll()
      await restartAll(after)
      assert.equal((await old.get(urls[0]!, '/data')).status, 401)
    },
  },
  {
    fault: 'clocks of the apps off by ten minutes, and by a day, either way',
    runs: { short: 2, long: 10 },
    stage: {},
    async happen({ urls, restart }, crowd, round) {
      const offsets = round % 2 === 0 ? ['+10m', '-1d'] : ['-10m', '+1d']
      for (const [index, offset] of offsets.entries()) {
        const env = await clockOffBy(offset)
        assert(env, 'libfaketime is needed (Debian: apt-get install faketime)')
        await crowd.without(urls[index]!, () => restart(urls[index]!, { env }))
        await crowd.acknowledgesMore(50)
      }
    },
  },
]

function secretOf(year: number): string {
  return `the secret of every app of this test in year ${year}`
}

const run = promisify(execFile)

/**
 * The database on a disk that gets full.
 * @returns what came of it; a text if no small disk can be made here: why
 */
export async function playDiskFull(form: keyof Runs): Promise<Outcome | string> {
  const disk = await mkdtemp(join(tmpdir(), 'coatcheck-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', disk])
  } catch (error) {
    await rm(disk, { recursive: true })
    return `no small disk can be mounted here: ${String((error as { stderr?: string }).stderr).trim()}`
  }
  try {
    return await playAlone(diskFull(disk), form)
  } finally {
    await run('umount', [disk])
    await rm(disk, { recursive: true })
  }
}

const diskFull = (disk: string): Scenario => ({
  fault: 'disk full',
  runs: { short: 1, long: 5 },
  stage: { parent: disk },
  async happen({ owner }, crowd) {
    const [reader] = await crowd.signedIn(1)
    const growing = await crowd.signedIn(200)
    const file = join(disk, 'filler')
    await fill(file)
    // Until the table has to grow.
    const before = crowd.errors
    while (crowd.errors === before) await crowd.ask(growing.pop()!, 'POST', '/filler/60000')
    assert.equal((await crowd.read(reader!))?.status, 200)
    await rm(file)
    // As a statement that failed is undone, this server may need room, and where it gets none, spoil an index (1034): its administrator makes them anew.
    await asOwner(owner, async (connection) => {
      await connection.query('ALTER TABLE coatcheck_sessions FORCE')
    })
  },
})

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (;;) await file.write(Buffer.alloc(64 * 1024))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    await file.close()
  }
}

function* cutAtEveryByte(data: Buffer): Generator<Buffer> {
  for (let length = 0; length < data.length; length++) yield data.subarray(0, length)
}

function* withEachBitFlipped(data: Buffer): Generator<Buffer> {
  for (let bit = 0; bit < data.length * 8; bit++) {
    const flipped = Buffer.from(data)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    yield flipped
  }
}

/** Spoils what is stored of a session in every way, asks for it each time, and puts it right again. There is one line about it. */
async function corrupt(
  { owner, urls }: Stage,
  crowd: Crowd,
  column: 'data' | 'user_id',
  spoiled: (stored: Buffer) => Iterable<Buffer>,
  expected: readonly number[],
): Promise<void> {
  const [visitor] = await crowd.signedIn(1)
  const [url] = urls
  const corruptBefore = await told(url!, 'ERR_SESSION_CORRUPT')
  await asOwner(owner, async (connection) => {
    const [rows] = await connection.execute<RowDataPacket[]>(
      `SELECT session_key, ${column} AS stored FROM coatcheck_sessions WHERE user_id = ?`,
      [visitor!.user],
    )
    const { session_key, stored } = rows[0] as { session_key: Buffer; stored: Buffer }
    const store = (bytes: Buffer) =>
      connection.execute(`UPDATE coatcheck_sessions SET ${column} = ? WHERE session_key = ?`, [
        bytes,
        session_key,
      ])
    for (const bytes of spoiled(stored)) {
      await store(bytes)
      const { status } = await visitor!.browser.clone().get(url!, '/data')
      assert(expected.includes(status), `${status} for ${bytes.toString('latin1')}`)
    }
    await store(stored)
  })
  assert.equal(await told(url!, 'ERR_SESSION_CORRUPT'), corruptBefore + 1)
}

async function asOwner(
  owner: Stage['owner'],
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connection = await owner()
  try {
    await work(connection)
  } finally {
    await connection.end()
  }
}

async function status(connection: Connection, name: string): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE '${name}'`)
  return Number(rows[0]!['Value'])
}

/** Locks the sessions in use, the last first, while the store locks the first first. */
async function lockBackwards(connection: Connection): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT session_key FROM coatcheck_sessions ORDER BY seen_at DESC LIMIT 8',
  )
  const keys = rows.map((row) => row['session_key'] as Buffer).toSorted((one, other) => other.compare(one))
  await connection.beginTransaction()
  try {
    // Of two that wait for each other, the server undoes the one that has changed less.
    await connection.query('INSERT INTO weight SELECT seq FROM seq_1_to_100')
    for (const key of keys) {
      await connection.execute('SELECT version FROM coatcheck_sessions WHERE session_key = ? FOR UPDATE', [
        key,
      ])
    }
  } catch (error) {
    assert.equal((error as { errno?: number }).errno, 1213)
  }
  await connection.rollback()
}

async function connectionsOfApps(owner: Stage['owner']): Promise<number> {
  let count = 0
  await asOwner(owner, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SELECT id FROM information_schema.processlist WHERE user = 'app'",
    )
    count = rows.length
  })
  return count
}

/** How often an app was told of a fault of that kind. */
async function told(url: string, code: string): Promise<number> {
  const faults = (await (await fetch(`${url}/pulse`)).json()) as Record<string, number>
  return faults[code] ?? 0
}
