import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import { expect, onTestFinished, test } from 'vitest'
import { ownProcess } from '../servers/owned.ts'
import { freePort } from '../servers/ports.ts'
import { filesOfPage } from './page.ts'
import { Visitor } from './visitor.ts'

// The quick start of docs/handoff.md, run as it is printed, each app in a process of its own.

const env = { PATH: process.env['PATH'], SESSION_SECRET: 'a secret that only this test uses' }

async function run(folder: string, file: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const app = ownProcess(
    spawn(process.execPath, [join(folder, file)], {
      env: { ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  const closed = once(app, 'close')
  onTestFinished(async () => {
    app.kill()
    await closed
  })
  let written = ''
  app.stderr.setEncoding('utf8').on('data', (text: string) => (written += text))
  await Promise.race([
    once(app.stdout, 'data'),
    closed.then(() => Promise.reject(new Error(`${file} ended. It wrote:\n${written}`))),
  ])
}

test('the hub and two sites of the page know a user who has signed in once', async () => {
  const [hub, shop, blog] = [await freePort(), await freePort(), await freePort()]
  const folder = await filesOfPage('handoff-quick-start', { hub, shop, blog })
  await run(folder, 'hub.ts')
  await run(folder, 'site.ts', { SITE: 'shop', PORT: `${shop}` })
  await run(folder, 'site.ts', { SITE: 'blog', PORT: `${blog}` })
  const agent = new Agent({
    connect: { lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]) },
  })
  onTestFinished(() => agent.close())
  const visitor = new Visitor(
    [],
    (url, init) => fetch(url, { ...init, dispatcher: agent }) as unknown as Promise<Response>,
  )
  const at = (host: string, port: number) => `http://${host}.localhost:${port}`

  expect((await visitor.open(`${at('shop', shop)}/`)).text).toContain('A visitor at shop')
  const form = await visitor.open(`${at('shop', shop)}/members`)
  expect([new URL(form.url).origin, form.text]).toEqual([
    at('accounts', hub),
    expect.stringContaining('Sign in as Ada'),
  ])
  const signedIn = await visitor.post(form.url)
  expect([signedIn.url, signedIn.text]).toEqual([
    `${at('shop', shop)}/members`,
    expect.stringContaining('Hello, Ada Lovelace!'),
  ])
  expect((await visitor.open(`${at('blog', blog)}/`)).text).toContain('ada at blog')
  const out = await visitor.post(`${at('blog', blog)}/handoff/sign-out?everywhere`)
  expect(out.text).toContain('A visitor at blog')
  expect((await visitor.open(`${at('shop', shop)}/`)).text).toContain('A visitor at shop')
  expect((await visitor.open(`${at('accounts', hub)}/`)).text).toContain('Nobody')
})
