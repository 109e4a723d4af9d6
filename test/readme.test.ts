import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { installInto, nodeProgram, supportedNodes } from './package/nodes.ts'
import { pack } from './package/pack.ts'
import { freePort } from './servers/ports.ts'
import { ownProcess } from './servers/owned.ts'
import { Browser } from './shared/browser.ts'

/** As a new user has it: the packed package and express in a folder of their own, and README's file as it is printed. */
let folder: string
let code: string
let readme: string

beforeAll(async () => {
  readme = await readFile(resolve(import.meta.dirname, '../README.md'), 'utf8')
  code = /^```js\n(\/\/ app\.mjs\n.*?)^```$/ms.exec(readme)![1]!
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-readme-'))
  const { tarball } = await pack(folder)
  await installInto(folder, [tarball, 'express'])
  await writeFile(join(folder, 'app.mjs'), code)
  for (const version of supportedNodes) await nodeProgram(version)
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

test('the quick start has 25 lines at most', () => {
  expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(26) // with the comment that names the file
})

test('besides code, tables and what was measured, README has 600 words at most', () => {
  const prose = readme
    .replace(/^```.*?^```$/gms, '')
    .replace(/^\|.*$/gm, '')
    .replace(/<!-- measured by .*? end of what was measured -->/gs, '')
    .replace(/\]\([^)]*\)/g, ']')
  expect(prose.match(/[\p{L}\d][^\s]*/gu)!.length).toBeLessThanOrEqual(600)
})

describe.each(supportedNodes)('on Node %s', (version) => {
  test('the quick start, run as printed, counts visits, signs in and signs out', async () => {
    const url = await start(version)
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
})

/** Starts the app, and gives the address that it prints. Anything on standard error fails the test. */
async function start(version: string): Promise<string> {
  // Only what a new user's shell would set: nothing of the test runner's own is to reach it.
  const env = { PATH: process.env['PATH'], PORT: `${await freePort()}` }
  const app = ownProcess(execFile(await nodeProgram(version), ['app.mjs'], { cwd: folder, env }))
  const exited = new Promise((resolve) => app.once('exit', resolve))
  onTestFinished(async () => {
    app.kill()
    await exited
  })
  return new Promise((resolve, reject) => {
    app.stdout!.once('data', (text) => resolve(String(text).trim()))
    app.stderr!.once('data', (text) => reject(new Error(String(text))))
  })
}
