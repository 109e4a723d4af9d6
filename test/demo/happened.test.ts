import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions, Locator, Page, Response } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { startDemo, type Demo } from './launcher.ts'
import { ask, fillIn, press, signIn } from './visitor.ts'

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

async function visitor(options: BrowserContextOptions = {}): Promise<Page> {
  return (await browser.newContext(options)).newPage()
}

const panelOf = (page: Page): Locator => page.getByRole('region', { name: 'What just happened' })

/** What the panel says, one text a sentence, without its links. */
async function wordsOf(page: Page): Promise<string[]> {
  return panelOf(page).locator('.story li').allTextContents()
}

/** `POST /sign-in 303` of each request that the panel shows. */
async function requestsOf(page: Page): Promise<string[]> {
  const texts = await panelOf(page).locator('summary').allTextContents()
  return texts.map((text) => /(\S+ \S+)\s+(\d+)/.exec(text)!.slice(1).join(' '))
}

/** The lines of headers that the panel shows of one request and its response. */
async function headersOf(page: Page, index: number): Promise<string[]> {
  const exchange = panelOf(page).locator('.exchange').nth(index)
  return (await exchange.locator('.headers li').allTextContents()).map((text) => text.trim())
}

/** What the panel shows of a column: what it held before, if that is another value, and what it holds now. */
async function columnOf(page: Page, name: string): Promise<string[]> {
  const cell = panelOf(page)
    .locator('tr', { has: page.getByRole('rowheader', { name, exact: true }) })
    .locator('td')
  const changed = await cell.locator('del, ins').allTextContents()
  return (changed.length > 0 ? changed : await cell.allTextContents()).map((text) => text.trim())
}

const withoutSecret = (header: string): string => header.replace(/(coat_[\w-]{16})[^;]*/, '$1…')

test('the panel shows the headers that the browser sent and got, without the secret', async () => {
  const page = await visitor()
  await page.goto(demo.shop)
  await press(page.getByRole('button', { name: 'Add Scarf' }))
  await page.goto(`${demo.accounts}/?from=shop`)
  const answered = page.waitForEvent('response', (response) => response.url().endsWith('/sign-in'))
  await fillIn(page, 'alice')
  const response: Response = await answered
  await page.waitForURL(`${demo.shop}/`)
  expect(await requestsOf(page)).toEqual(['POST /sign-in 303', 'GET / 200'])

  const sent = await response.request().allHeaders()
  const got = await response.allHeaders()
  expect(sent['cookie']).toMatch(/^sid=/)
  const setCookie = (await response.headersArray()).find(({ value }) => value.startsWith('sid='))!.value
  expect(await headersOf(page, 0)).toEqual([
    `Cookie: ${withoutSecret(sent['cookie']!)}`,
    `Origin: ${sent['origin']}`,
    `Sec-Fetch-Site: ${sent['sec-fetch-site']}`,
    `Set-Cookie: ${withoutSecret(setCookie)}`,
    `Location: ${got['location']}`,
    `Cache-Control: ${got['cache-control']}`,
  ])

  // It is told once: a page that is read again tells of itself.
  await page.reload()
  expect(await requestsOf(page)).toEqual(['GET / 200'])
  expect((await page.context().cookies()).map(({ name }) => name)).toEqual(['sid'])
})

test('the panel shows the row that the database has, and what became of it', async () => {
  const page = await visitor()
  await page.goto(demo.shop)
  expect(await wordsOf(page)).toEqual([expect.stringContaining('sent no session cookie')])

  await press(page.getByRole('button', { name: 'Add Scarf' }))
  expect(await wordsOf(page)).toEqual([expect.stringContaining('A session began')])
  expect(await columnOf(page, 'version')).toEqual(['1'])

  await page.goto(`${demo.accounts}/?from=shop`)
  expect(await wordsOf(page)).toEqual([expect.stringContaining('Nothing was written')])
  await fillIn(page, 'alice')
  await page.waitForURL(`${demo.shop}/`)
  expect(await wordsOf(page)).toEqual([
    expect.stringContaining('the row names the user alice'),
    expect.stringContaining('new token'),
    expect.stringContaining('The data changed: device, name.'),
  ])
  expect(await columnOf(page, 'version')).toEqual(['1', '2'])
  expect(await columnOf(page, 'user_id')).toEqual(['NULL', 'alice'])
  expect(await columnOf(page, 'secret_hash')).toHaveLength(2)

  const id = (await columnOf(page, 'id'))[0]!
  const database = new DatabaseSync(join(demo.folder, 'sessions.db'), { readOnly: true })
  const row = database
    .prepare('SELECT * FROM coatcheck_sessions WHERE id = ?')
    .get(Buffer.from(id, 'base64url')) as Record<string, Uint8Array & number>
  database.close()
  const now = async (name: string) => (await columnOf(page, name)).at(-1)
  expect({
    user_id: await now('user_id'),
    version: Number(await now('version')),
    data: await now('data'),
    secret_hash: await now('secret_hash'),
    expires_at: Date.parse(`${await now('expires_at')}Z`),
  }).toEqual({
    user_id: Buffer.from(row['user_id']!).toString(),
    version: row['version'],
    data: Buffer.from(row['data']!).toString(),
    secret_hash: `${Buffer.from(row['secret_hash']!).toString('hex').slice(0, 8)}…`,
    expires_at: Math.floor(row['expires_at']! / 1000) * 1000,
  })

  await press(page.getByRole('button', { name: 'Sign out' }))
  expect(await wordsOf(page)).toEqual([expect.stringContaining(`The row of the session ${id} was deleted`)])
  expect(await columnOf(page, 'user_id')).toEqual(['alice'])
  expect(await panelOf(page).locator('ins').count()).toBe(0)
})

test('the panel names the sessions of other browsers that a request deletes', async () => {
  const [here, elsewhere] = [await visitor(), await visitor()]
  const idOn = (page: Page) => page.locator('.ticket .number').textContent()
  await signIn(here, demo, 'bob')
  await signIn(elsewhere, demo, 'bob')
  const first = await idOn(elsewhere)
  await here.reload()
  await press(here.getByRole('button', { name: `End the session ${first}` }))
  expect(await wordsOf(here)).toEqual([
    expect.stringContaining('Nothing was written to it'),
    expect.stringContaining(`Another session was deleted: ${first}.`),
  ])

  await signIn(elsewhere, demo, 'bob')
  const second = await idOn(elsewhere)
  await press(here.getByRole('button', { name: 'Sign out the others' }))
  expect(await wordsOf(here)).toContainEqual(
    expect.stringContaining(`Another session was deleted: ${second}.`),
  )
})

test('an order by the API is told on the page of the shop, with the rule that let it pass', async () => {
  const page = await visitor()
  await signIn(page, demo, 'bob')
  await page.goto(demo.shop)
  await press(page.getByRole('button', { name: 'Add Hanger' }))
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('is placed').waitFor()
  expect(await requestsOf(page)).toEqual(['POST /orders 201', 'GET / 200'])
  expect(await wordsOf(page)).toEqual([
    expect.stringContaining('because sites lists that origin'),
    expect.stringContaining('The data changed: cart, order.'),
  ])
  expect(await headersOf(page, 0)).toContain(`Access-Control-Allow-Origin: ${demo.shop}`)
  await panelOf(page).getByText('by the rule trustedSite').waitFor()
})

test('a request that was refused is told on the next page', async () => {
  const page = await visitor({ bypassCSP: true })
  await signIn(page, demo, 'bob')
  await page.goto(demo.shop.replace('shop.', 'stranger.'))
  await page.evaluate(
    `fetch('${demo.api}/orders', { method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}' }).then(() => {})`,
  )
  await page.goto(demo.accounts)
  expect(await requestsOf(page)).toEqual(['POST /orders 403', 'GET / 200'])
  expect(await wordsOf(page)).toEqual([
    expect.stringContaining('was refused before it reached the app'),
    expect.stringContaining('Nothing was written'),
  ])
})

test('what a visitor could have planted is not told', async () => {
  const page = await visitor()
  await page.context().addCookies([{ name: 'happened', value: 'planted.signature', url: demo.shop }])
  await page.goto(demo.shop)
  expect(await requestsOf(page)).toEqual(['GET / 200'])
})

test('whoever has no valid token sees nothing of the row', async () => {
  const page = await visitor()
  await page.goto(demo.shop)
  await press(page.getByRole('button', { name: 'Add Scarf' }))
  const [old] = await page.context().cookies()
  await signIn(page, demo, 'alice')
  const [own] = await page.context().cookies()
  const bodyFor = async (value: string) =>
    (await ask(`${demo.shop}/`, 'GET', { Cookie: `sid=${value}` })).body
  expect(await bodyFor(own!.value)).toMatch(/<td>\s*alice\s*<\/td>/)
  // By the id alone, and by the token from before the sign-in, which still finds the visitor's session for a while.
  const forged = own!.value.replace(/(coat_.{16}).{32}/, `$1${'A'.repeat(32)}`)
  for (const value of [forged, old!.value]) {
    expect(await bodyFor(value)).toContain('no row for its token')
    expect(await bodyFor(value)).not.toMatch(/alice|secret_hash/)
  }
})

test('no page shows a token', async () => {
  const page = await visitor()
  const visitAll = async (): Promise<string> => {
    const shown: string[] = [await page.content()]
    for (const address of [demo.shop, demo.api, `${demo.api}/me`, demo.accounts, `${demo.shop}/nothing`]) {
      await page.goto(address)
      shown.push(await page.content())
    }
    return shown.join()
  }
  await page.goto(demo.shop)
  await press(page.getByRole('button', { name: 'Add Scarf' }))
  const before = (await page.context().cookies())[0]!.value
  let shown = await visitAll()
  await signIn(page, demo, 'alice')
  const after = (await page.context().cookies())[0]!.value
  shown += await visitAll()
  await press(page.getByRole('button', { name: 'Sign out' }))
  shown += await page.content()
  for (const cookie of [before, after]) {
    const [, id, secret, signature] = /coat_(.{16})(.{32})\.(.+)/.exec(cookie)!
    expect(shown).toContain(id)
    for (const hidden of [secret!, signature!, decodeURIComponent(signature!)])
      expect(shown).not.toContain(hidden)
  }
})
