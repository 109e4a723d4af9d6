import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import type { Demo } from './launcher.ts'

const results = resolve(import.meta.dirname, '../../test-results/demo')
mkdirSync(results, { recursive: true })

/** Goes to accounts and signs in there. */
export async function signIn(page: Page, demo: Demo, name: 'alice' | 'bob'): Promise<void> {
  await page.goto(demo.accounts)
  await fillIn(page, name)
  await page.getByRole('heading', { name: name === 'alice' ? 'Welcome, Alice' : 'Welcome, Bob' }).waitFor()
}

/** Fills the form that the page shows, and sends it. */
export async function fillIn(page: Page, name: string, password = 'ticket'): Promise<void> {
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click()
}

/** Presses a button that sends a form, and waits for the page that answers it. */
export async function press(button: Locator): Promise<void> {
  const answered = button.page().waitForEvent('load')
  await button.click()
  await answered
}

/** Keeps a picture of the whole page under test-results/demo, to look at. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(results, `${name}.png`), fullPage: true })
}
