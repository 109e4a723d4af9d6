import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Browser, devices, type Page } from 'playwright-core'
import type { Demo } from './launcher.ts'
import { signIn } from './visitor.ts'

const file = resolve(import.meta.dirname, '../../docs/demo.png')
const largest = 300_000 // bytes: it is loaded with the README

/** Takes docs/demo.png: the shop on a computer and, in front of it, the accounts of the same user on a phone. */
export async function updatePicture(browser: Browser, demo: Demo): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1180, height: 800 }, deviceScaleFactor: 1.5 })
  const page = await context.newPage()
  await signIn(page, demo, 'alice')
  await page.getByRole('button', { name: 'Sign out the others' }).click()
  await page.goto(demo.shop)
  for (const product of ['Overcoat', 'Umbrella', 'Umbrella']) {
    await page.getByRole('button', { name: `Add ${product} to the cart` }).click()
    await page.waitForLoadState('networkidle')
  }
  await page.locator('#calls').getByText('"name": "Alice"').waitFor()
  const shop = await page.screenshot()
  const phone = await browser.newContext({ ...devices['iPhone 15'], viewport: { width: 390, height: 700 } })
  const accounts = await phone.newPage()
  await signIn(accounts, demo, 'alice')
  await compose(page, shop, await accounts.screenshot())
  await Promise.all([context.close(), phone.close()])
}

async function compose(page: Page, shop: Buffer, accounts: Buffer): Promise<void> {
  // The ports that `npm start` takes: those of this run are only free ones.
  const frame = (device: string, address: string, picture: Buffer, style: string): string =>
    `<figure class="${device}" style="${style}"><figcaption><i></i><i></i><i></i><span>${address}</span></figcaption>
      <img src="data:image/png;base64,${picture.toString('base64')}"></figure>`
  await page.goto('about:blank') // without the policy of the demo's page, which allows no setContent
  await page.setViewportSize({ width: 1440, height: 1010 })
  await page.setContent(`
    <style>
      body { margin: 0; height: 1010px; background: #e2d9ca; position: relative; overflow: hidden }
      figure { position: absolute; margin: 0; overflow: hidden; border-radius: 12px; box-shadow: 0 18px 40px #3b2a1a40, 0 0 0 1px #3b2a1a1a }
      figcaption { display: flex; align-items: center; gap: 8px; height: 40px; padding: 0 16px; background: #fbf8f2; font: 14px system-ui, sans-serif; color: #6a6053 }
      i { width: 11px; height: 11px; border-radius: 50%; background: #d9cdbb }
      span { margin-left: 12px; padding: 4px 16px; border-radius: 99px; background: #efe8dc }
      img { display: block; width: 100% }
      .phone { border-radius: 44px; border: 12px solid #2a231c; background: #fbf8f2 }
      .phone figcaption { justify-content: center }
      .phone i { display: none }
    </style>
    ${frame('computer', 'shop.demo.localhost:4002', shop, 'left:40px;top:40px;width:1180px')}
    ${frame('phone', 'accounts.demo.localhost:4001', accounts, 'right:48px;bottom:40px;width:390px')}
  `)
  const image = await page.screenshot({ scale: 'css' })
  await mkdir(resolve(file, '..'), { recursive: true })
  await writeFile(file, image)
  if (image.length > largest) {
    throw new Error(`docs/demo.png has ${image.length} bytes; ${largest} is the most that it may have.`)
  }
}
