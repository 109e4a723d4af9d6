import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import type { Connection, RowDataPacket } from 'mysql2/promise'
import { appScenarios } from './app-scenarios.ts'
import type { Runs, Scenario } from './play.ts'
import { asOwner, type Stage } from './stage.ts'
import type { Crowd } from './visitors.ts'

/** Those that are noticed by silence only take a second or two each. */
const slow: Runs = { short: 2, long: 10 }
const quick: Runs = { short: 8, long: 40 }
const roundsOfBits = 5

export const scenarios: readonly Scenario[] = [
  {
    fault: 'database killed (SIGKILL) and restarted',
    runs: { short: 2, long: 50 },
    async happen({ database }, crowd) {
      await database.crash()
      await crowd.failsMore()
      await database.restart()
    },
  },
  {
    fault: 'network stalls, then delivers the data late or never',
    runs: slow,
    async happen({ proxy }, crowd, round) {
      proxy.blackhole()
      await crowd.failsMore(5)
      if (round % 2 === 0) assert(proxy.loseServerEnd() > 0)
      proxy.pass()
    },
  },
  {
    fault: "connections half open: the server's end is gone",
    runs: slow,
    async happen({ proxy }) {
      assert(proxy.loseServerEnd() > 0)
    },
  },
  {
    fault: 'connections reset',
    runs: quick,
    async happen({ proxy }) {
      assert(proxy.reset() > 0)
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
    fault: 'connection cut just before a change is sent, or just before its reply',
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
    fault: '500 parallel requests on a pool of 2 connections and a queue of 100',
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
        const before = await deadlocks(connection)
        while ((await deadlocks(connection)) === before) await lockBackwards(connection)
      })
    },
  },
  {
    fault: 'sessions locked by a transaction that stays open',
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
    fault: 'database read-only (error 1290)',
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
    fault: 'stored data truncated at every byte',
    isOfApp: true,
    runs: { short: 1, long: 5 },
    happen: (stage, crowd) => corrupt(stage, crowd, 'data', cutAtEveryByte, [401]),
  },
  {
    // What is still JSON then cannot be told from what was stored.
    fault: 'each bit of stored data flipped',
    isOfApp: true,
    runs: { short: 1, long: roundsOfBits },
    happen: (stage, crowd, round) => corrupt(stage, crowd, 'data', bitsFlipped(round), [401, 200]),
  },
  {
    fault: 'each bit of encrypted data and of its user id flipped',
    isOfApp: true,
    runs: { short: 1, long: roundsOfBits },
    stage: { env: { ENCRYPTION: randomBytes(32).toString('base64') } },
    async happen(stage, crowd, round) {
      await corrupt(stage, crowd, 'data', bitsFlipped(round), [401])
      await corrupt(stage, crowd, 'user_id', bitsFlipped(round), [401])
    },
  },
  {
    fault: 'session one byte over the size limit',
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
  ...appScenarios,
]

function* cutAtEveryByte(data: Buffer): Generator<Buffer> {
  for (let length = 0; length < data.length; length++) yield data.subarray(0, length)
}

/** Each bit once in so many rounds. Every fifth bit is another one of each byte. */
function bitsFlipped(round: number) {
  return function* (data: Buffer): Generator<Buffer> {
    for (let bit = round % roundsOfBits; bit < data.length * 8; bit += roundsOfBits) {
      const flipped = Buffer.from(data)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      yield flipped
    }
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
      `SELECT id, ${column} AS held FROM coatcheck_sessions WHERE user_id = ?`,
      [visitor!.user],
    )
    const { id, held } = rows[0] as { id: Buffer; held: Buffer }
    const store = (bytes: Buffer) =>
      connection.execute(`UPDATE coatcheck_sessions SET ${column} = ? WHERE id = ?`, [bytes, id])
    for (const bytes of spoiled(held)) {
      await store(bytes)
      const { status } = await visitor!.browser.clone().get(url!, '/data')
      assert(expected.includes(status), `${status} for ${bytes.toString('latin1')}`)
    }
    await store(held)
  })
  assert.equal(await told(url!, 'ERR_SESSION_CORRUPT'), corruptBefore + 1)
}

/** How many the server has ended so far. */
async function deadlocks(connection: Connection): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT count AS ended FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'",
  )
  return Number(rows[0]!['ended'])
}

/** Locks the sessions in use, the last first, while the store locks the first first. */
async function lockBackwards(connection: Connection): Promise<void> {
  const [rows] = await connection.query<RowDataPacket[]>(
    'SELECT id FROM coatcheck_sessions ORDER BY seen_at DESC LIMIT 8',
  )
  const ids = rows.map((row) => row['id'] as Buffer).toSorted((one, other) => other.compare(one))
  await connection.beginTransaction()
  try {
    // Of two that wait for each other, the server undoes the one that has changed less.
    await connection.query('INSERT INTO weight VALUES ?', [
      Array.from({ length: 100 }, (_, number) => [number]),
    ])
    for (const id of ids) {
      await connection.execute('SELECT version FROM coatcheck_sessions WHERE id = ? FOR UPDATE', [id])
    }
  } catch (error) {
    assert.equal((error as { errno?: number }).errno, 1213)
  }
  await connection.rollback()
}

async function connectionsOfApps(owner: Stage['owner']): Promise<number> {
  let count = 0
  await asOwner(owner, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>('SHOW PROCESSLIST')
    count = rows.filter((row) => row['User'] === 'app').length
  })
  return count
}

/** How often an app was told of a fault of that kind. */
async function told(url: string, code: string): Promise<number> {
  const faults = (await (await fetch(`${url}/pulse`)).json()) as Record<string, number>
  return faults[code] ?? 0
}
