import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { startDemo, type Demo } from './launcher.ts'
import { ask, press, signIn } from './visitor.ts'

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

const linksTo = (body: string): string[] =>
  [...body.matchAll(/href="([^"]*\/docs\/[^"]*)"/g)].map(([, url]) => url!)

test('every page of the documentation is shown, with its headings and pictures', async () => {
  const root = join(import.meta.dirname, '../../docs')
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /^(decisions\/)?[\w-]+\.md$/.test(name),
  )
  expect(names.length).toBeGreaterThan(60)
  for (const name of [
    ...names.map((path) => `docs/${path}`),
    'README.md',
    'ARCHITECTURE.md',
    'SECURITY.md',
  ]) {
    const { status, body } = await ask(`${demo.accounts}/${name}`)
    expect(status, name).toBe(200)
    expect(body, name).toMatch(/<h1 id="[^"]+">/)
    for (const [, picture] of body.matchAll(/<img src="([^"/:]+\.(?:png|svg))"/g)) {
      expect((await ask(new URL(picture!, `${demo.accounts}/${name}`).href)).status, picture).toBe(200)
    }
  }
})

test('nothing else of the repository is shown', async () => {
  for (const path of [
    'package.json',
    'docs/../package.json',
    'docs/%2e%2e/package.json',
    'src/index.ts',
    '..%2fREADME.md',
    'docs/none.md',
  ]) {
    expect((await ask(`${demo.accounts}/${path}`)).status, path).toBe(404)
  }
})

test('what a page of the demo says leads to the very place in the documentation', async () => {
  const page: Page = await browser.newPage()
  const links = new Set<string>()
  const gather = async (): Promise<void> => linksTo(await page.content()).forEach((url) => links.add(url))
  await page.goto(demo.shop)
  await gather()
  await press(page.getByRole('button', { name: 'Add Scarf' }))
  await gather()
  await signIn(page, demo, 'alice')
  await gather()
  await page.reload()
  await gather()
  await page.goto(demo.shop)
  await page.getByRole('button', { name: 'Place the order' }).click()
  await page.getByText('is placed').waitFor()
  await gather()
  await press(page.getByRole('button', { name: 'Sign out' }))
  await gather()
  expect(links.size).toBeGreaterThan(8)
  for (const link of links) {
    const { pathname, hash } = new URL(link)
    const { status, body } = await ask(demo.accounts + pathname)
    expect(status, link).toBe(200)
    expect(body, link).toContain(hash && ` id="${hash.slice(1)}"`)
  }
  await page.goto([...links].find((link) => link.includes('#'))!)
  await page.getByRole('heading', { level: 1 }).waitFor()
  await page.close()
})
