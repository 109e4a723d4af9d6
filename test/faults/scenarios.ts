import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { descendantsOf } from '../servers/process-table.ts'
import { appScenarios } from './app-scenarios.ts'
import type { FaultyDatabase } from './databases/faulty-database.ts'
import type { Runs, Scenario } from './play.ts'
import { asOwner, freeze, type Stage, thaw } from './stage.ts'
import type { Crowd } from './visitors.ts'

/** Those that are noticed by silence only take a second or two each. */
const slow: Runs = { short: 2, long: 10 }
const quick: Runs = { short: 8, long: 40 }
const roundsOfBits = 5

const scenarios: readonly Scenario[] = [
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
    fault: "one of the database's processes killed (SIGKILL), as for want of memory",
    only: 'PostgreSQL',
    runs: slow,
    async happen({ database }, crowd) {
      // Whichever it is, the server ends all connections then, and recovers.
      process.kill(descendantsOf(database.pid!).at(-1)!, 'SIGKILL')
      await crowd.failsMore()
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
    async happen({ kind, proxy }, _crowd, round) {
      const changed = kind.onNetwork('"canary"')
      await proxy.cutAround(changed, round % 2 === 0 ? 'before the reply' : 'before the request')
    },
  },
  {
    fault: 'database hangs (SIGSTOP)',
    runs: slow,
    async happen({ database, urls }, crowd) {
      freeze(database)
      try {
        await crowd.failsMore(5)
        // Whoever needs no database is served while others wait for it.
        for (const url of urls) assert.equal((await fetch(`${url}/pulse`)).status, 200)
      } finally {
        thaw(database)
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
      await asOwner(owner, async (connection) => {
        assert.ok((await connection.connectionsOfApps()) <= 2)
      })
    },
  },
  {
    fault: 'deadlock with a client that locks in the opposite order',
    runs: quick,
    async happen({ owner }) {
      await asOwner(owner, (connection) => connection.deadlock())
    },
  },
  {
    fault: 'sessions locked by a transaction that stays open',
    runs: slow,
    async happen({ owner }, crowd) {
      await asOwner(owner, async (connection) => {
        await connection.lock()
        await crowd.failsMore()
        await connection.unlock()
      })
    },
  },
  {
    fault: 'database read-only',
    runs: slow,
    async happen({ owner }, crowd) {
      const [reader] = await crowd.signedIn(1)
      await asOwner(owner, async (connection) => {
        await connection.setReadOnly(true)
        try {
          await crowd.failsMore(5)
          assert.equal((await crowd.read(reader!))?.status, 200)
        } finally {
          await connection.setReadOnly(false)
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

export function scenariosOn({ name }: FaultyDatabase): Scenario[] {
  return scenarios.filter(({ only = name }) => only === name)
}

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
    const { id, held } = await connection.read(visitor!.user, column)
    for (const bytes of spoiled(held)) {
      await connection.store(id, column, bytes)
      const { status } = await visitor!.browser.clone().get(url!, '/data')
      assert(expected.includes(status), `${status} for ${bytes.toString('latin1')}`)
    }
    await connection.store(id, column, held)
  })
  assert.equal(await told(url!, 'ERR_SESSION_CORRUPT'), corruptBefore + 1)
}

/** How often an app was told of a fault of that kind. */
async function told(url: string, code: string): Promise<number> {
  const faults = (await (await fetch(`${url}/pulse`)).json()) as Record<string, number>
  return faults[code] ?? 0
}
