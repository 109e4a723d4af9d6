import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Connection, RowDataPacket } from 'mysql2/promise'
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
  const crowd = new Crowd(stage.urls)
  crowd.start(8)
  try {
    await crowd.acknowledgesMore(50)
    for (let round = 0; round < runs; round++) {
      await happen(stage, crowd, round)
      await crowd.acknowledgesMore(50)
    }
    const tally = await crowd.settle()
    await Promise.all(stage.urls.map(works))
    return { fault, runs, strange: crowd.strange, ...tally }
  } finally {
    stage.proxy.pass()
    await crowd.end()
  }
}

/** Waits until this app by itself writes again. */
async function works(url: string): Promise<void> {
  const crowd = new Crowd([url])
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
    async happen({ owner, urls }, crowd) {
      const [visitor] = await crowd.signedIn(1)
      const [url] = urls
      const corruptBefore = await told(url!, 'ERR_SESSION_CORRUPT')
      await asOwner(owner, async (connection) => {
        const [rows] = await connection.execute<RowDataPacket[]>(
          'SELECT session_key, data FROM coatcheck_sessions WHERE user_id = ?',
          [visitor!.user],
        )
        const { session_key, data } = rows[0] as { session_key: Buffer; data: Buffer }
        const store = (stored: Buffer) =>
          connection.execute('UPDATE coatcheck_sessions SET data = ? WHERE session_key = ?', [
            stored,
            session_key,
          ])
        for (let length = 0; length < data.length; length++) {
          await store(data.subarray(0, length))
          assert.equal((await visitor!.browser.clone().get(url!, '/data')).status, 401)
        }
        await store(data)
      })
      assert.equal(await told(url!, 'ERR_SESSION_CORRUPT'), corruptBefore + 1)
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
]

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
  async happen(_stage, crowd) {
    const [reader] = await crowd.signedIn(1)
    const file = join(disk, 'filler')
    await fill(file)
    // Until the table has to grow.
    const before = crowd.errors
    while (crowd.errors === before) {
      const [visitor] = await crowd.signedIn(1)
      await crowd.ask(visitor!, 'POST', '/filler/60000')
    }
    assert.equal((await crowd.read(reader!))?.status, 200)
    await rm(file)
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
