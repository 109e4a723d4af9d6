import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from './servers/ports.ts'
import { ownProcess } from './servers/owned.ts'
import { Browser } from './shared/browser.ts'

const root = resolve(import.meta.dirname, '..')
// In the repository, so that the app finds the package by its name.
const folder = resolve(root, 'test-results/readme')

let url: string
let stop: () => Promise<unknown>

beforeAll(async () => {
  const readme = await readFile(resolve(root, 'README.md'), 'utf8')
  const [, code] = /^```js\n(\/\/ app\.mjs\n.*?)^```$/ms.exec(readme)!
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await writeFile(resolve(folder, 'app.mjs'), code!)
  const port = await freePort()
  const app = ownProcess(
    execFile(process.execPath, ['app.mjs'], { cwd: folder, env: { ...process.env, PORT: `${port}` } }),
  )
  const exited = new Promise((resolve) => app.once('exit', resolve))
  stop = async () => {
    app.kill()
    await exited
  }
  const said = new Promise<string>((resolve, reject) => {
    app.stdout!.once('data', (text) => resolve(String(text).trim()))
    app.stderr!.once('data', (text) => reject(new Error(String(text))))
  })
  url = await said
})

afterAll(() => stop?.())

test('the quick start has 25 lines at most', async () => {
  const code = await readFile(resolve(folder, 'app.mjs'), 'utf8')
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(26) // with the comment that names the file
})

test('the quick start, run as printed, counts visits, signs in and signs out', async () => {
  const browser = new Browser()
  const page = async () => (await browser.get(url, '/')).text
  expect(await page()).toContain('A visitor, visit 1')
  expect(await page()).toContain('A visitor, visit 2')
  expect((await browser.post(url, '/login')).status).toBe(302)
  expect(await page()).toContain('alice, visit 3')
  expect(await page()).toContain('alice, visit 4')
  expect((await browser.post(url, '/logout')).status).toBe(302)
  expect(await page()).toContain('A visitor, visit 1')
})
