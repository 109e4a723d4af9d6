import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { startDemo, type Demo } from './launcher.ts'
import { ask, fillIn } from './visitor.ts'

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

const asBrowser = { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }
const asProgram = [{}, { Accept: '*/*' }, { Accept: 'application/json' }] as Record<string, string>[]

/** Every address of the API, and those that do not exist there. */
const answers = [
  ['GET', '/', 200],
  ['GET', '/me', 401],
  ['GET', '/cart', 200],
  ['POST', '/orders', 401],
  ['GET', '/orders', 405],
  ['DELETE', '/me', 405],
  ['GET', '/nothing', 404],
  ['POST', '/nothing/at/all', 404],
] as const

describe.for(answers)('%s %s, which is a %d', ([method, path, status]) => {
  test('is JSON for a program', async () => {
    for (const headers of asProgram) {
      const answer = await ask(demo.api + path, method, headers)
      expect(answer.status).toBe(status)
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json; charset=utf-8',
        vary: expect.stringContaining('Accept') as string,
      })
      expect(JSON.parse(answer.body)).toHaveProperty(
        status >= 400 ? 'error' : path === '/' ? 'endpoints' : 'items',
      )
    }
  })

  test('is a page with a way on for a browser', async () => {
    const answer = await ask(demo.api + path, method, asBrowser)
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      vary: expect.stringContaining('Accept') as string,
    })
    const main = /<main[^]*<\/main>/.exec(answer.body)![0]
    expect(main).toMatch(/<h1/)
    expect(main).toMatch(/<a [^>]*href="/)
  })
})

test('a method that an address does not answer names the one that it does', async () => {
  expect((await ask(`${demo.api}/orders`)).headers.allow).toBe('POST')
  expect((await ask(`${demo.api}/me`, 'PUT')).headers.allow).toBe('GET, HEAD')
})

describe('in a browser', () => {
  let page: Page
  beforeAll(async () => {
    page = await browser.newPage()
  })
  afterAll(() => page?.close())

  test('who is not signed in gets there, and back', async () => {
    expect((await page.goto(`${demo.api}/me`))!.status()).toBe(401)
    await page.getByRole('main').getByRole('link', { name: 'Sign in' }).click()
    await fillIn(page, 'alice')
    await page.waitForURL(`${demo.api}/`)
    await page.getByRole('link', { name: 'GET /me' }).click()
    await page.getByText('"name": "Alice"').waitFor()
  })

  test('an address that does not exist leads back', async () => {
    expect((await page.goto(`${demo.api}/nothing`))!.status()).toBe(404)
    await page.getByRole('main').getByRole('link').click()
    await page.getByRole('heading', { name: 'The API' }).waitFor()
  })

  test('signs out, for all apps', async () => {
    await page.goto(demo.api)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.locator('#visitor').getByText('Not signed in').waitFor()
    await page.goto(demo.shop)
    expect(await page.locator('#visitor').textContent()).toBe('Not signed in')
  })
})
