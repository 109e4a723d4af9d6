import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { expect, test } from 'vitest'
import { startApp } from './servers/apps.ts'
import { launchBrowser } from './servers/chromium.ts'
import { freshDatabase, onEachServer } from './servers/databases.ts'
import { inLines, inStanzas } from './servers/debian-packages.ts'
import { ownProcess } from './servers/owned.ts'
import { descendantsOf, isRunning } from './servers/process-table.ts'

onEachServer('the databases', ({ name, server }) => {
  test('each fresh database is an empty one of its own', async () => {
    const [one, other] = await Promise.all([freshDatabase(server), freshDatabase(server)])
    expect(one).not.toBe(other)
    const connection = await createConnection(one)
    try {
      await connection.query('CREATE TABLE only_here (id int PRIMARY KEY)')
      const [tables] = await connection.query('SHOW TABLES')
      expect(tables).toHaveLength(1)
    } finally {
      await connection.end()
    }
    const second = await createConnection(other)
    try {
      const [tables] = await second.query('SHOW TABLES')
      expect(tables).toEqual([])
    } finally {
      await second.end()
    }
  })

  test('are of the server that they are called after', async () => {
    const connection = await createConnection(server)
    try {
      const [rows] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version')
      expect(rows[0]!['version'].includes('MariaDB')).toBe(name === 'MariaDB')
    } finally {
      await connection.end()
    }
  })
})

test('an app runs in a process of its own until it is stopped', async () => {
  const app = await startApp('test/servers/greeting-app.ts', { GREETING: 'good day' })
  try {
    expect(await (await fetch(app.url)).text()).toBe(`good day from ${app.url}`)
    expect(app.output()).toContain(`listening ${app.port}`)
  } finally {
    expect(await app.stop()).toEqual({ code: null, signal: 'SIGTERM' })
  }
  await expect(fetch(app.url)).rejects.toThrow('fetch failed')
})

test('an app that cannot start says why', async () => {
  await expect(startApp('test/servers/greeting-app.ts')).rejects.toThrow('GREETING is not set')
})

test('a browser opens the page of an app', async () => {
  const app = await startApp('test/servers/greeting-app.ts', { GREETING: 'good day' })
  const browser = await launchBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(app.url)
    expect(await page.textContent('body')).toContain('good day')
  } finally {
    await browser.close()
    await app.stop()
  }
})

test("Debian's archive is found in both of its formats of sources", () => {
  const stanzas = `# Comment
Types: deb
URIs: http://archive.example/debian
Suites: bookworm bookworm-updates
Signed-By: /usr/share/keyrings/other.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian

Types: deb deb-src
URIs: http://archive.example/debian-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
`
  const standard = '/usr/share/keyrings/debian-archive-keyring.gpg'
  expect(inStanzas(stanzas)).toEqual([
    { address: 'http://archive.example/debian', keyring: '/usr/share/keyrings/other.gpg' },
    { address: 'http://archive.example/debian-security', keyring: standard },
  ])
  const lines = `# deb http://off.example/debian sid main
deb [arch=amd64 signed-by=/etc/apt/keyrings/mirror.gpg] http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
`
  expect(inLines(lines)).toEqual([
    { address: 'http://mirror.example/debian', keyring: '/etc/apt/keyrings/mirror.gpg' },
    { address: 'http://mirror.example/debian', keyring: standard },
  ])
})

test.for(['SIGTERM', 'SIGKILL'] as const)(
  'nothing that a process started outlives it when it ends by %s',
  async (signal) => {
    const owner = ownProcess(
      spawn(process.execPath, [join(import.meta.dirname, 'servers/owner-app.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    )
    const [line] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string]
    const folder = /^owns (.+)$/m.exec(line)![1]!
    const started = descendantsOf(owner.pid!)
    // The app, Redis, the browser, and the process that clears away.
    expect(started.length).toBeGreaterThanOrEqual(4)
    const exited = once(owner, 'exit')
    owner.kill(signal)
    await exited
    await expect.poll(() => started.filter(isRunning)).toEqual([])
    await expect.poll(() => existsSync(folder)).toBe(false)
  },
)
