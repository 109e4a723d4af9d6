// Moves 1,000,000 live sessions from MariaDB to PostgreSQL and back, while apps use both, kills the copy twice each way, and
// counts what came of it. Not part of `npm test`: it takes long. `ROWS=10000 npm run test:long -- move` tries it on fewer.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { createSessions, type SessionId, type Sessions, type SessionStore } from 'coatcheck'
import { openStore } from 'coatcheck/open'
import { createConnection } from 'mysql2/promise'
import {
  type RecordTransfer,
  recordTransfer,
  type TransferableStore,
} from '../../dist/core/store/transfer.js'
import { createId, idOf } from '../../dist/core/token.js'
import { bag, secret, storedSession } from '../core/works.ts'
import { startMariaDB } from '../servers/mariadb.ts'
import { startPostgres } from '../servers/postgres.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { type Move, startTransfer } from './run-transfer.ts'

const rows = Number(process.env['ROWS'] ?? 1_000_000)
const clients = 8
const sampled = 1_000
const longest = 120 * 60_000 // ms, for all of it

const began = performance.now()
const say = (text: string) =>
  console.log(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${text}`)
const shown = (count: number) => Math.round(count).toLocaleString('en')

// Should anything hang, that must not be for long.
const watchdog = globalThis.setTimeout(() => {
  console.error('It took too long.')
  process.exit(1)
}, longest)

process.once('SIGTERM', () => process.exit(1))
process.once('SIGINT', () => process.exit(1))

/** A store with apps on it. */
interface Place {
  readonly url: string
  readonly records: RecordTransfer
  readonly sessions: Sessions
}

/** A browser, and what its session has to hold. `undefined`: it has signed out. */
interface Visitor {
  readonly token: string
  readonly user: string
  changes: number | undefined
}

const servers = [await startMariaDB(), await startPostgres({})] as const
const folder = await mkdtemp(join(tmpdir(), 'coatcheck-million-'))
const connection = await createConnection(servers[0].url)
await connection.query('CREATE DATABASE million')
await connection.query('USE million')
const [mysql, postgresql] = await Promise.all([
  placeAt(`${servers[0].url}/million`),
  freshPostgreSQL(servers[1].url).then(placeAt),
])
try {
  process.exitCode = (await run()) ? 0 : 1
} finally {
  clearTimeout(watchdog)
  await Promise.all([mysql.sessions.close(), postgresql.sessions.close(), connection.end()])
  for (const server of servers) await server.stop()
  await rm(folder, { recursive: true })
}

async function placeAt(url: string): Promise<Place> {
  const store = openStore(url) as SessionStore & TransferableStore
  await store.find([createId()]) // makes the table
  return { url, records: store[recordTransfer]()!, sessions: createSessions({ store, secret, sweep: false }) }
}

async function run(): Promise<boolean> {
  const time = 'TIMESTAMPDIFF(MICROSECOND, "1970-01-01", UTC_TIMESTAMP(3)) DIV 1000'
  await connection.query(
    `INSERT INTO coatcheck_sessions (id, secret_hash, user_id, authenticated_at, data, format, version, marks, created_at,
      seen_at, expires_at, sweep_at)
      SELECT UNHEX(LEFT(SHA2(CONCAT('coatcheck id of token ', seq), 256), 24)), UNHEX(SHA2(CONCAT('token ', seq), 256)),
      CONCAT('user ', seq), ${time} - 5000, CONCAT('{"changes":', seq, ',"more":"', REPEAT('x', 200), '"}'), 1, 1,
      UNHEX(LEFT(SHA2(CONCAT('mark ', seq), 256), 16)), ${time} - 5000, ${time}, ${time} + 86400000, ${time} + 86400000
      FROM seq_1_to_${rows}`,
  )
  say(`${shown(rows)} live sessions are in MariaDB`)
  const visitors: Visitor[] = []
  const there = await moveUnderLoad({ from: mysql, to: postgresql }, visitors)
  const back = await moveUnderLoad({ from: postgresql, to: mysql }, visitors)
  return there && back
}

/** Moves all sessions, while visitors come to apps on the old store, and then on both. */
async function moveUnderLoad(
  { from, to }: { from: Place; to: Place },
  visitors: Visitor[],
): Promise<boolean> {
  const move = { from: from.url, to: to.url, folder }
  const onOld = startLoad(from.sessions, visitors, { signsIn: true })
  const [before, size] = [await to.records.count(), await from.records.count()]
  for (const part of [1 / 3, 2 / 3])
    await killAt(move, to, before + (Math.max(size, before + 3) - before) * part)
  const third = await startTransfer(move).ended
  say(
    `the third run went through, exit code ${third.code}:\n${third.stdout}${third.code === 0 ? '' : third.stderr}`,
  )

  // Now the apps are deployed one by one: half of the visitors come to one on the new store.
  const copy = startTransfer(move, '--follow', '--every', '0.5')
  const moved = visitors.filter((_, index) => index % 2 === 0)
  onOld.leave(moved)
  await setTimeout(3_000)
  const onNew = startLoad(to.sessions, moved, { signsIn: false })
  await setTimeout(10_000)
  const operations = (await onOld.stop()) + (await onNew.stop())
  copy.child.kill('SIGTERM')
  const followed = await copy.ended
  say(
    `followed while apps used both, exit code ${followed.code}:\n${followed.stdout}${followed.stderr.slice(-500)}`,
  )
  const last = await startTransfer(move).ended
  say(`a last run, with the load over, exit code ${last.code}:\n${last.stdout}`)
  say(
    `meanwhile, ${shown(operations)} sign-ins, changes and sign-outs, by ${shown(visitors.length)} visitors`,
  )

  const wrong = await wrongVisitors(to.sessions, visitors)
  const sample = Array.from(
    { length: Math.min(sampled, rows) },
    (_, index) => 1 + Math.floor((index * rows) / sampled),
  )
  const old = sample.map((number) => ({ token: `token ${number}`, user: `user ${number}`, changes: number }))
  const wrongOld = await wrongVisitors(to.sessions, old)
  const differing = await compareAll(from.records, to.records, new Set(moved.map(({ token }) => idOf(token))))
  say(
    `of ${shown(visitors.length)} visitors ${wrong}, and of ${sample.length} old sessions ${wrongOld} are not as they were left`,
  )
  say(`in all records: ${JSON.stringify(differing)}`)
  return (
    [third, followed, last].every(({ code }) => code === 0) &&
    wrong + wrongOld === 0 &&
    differing.lost + differing.other === 0
  )
}

async function killAt(move: Move, to: Place, count: number): Promise<void> {
  const copy = startTransfer(move)
  const [from, before] = [performance.now(), await to.records.count()]
  while ((await to.records.count()) < count) {
    if (copy.child.exitCode !== null) break // There was next to nothing to copy, as on the way back.
    await setTimeout(rows > 100_000 ? 1_000 : 20)
  }
  copy.child.kill('SIGKILL')
  const { signal, stderr } = await copy.ended
  const now = await to.records.count()
  const rate = ((now - before) / (performance.now() - from)) * 1_000
  say(
    signal === 'SIGKILL'
      ? `killed by SIGKILL at ${shown(now)} records; ${shown(rate)} records a second`
      : `it ended before it was killed ${stderr}`,
  )
}

/** Browsers that change something now and then; every third visitor signs out at some time. */
function startLoad(sessions: Sessions, visitors: Visitor[], { signsIn }: { readonly signsIn: boolean }) {
  const mine = new Set(visitors)
  let [operations, over] = [0, false]
  const browse = async () => {
    while (!over) {
      if (signsIn && Math.random() < 0.2) {
        const user = `visitor ${visitors.length} ${Math.random()}`
        const visitor = { token: await storedSession(sessions, { changes: 0 }, user), user, changes: 0 }
        visitors.push(visitor)
        mine.add(visitor)
      } else {
        const all = [...mine]
        const visitor = all[Math.floor(Math.random() * all.length)]
        if (visitor?.changes !== undefined) {
          mine.delete(visitor) // One request of a browser at a time.
          await visit(sessions, visitor)
          mine.add(visitor)
        }
      }
      operations++
      await setTimeout(20)
    }
  }
  const browsing = Promise.all(Array.from({ length: clients }, browse))
  return {
    /** They do not come any more. */
    leave(those: readonly Visitor[]) {
      for (const visitor of those) mine.delete(visitor)
    },
    async stop() {
      over = true
      await browsing
      return operations
    },
  }
}

async function visit(sessions: Sessions, visitor: Visitor): Promise<void> {
  const work = await sessions.load(visitor.token)
  if (work.userId !== visitor.user) throw new Error(`${visitor.user} is signed in as ${work.userId}`)
  if (visitor.changes! > 2 && Math.random() < 0.1) {
    await work.session!.destroy()
    await work.commit()
    visitor.changes = undefined
    return
  }
  bag(work)['changes'] = visitor.changes! + 1
  await work.commit()
  visitor.changes!++
}

async function wrongVisitors(sessions: Sessions, visitors: readonly Visitor[]): Promise<number> {
  let wrong = 0
  for (const { token, user, changes } of visitors) {
    const work = await sessions.load(token)
    const isRight =
      changes === undefined
        ? work.userId === undefined
        : work.userId === user && bag(work)['changes'] === changes
    if (!isRight) wrong++
  }
  return wrong
}

/** Compares every record that only apps on the old store have used. */
async function compareAll(from: RecordTransfer, to: RecordTransfer, moved: ReadonlySet<SessionId>) {
  const counts = { compared: 0, lost: 0, other: 0, inNew: await to.count() }
  let after: string | undefined
  do {
    const { items, next } = await from.page(after, 1_000)
    const ids = items.map(({ id }) => id).filter((id) => !moved.has(id))
    const [before, now] = await Promise.all([from.read(ids), to.read(ids)])
    for (const [index, record] of before.entries()) {
      counts.compared++
      if (!now[index]) counts.lost++
      else if (text(record) !== text(now[index])) counts.other++
    }
    after = next
  } while (after !== undefined)
  return counts
}

function text(record: object | undefined): string {
  return JSON.stringify(record, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  )
}
