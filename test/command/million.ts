// Copies a table of 1,000,000 live sessions under load, kills the copy twice, and counts what came of it. Not part of
// `npm test`: it takes minutes. `ROWS=50000 npm run test:long -- copy` tries it on fewer.
import { setTimeout } from 'node:timers/promises'
import { sign } from 'cookie-signature'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { type App, startApp } from '../servers/apps.ts'
import { startMariaDB } from '../servers/mariadb.ts'
import { differences, startCopy } from './run-copy.ts'

const rows = Number(process.env['ROWS'] ?? 1_000_000)
const clients = 8
const sampled = 1_000
const longest = 45 * 60_000 // ms, for all of it

const began = performance.now()
const say = (text: string) =>
  console.log(`${((performance.now() - began) / 1_000).toFixed(0).padStart(5)} s  ${text}`)

// Should anything hang, that must not be for long.
const watchdog = globalThis.setTimeout(() => {
  console.error('It took too long.')
  process.exit(1)
}, longest)

process.once('SIGTERM', () => process.exit(1))
process.once('SIGINT', () => process.exit(1))

const server = await startMariaDB()
const connection = await createConnection({ uri: server.url, multipleStatements: false })
await connection.query('CREATE DATABASE million')
await connection.query('USE million')
const url = `${server.url}/million`
const env = { DATABASE_URL: url, NO_DEPRECATION: 'express-session' }
const oldApp = await startApp('test/drop-in/one-table-app.ts', {
  ...env,
  MODULES: 'express-session express-mysql-session',
})
try {
  process.exitCode = (await run()) ? 0 : 1
} finally {
  clearTimeout(watchdog)
  await oldApp.stop()
  await connection.end()
  await server.stop()
}

async function run(): Promise<boolean> {
  await connection.query(
    `INSERT INTO sessions SELECT LEFT(SHA2(CONCAT('an id ', seq), 256), 32), UNIX_TIMESTAMP() + 3600 + seq % 3600,
      CONCAT('{"cookie":{"originalMaxAge":3600000,"expires":"2100-01-01T00:00:00.000Z","httpOnly":true,"path":"/"},',
        '"user":"user-', seq, '","changes":{"number":"', seq * 7919 % 1000003, '"}}') FROM seq_1_to_${rows}`,
  )
  say(`${rows.toLocaleString('en')} live sessions lie in the old table`)
  const load = startLoad(oldApp)
  for (const part of [1 / 3, 2 / 3]) {
    const copy = startCopy(url, '--from', 'sessions', '--user', 'user')
    const from = performance.now()
    const before = await copied()
    while ((await copied()) < rows * part) {
      if (copy.child.exitCode !== null) throw new Error(`It ended by itself: ${(await copy.ended).stderr}`)
      await setTimeout(100)
    }
    copy.child.kill('SIGKILL')
    await copy.ended
    const now = await copied()
    const rate = ((now - before) / (performance.now() - from)) * 1_000
    say(
      `killed by SIGKILL at ${now.toLocaleString('en')} rows; ${Math.round(rate).toLocaleString('en')} rows a second`,
    )
  }
  const last = startCopy(url, '--from', 'sessions', '--user', 'user')
  const { code, stdout, stderr } = await last.ended
  say(`the third run went through, exit code ${code}:\n${stdout}${code === 0 ? '' : stderr}`)
  const operations = await load.stop()
  say(`meanwhile, ${operations.toLocaleString('en')} sign-ins, changes and sign-outs on the old table`)

  // What was done since the last pass over it.
  const after = await startCopy(url, '--from', 'sessions', '--user', 'user').ended
  say(`a last run, with the load over:\n${after.stdout}`)
  const [[counts]] = await connection.query<RowDataPacket[]>(differences)
  say(
    `lost ${counts!['lost']}, with other data ${counts!['other']}, not in the old table ${counts!['surplus']}, doubled ${counts!['doubled']}`,
  )
  const step = Math.max(1, Math.floor(load.cookies.length / sampled))
  const visitors = load.cookies.filter((_, index) => index % step === 0)
  const different = await compareSample(visitors)
  say(
    `of the cookies of ${sampled} old sessions and ${visitors.length} visitors of the load, ${different} are answered otherwise by an app on the new table`,
  )
  const [[total]] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS live FROM coatcheck_sessions')
  say(`${Number(total!['live']).toLocaleString('en')} sessions are in the new table`)
  return (
    code === 0 &&
    after.code === 0 &&
    different === 0 &&
    Object.values(counts!).every((count) => Number(count) === 0)
  )
}

async function copied(): Promise<number> {
  try {
    const [[row]] = await connection.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS rows_there FROM coatcheck_sessions',
    )
    return Number(row!['rows_there'])
  } catch {
    return 0 // The command has not made the table yet.
  }
}

/** Browsers of users who sign in, change something a few times, and of whom every third signs out. */
function startLoad(app: App) {
  const cookies: string[] = []
  let [operations, over] = [0, false]
  const post = async (path: string, cookie: string) => {
    operations++
    const response = await fetch(`${app.url}/${path}`, { method: 'POST', headers: { cookie } })
    if (!response.ok) throw new Error(`${path} was answered ${response.status}`)
    await response.text()
    return response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? cookie
  }
  const browse = async (client: number) => {
    for (let visit = 0; !over; visit++) {
      let cookie = await post(`sign-in/visitor-${client}-${visit}`, '')
      for (const key of ['one', 'two', 'three']) cookie = await post(`change/${key}/${visit}`, cookie)
      if (visit % 3 === 0) await post('sign-out', cookie)
      cookies.push(cookie)
      await setTimeout(100)
    }
  }
  const browsers = Promise.all(Array.from({ length: clients }, (_, client) => browse(client)))
  return {
    cookies,
    async stop() {
      over = true
      await browsers
      return operations
    },
  }
}

async function compareSample(loadCookies: readonly string[]): Promise<number> {
  const [ids] = await connection.query<RowDataPacket[]>(
    `SELECT LEFT(SHA2(CONCAT('an id ', 1 + FLOOR(seq * ${rows} / ${sampled + 1})), 256), 32) AS id FROM seq_1_to_${sampled}`,
  )
  const cookies = ids
    .map(
      (row) =>
        `connect.sid=${encodeURIComponent(`s:${sign(row['id'] as string, 'the secret of both apps')}`)}`,
    )
    .concat(loadCookies)
  const newApp = await startApp('test/command/new-table-app.ts', env)
  let different = 0
  let signedIn = 0
  for (const cookie of cookies) {
    const answers = await Promise.all(
      [oldApp, newApp].map(async (app) => (await fetch(`${app.url}/look`, { headers: { cookie } })).json()),
    )
    if (JSON.stringify(answers[0]) !== JSON.stringify(answers[1])) different++
    if ((answers[1] as { user: unknown }).user !== null) signedIn++
  }
  await newApp.stop()
  say(`${signedIn} of these are signed in, in both`)
  return signedIn < sampled ? different + sampled - signedIn : different
}
