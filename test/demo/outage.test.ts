import type { Browser, Cookie } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { freshDatabase } from '../servers/databases.ts'
import { startDemo, type Demo } from './launcher.ts'
import { relayTo, type Relay } from './relay.ts'
import { ask, keepPicture, signIn } from './visitor.ts'

let browser: Browser
let relay: Relay
let demo: Demo
beforeAll(async () => {
  browser = await launchBrowser()
  relay = await relayTo(await freshDatabase())
  demo = await startDemo({ DATABASE_URL: relay.url })
})
afterAll(async () => {
  await browser?.close()
  await demo?.stop()
  await relay?.close()
})

test('a database that goes away is a friendly page, and nobody is signed out by it', async () => {
  const page = await browser.newPage()
  await signIn(page, demo, 'alice')

  relay.cut()
  const away = await page.goto(demo.shop)
  expect(away!.status()).toBe(503)
  await page.getByRole('heading', { name: 'Not available right now' }).waitFor()
  await page.getByText('The database does not answer').waitFor()
  await page.getByText('Retry-After: 10').waitFor()
  await keepPicture(page, 'database-away')
  expect((await page.goto(`${demo.api}/me`))!.status()).toBe(503)
  await page.getByRole('heading', { name: 'Not available right now' }).waitFor()
  // A program without a cookie needs no database.
  const [{ name, value }] = (await page.context().cookies()) as [Cookie]
  const answer = await ask(`${demo.api}/me`, 'GET', { Cookie: `${name}=${value}` })
  expect(answer).toMatchObject({ status: 503, headers: { 'retry-after': '10' } })
  expect(JSON.parse(answer.body)).toEqual({
    error: expect.stringContaining('Your session is safe') as string,
  })

  await relay.restore()
  await page.goto(demo.shop)
  expect(await page.locator('#visitor').textContent()).toBe('Alice')
})

test('a database that is away when the demo ends does not keep it from ending well', async () => {
  relay.cut()
  expect(await demo.stop()).toBe(0)
})
