import { existsSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { startDemo, type Demo } from './launcher.ts'
import { ask, devicesOf, fillIn, keepPicture, press, signIn } from './visitor.ts'

let browser: Browser
let demo: Demo
beforeAll(async () => {
  browser = await launchBrowser()
  demo = await startDemo()
})
afterAll(async () => {
  await browser?.close()
  await demo?.stop()
})

const open: Page[] = []
afterEach(() => Promise.all(open.splice(0).map((page) => page.context().close())))

/** The page of a browser with cookies of its own. */
async function visitor(): Promise<Page> {
  const page = await (await browser.newContext()).newPage()
  open.push(page)
  return page
}

const noticeOf = (page: Page) => page.getByRole('alert').filter({ hasText: 'You were signed out elsewhere' })

const ways = [
  ['End', (page: Page) => devicesOf(page).nth(1).getByRole('button', { name: 'End' })],
  ['Sign out the others', (page: Page) => page.getByRole('button', { name: 'Sign out the others' })],
  ['Sign out everywhere', (page: Page) => page.getByRole('button', { name: 'Sign out everywhere' })],
] as const

describe.for(ways)('a browser whose session another ended by "%s"', ([, button]) => {
  test('is told so on its next page in any app, once, and can sign in again', async () => {
    const [here, elsewhere] = [await visitor(), await visitor()]
    await signIn(here, demo, 'bob')
    await signIn(elsewhere, demo, 'bob')
    await press(button(elsewhere))
    expect(await noticeOf(elsewhere).count()).toBe(0)

    await here.goto(`${demo.api}/me`)
    await noticeOf(here).getByText('Bob’s session').waitFor()
    await here.goto(demo.shop)
    expect(await noticeOf(here).count()).toBe(0)
    await signIn(here, demo, 'bob')
    expect(await noticeOf(here).count()).toBe(0)
    await press(here.getByRole('button', { name: 'Sign out everywhere' }))
  })
})

test('a shop that is left open says so when it is looked at again', async () => {
  const [here, elsewhere] = [await visitor(), await visitor()]
  await signIn(here, demo, 'alice')
  await here.goto(demo.shop)
  await signIn(elsewhere, demo, 'alice')
  await press(elsewhere.getByRole('button', { name: 'Sign out the others' }))
  await here.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`)
  await noticeOf(here).waitFor()
  await keepPicture(here, 'ended-elsewhere')
  await noticeOf(here).getByRole('link', { name: 'Sign in again' }).click()
  await fillIn(here, 'alice')
  await here.waitForURL(`${demo.shop}/`)
  expect(await noticeOf(here).count()).toBe(0)
  await press(elsewhere.getByRole('button', { name: 'Sign out everywhere' }))
})

test('who signs out or never signed in is not told anything', async () => {
  const page = await visitor()
  await page.goto(demo.shop)
  expect(await noticeOf(page).count()).toBe(0)
  await signIn(page, demo, 'bob')
  const cookies = await page.context().cookies()
  await press(page.getByRole('button', { name: 'Sign out', exact: true }))
  expect(await noticeOf(page).count()).toBe(0)
  await page.context().addCookies(cookies)
  await page.reload()
  expect(await noticeOf(page).count()).toBe(0)
})

test('whoever knows only the id of an ended session cannot take its notice', async () => {
  const [here, elsewhere] = [await visitor(), await visitor()]
  await signIn(here, demo, 'alice')
  const [cookie] = await here.context().cookies()
  await signIn(elsewhere, demo, 'alice')
  await press(elsewhere.getByRole('button', { name: 'Sign out the others' }))
  const forged = decodeURIComponent(cookie!.value).replace(/\..*/, `.${'A'.repeat(43)}`)
  const { body } = await ask(`${demo.shop}/`, 'GET', { Cookie: `sid=${encodeURIComponent(forged)}` })
  expect(body).not.toContain('You were signed out elsewhere')
  await here.goto(demo.shop)
  await noticeOf(here).waitFor()
})

test('a start forgets endings that are older than any session', async () => {
  const folder = join(demo.folder, 'ended')
  const [here, elsewhere] = [await visitor(), await visitor()]
  await signIn(here, demo, 'bob')
  await signIn(elsewhere, demo, 'bob')
  await press(elsewhere.getByRole('button', { name: 'Sign out the others' }))
  const names = readdirSync(folder)
  expect(names.length).toBeGreaterThan(0)
  const [old, ...others] = names
  utimesSync(join(folder, old!), 0, 0)
  const again = await startDemo({ DATA_FOLDER: demo.folder })
  expect(existsSync(join(folder, old!))).toBe(false)
  expect(readdirSync(folder)).toEqual(others)
  await again.stop()
})
