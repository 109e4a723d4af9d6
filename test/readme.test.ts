import { execFile } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type App, startApp } from './servers/apps.ts'
import { freshDatabase } from './servers/databases.ts'
import { Browser } from './shared/browser.ts'

const root = resolve(import.meta.dirname, '..')
const folder = 'test-results/readme'

// What the README leaves to its reader.
const authenticate = `
import type { Request } from 'express'
export async function authenticate(req: Request) {
  return { id: Number(req.query['id']), name: String(req.query['name']) }
}
export async function storePassword(_user: { id: number }, _req: Request) {}`
const start = `
import type { AddressInfo } from 'node:net'
import { server } from './app.ts'
if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
console.log('listening ' + (server.address() as AddressInfo).port)`

let app: App

beforeAll(async () => {
  const readme = await readFile(resolve(root, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
  const [sessionsCode, appCode] = blocks
  await rm(resolve(root, folder), { recursive: true, force: true })
  await mkdir(resolve(root, folder), { recursive: true })
  const files = {
    'sessions.ts': sessionsCode!,
    'app.ts': appCode!,
    'authenticate.ts': authenticate,
    'start.ts': start,
    'tsconfig.json': JSON.stringify({ extends: '../../test/tsconfig.json', include: ['.'] }),
  }
  for (const [name, text] of Object.entries(files)) await writeFile(resolve(root, folder, name), text)
  app = await startApp(`${folder}/start.ts`, {
    DATABASE_URL: await freshDatabase(),
    PORT: '0',
    SESSION_SECRET: 'the secret of the code in the README',
  })
})

afterAll(async () => {
  await app?.stop()
})

test('the code in the README type-checks as printed', async () => {
  const { stdout } = await promisify(execFile)(
    resolve(root, 'node_modules/.bin/tsc'),
    ['--project', folder],
    {
      cwd: root,
    },
  )
  expect(stdout).toBe('')
})

test('the code in the README does what it says', async () => {
  const browser = new Browser()
  const elsewhere = new Browser()
  for (const each of [browser, elsewhere]) {
    const login = await each.post(app.url, '/login?id=7&name=Member')
    expect(login.status).toBe(302)
    expect((await each.get(app.url, '/')).text).toBe('Hello, Member')
  }
  expect((await browser.post(app.url, '/password?id=7&name=Member')).status).toBe(204)
  expect((await elsewhere.get(app.url, '/')).text).toBe('Please sign in.')
  expect((await browser.get(app.url, '/')).text).toBe('Hello, Member')
  await browser.post(app.url, '/logout')
  expect((await browser.get(app.url, '/')).text).toBe('Please sign in.')
})

test('a page of a trusted site may call the app with credentials, and no other may', async () => {
  const from = (origin: string) => fetch(app.url, { headers: { origin } }).then(({ headers }) => headers)
  expect((await from('https://shop.example.com')).get('access-control-allow-origin')).toBe(
    'https://shop.example.com',
  )
  expect((await from('https://example.com.evil.test')).get('access-control-allow-origin')).toBeNull()
})
