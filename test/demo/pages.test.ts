import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { startDemo, type Demo } from './launcher.ts'
import { updatePicture } from './picture.ts'
import { keepPicture, signIn } from './visitor.ts'

let browser: Browser
let demo: Demo
beforeAll(async () => {
  browser = await launchBrowser()
  demo = await startDemo()
})
afterAll(async () => {
  // The picture of the README is made anew only when asked for: it would differ a little every time.
  if (process.env['UPDATE_PICTURE'] === '1') await updatePicture(browser, demo)
  await browser?.close()
  await demo?.stop()
})

const widths = [1280, 390, 360]
const schemes = ['light', 'dark'] as const

test.for(widths.flatMap((width) => schemes.map((scheme) => [width, scheme] as const)))(
  'at %i px no page is wider than the window (%s)',
  async ([width, colorScheme]) => {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme })
    const look = async (name: string): Promise<void> => {
      await keepPicture(page, `${name}-${width}-${colorScheme}`)
      const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
      expect(overflow, name).toBeLessThanOrEqual(0)
    }
    await page.goto(demo.accounts)
    await look('sign-in')
    await page.goto(demo.partner)
    await look('partner-signed-out')
    await signIn(page, demo, 'alice')
    await look('account')
    await page.goto(`${demo.partner}/handoff/sign-in?returnTo=/`)
    await look('partner')
    for (const [name, path] of [
      ['api', '/'],
      ['api-me', '/me'],
      ['api-404', '/nothing'],
    ] as const) {
      await page.goto(demo.api + path)
      await look(name)
    }
    await page.goto(demo.shop)
    await page.getByRole('button', { name: 'Add Overcoat to the cart' }).click()
    await page.locator('#calls').getByText('"name": "Alice"').waitFor()
    await look('shop')
    const cookies = await page.context().cookies()
    await page.goto(demo.accounts)
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByLabel('Password').waitFor()
    // As in a browser whose session was ended elsewhere: it still has its cookies.
    await page.context().addCookies(cookies)
    for (const app of ['accounts', 'shop', 'partner'] as const) {
      await page.goto(demo[app])
      await look(`${app}-ended-elsewhere`)
    }
    await page.close()
  },
)
