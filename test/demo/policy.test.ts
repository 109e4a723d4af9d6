import type { Browser, Page } from 'playwright-core'
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

/** Every page that a browser can open by an address. */
const pagesOf = ({ accounts, shop, api, partner }: Demo): string[] => [
  `${accounts}/`,
  `${accounts}/no-such-page`,
  `${accounts}/docs/README.md`,
  `${accounts}/docs/benchmark.md`,
  `${shop}/`,
  `${shop}/no-such-page`,
  `${api}/`,
  `${api}/me`,
  `${api}/cart`,
  `${api}/orders`,
  `${api}/no-such-page`,
  `${accounts}/sign-in`,
  `${partner}/`,
  `${partner}/mine`,
  `${partner}/no-such-page`,
  `${partner}/handoff/callback`,
]

/** What Chromium reports of a page's policy, on its console. */
function reportsOf(page: Page): string[] {
  const reports: string[] = []
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) reports.push(message.text())
  })
  page.on('pageerror', (error) => reports.push(error.message))
  return reports
}

test('no page breaks its own policy, signed out and signed in, whatever is pressed', async () => {
  const page = await browser.newPage()
  const reports = reportsOf(page)
  const visitAll = async (): Promise<void> => {
    for (const address of pagesOf(demo)) {
      await page.goto(address, { waitUntil: 'networkidle' })
      // What a policy blocks leaves a page without its style.
      const main = page.getByRole('main')
      expect(await main.evaluate((element) => element.ownerDocument.styleSheets.length)).toBeGreaterThan(0)
    }
  }
  await visitAll()
  await signIn(page, demo, 'alice')
  await visitAll()
  await page.goto(demo.shop)
  await press(page.getByRole('button', { name: 'Add Felt hat' }))
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('is placed').waitFor()
  await press(page.getByRole('button', { name: 'Sign out' }))
  await page.getByRole('link', { name: 'Sign in' }).first().click()
  await page.getByLabel('Name').waitFor()
  // A form whose page asks accounts silently, and a form at accounts that leads to the partner: by way of two sites each.
  await page.context().clearCookies()
  await page.goto(demo.partner)
  await page.context().clearCookies()
  await press(page.getByRole('button', { name: 'Choose The Cloak' }))
  await page.goto(`${demo.partner}/mine`)
  await fillIn(page, 'bob')
  await page.waitForURL(`${demo.partner}/mine`)
  await press(page.getByRole('button', { name: 'Sign out everywhere' }))
  expect(reports).toEqual([])
  await page.close()
})

test('every answer has a policy that allows nothing but files of the app itself', async () => {
  for (const address of [
    ...pagesOf(demo),
    `${demo.shop}/style.css`,
    `${demo.api}/me`,
    `${demo.api}/nothing`,
  ]) {
    const policy = (await ask(address)).headers['content-security-policy']
    expect(policy, address).toMatch(/^default-src 'none'; /)
    expect(policy, address).toMatch(/; base-uri 'none'; frame-ancestors 'none'; /)
    expect(policy, address).not.toMatch(/unsafe|\*|data:/)
  }
})

test("what is smuggled into a page's HTML does nothing, and Chromium reports it", async () => {
  const page = await browser.newPage()
  const reports = reportsOf(page)
  const smuggled = `<script>document.title = 'mine'</script><style>body { opacity: 0 }</style>
    <p style="opacity: 0">Mine</p><img src="http://elsewhere.localhost/picture">`
  await page.route(`${demo.accounts}/`, async (route) => {
    const { headers, body } = await ask(route.request().url())
    const policy = String(headers['content-security-policy'])
    await route.fulfill({
      contentType: 'text/html',
      headers: { 'Content-Security-Policy': policy },
      body: body.replace('</main>', `${smuggled}</main>`),
    })
  })
  await page.goto(demo.accounts)
  await page.getByText('Mine').waitFor()
  await expect.poll(() => reports.length).toBe(4)
  for (const rule of ["default-src 'none'", "style-src 'self'", "img-src 'self'"]) {
    expect(reports.filter((report) => report.includes(rule))).not.toEqual([])
  }
  expect(await page.title()).toBe('Sign in · Coatcheck demo')
  await page.close()
})

test('no page can be framed, not even by its own app', async () => {
  const page = await browser.newPage()
  await signIn(page, demo, 'alice')
  const free = `${demo.shop}/free`
  await page.route(free, (route) => route.fulfill({ contentType: 'text/html', body: 'Framed' }))
  const frames = [...pagesOf(demo), free].map((address) => `<iframe src="${address}"></iframe>`)
  const around = `${demo.shop}/around`
  await page.route(around, (route) => route.fulfill({ contentType: 'text/html', body: frames.join('') }))
  await page.goto(around, { waitUntil: 'load' })
  const shown = await Promise.all(
    page
      .frames()
      .slice(1)
      .map(async (frame) => [frame.url(), await frame.locator('body').textContent()]),
  )
  expect(shown).toHaveLength(frames.length)
  // Chromium puts its own page of an error in place of a page that refuses to be framed.
  expect(shown.filter(([url]) => !url!.startsWith('chrome-error:'))).toEqual([[free, 'Framed']])
  await page.close()
})
