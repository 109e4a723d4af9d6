import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, symlinkSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ownFolder, ownProcess, removeFolder } from '../servers/owned.ts'
import { freePort, freePorts } from '../servers/ports.ts'
import { descendantsOf, isRunning } from '../servers/process-table.ts'
import { keptIn, startDemo, startInVain, type Ended } from './launcher.ts'

/** One line that begins so, and nothing else. */
const line = (start: RegExp): Ended => ({
  code: 1,
  output: expect.stringMatching(new RegExp(`^${start.source}[^\\n]*\\n$`)) as string,
})

describe('what stands in the way of the demo is one clear line and exit code 1', () => {
  test.for(['PORT_ACCOUNTS', 'PORT_SHOP', 'PORT_API', 'PORT_PARTNER'])(
    'a taken port (%s)',
    async (variable) => {
      const other = createServer().listen(0, '127.0.0.1')
      await once(other, 'listening')
      const port = String((other.address() as AddressInfo).port)
      try {
        const ended = await startInVain({ [variable]: port })
        expect(ended).toEqual(line(new RegExp(`Port ${port} is taken\\. .*${variable}\\.`)))
      } finally {
        other.close()
      }
    },
  )

  test('all taken ports at once, as by a second start', async () => {
    const demo = await startDemo()
    const taken = [demo.accounts, demo.shop, demo.api, demo.partner].map((url) => new URL(url).port)
    const variables = ['PORT_ACCOUNTS', 'PORT_SHOP', 'PORT_API', 'PORT_PARTNER']
    const env = Object.fromEntries(variables.map((name, index) => [name, taken[index]!]))
    const ended = await startInVain(env)
    const ports = `The ports ${taken.join(', ')} are taken`
    expect(ended).toEqual(line(new RegExp(`${ports}.*by ${variables.join(', ')}\\.`)))
    expect(await demo.stop()).toBe(0)
  })

  test('a port that is none', async () => {
    expect(await startInVain({ PORT_SHOP: 'shop' })).toEqual(line(/PORT_SHOP must be a port .* not "shop"/))
  })

  test.for(['mongodb://localhost/demo', 'localhost:3306', 'mysql://127.0.0.1'])(
    'a wrong URL (%s)',
    async (url) => {
      const ended = await startInVain({ DATABASE_URL: url })
      expect(ended).toEqual(line(/.*mysql:\/\/user:password@host:3306\/database/))
    },
  )

  test.for(['postgres://127.0.0.1', 'postgresql://'])('a wrong URL of PostgreSQL (%s)', async (url) => {
    const ended = await startInVain({ DATABASE_URL: url })
    expect(ended).toEqual(line(/.*postgres:\/\/user:password@host:5432\/database/))
  })

  test.for([
    ['mysql', 'demo'],
    ['postgres', 'demo'],
    ['redis', '0'],
    ['rediss', '0'],
  ])('a database that is down (%s)', async ([scheme, database]) => {
    const url = `${scheme}://someone:hidden@127.0.0.1:${await freePort()}/${database}`
    const ended = await startInVain({ DATABASE_URL: url })
    expect(ended).toEqual(line(/.*ECONNREFUSED.*Check that the database is up/))
    expect(ended.output).not.toContain('hidden')
  })

  test.for(['MariaDB', 'PostgreSQL', 'Redis'] as const)(
    'a database that does not let us in (%s)',
    async (database) => {
      const url = new URL((await keptIn(database)).DATABASE_URL!)
      url.password = 'mistaken'
      expect(await startInVain({ DATABASE_URL: url.href })).toEqual(line(/.*user or the password.*URL/))
    },
  )

  test('a secret that is too short', async () => {
    expect(await startInVain({ SESSION_SECRET: 'short' })).toEqual(line(/secret is too short/))
  })
})

describe('the four apps live and end together', () => {
  test.for([
    ['SIGINT', 'SQLite'],
    ['SIGTERM', 'SQLite'],
    ['SIGHUP', 'SQLite'],
    ['SIGINT', 'MariaDB'],
    ['SIGINT', 'PostgreSQL'],
    ['SIGINT', 'Redis'],
  ] as const)('%s ends all four, with exit code 0 (%s)', async ([signal, database]) => {
    const demo = await startDemo(await keptIn(database))
    const apps = descendantsOf(demo.launcher.pid!)
    expect(apps).toHaveLength(4)
    const closed = once(demo.launcher, 'close')
    demo.launcher.kill(signal)
    expect(await closed).toEqual([0, null])
    expect(apps.filter(isRunning)).toEqual([])
  })

  test('when one of them dies, the others end too, and it says so', async () => {
    const demo = await startDemo()
    const apps = descendantsOf(demo.launcher.pid!)
    const closed = once(demo.launcher, 'close')
    process.kill(apps[1]!, 'SIGKILL')
    expect(await closed).toEqual([1, null])
    expect(demo.output()).toMatch(/^The (accounts|shop|api|partner) app ended unexpectedly \(SIGKILL\)/m)
    expect(apps.filter(isRunning)).toEqual([])
  })

  test('when the launcher is killed, no app stays behind', async () => {
    const demo = await startDemo()
    const apps = descendantsOf(demo.launcher.pid!)
    // Closed means that nobody holds its output any more: not the launcher, not an app. An app that has
    // closed it may still be on the way out, with no parent left to wait for that.
    const closed = once(demo.launcher, 'close')
    demo.launcher.kill('SIGKILL')
    await closed
    expect(apps).toHaveLength(4)
    await expect.poll(() => apps.filter(isRunning)).toEqual([])
  })
})

describe('nothing of npm start stays behind', () => {
  test.for(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGKILL'] as const)('when npm gets %s', async (signal) => {
    const folder = copyOfRepository()
    const [accounts, shop, api, partner] = (await freePorts(4)).map(String)
    const { DATABASE_URL: _, SESSION_SECRET: __, ...inherited } = process.env
    const ports = { PORT_ACCOUNTS: accounts, PORT_SHOP: shop, PORT_API: api, PORT_PARTNER: partner }
    const env = { ...inherited, ...ports, DATA_FOLDER: folder }
    const npm = ownProcess(
      spawn('npm', ['start'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] }),
    )
    for await (const text of npm.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      if (String(text).includes('Ctrl-C ends all four')) break
    }
    npm.stdout.resume()
    const started = descendantsOf(npm.pid!)
    expect(started.length).toBeGreaterThanOrEqual(5)
    npm.kill(signal)
    await expect.poll(() => started.filter(isRunning)).toEqual([])
    removeFolder(folder)
  })
})

/** `npm start` builds, which the tests that run beside this one would not survive in the repository itself. */
function copyOfRepository(): string {
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-start-'))
  ownFolder(folder)
  const root = join(import.meta.dirname, '../..')
  for (const part of ['src', 'examples', 'tools/node-runs.sh', 'package.json', 'tsconfig.json']) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}
