import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
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

/** The devices that the account page lists. */
export function devicesOf(page: Page): Locator {
  return page.getByRole('region', { name: 'Where you are signed in' }).getByRole('listitem')
}

/** Presses a button that sends a form, and waits for the page that answers it. */
export async function press(button: Locator): Promise<void> {
  await Promise.all([button.page().waitForEvent('load'), button.click()])
}

/** Keeps a picture of the whole page under test-results/demo, to look at. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(results, `${name}.png`), fullPage: true })
}

export interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Asks as a program does, without a browser. Node does not find names under .localhost by itself. */
export async function ask(
  address: string,
  method = 'GET',
  headers: Record<string, string> = {},
): Promise<Answer> {
  const { host, port, pathname, search } = new URL(address)
  const path = pathname + search
  const asked = request({ host: '127.0.0.1', port, path, method, headers: { ...headers, host } }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
}
