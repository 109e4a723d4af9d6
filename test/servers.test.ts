import { createConnection } from 'mysql2/promise'
import { expect, test } from 'vitest'
import { startApp } from './servers/apps.ts'
import { launchBrowser } from './servers/chromium.ts'
import { freshDatabase } from './servers/databases.ts'

test('each fresh database is an empty one of its own', async () => {
  const [one, other] = await Promise.all([freshDatabase(), freshDatabase()])
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
