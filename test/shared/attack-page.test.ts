import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { installInto } from '../package/nodes.ts'
import { pack } from '../package/pack.ts'
import { launchBrowser } from '../servers/chromium.ts'
import { ownProcess } from '../servers/owned.ts'
import { freePort } from '../servers/ports.ts'

// README's quick start as it is printed, and pages of others that sign its visitors in and out behind their backs, in Chromium.

let folder: string
let port: number
let log = ''
let others: Server
let browser: Browser
let stop: () => Promise<unknown>

beforeAll(async () => {
  const readme = await readFile(resolve(import.meta.dirname, '../../README.md'), 'utf8')
  const code = /^```js\n(\/\/ app\.mjs\n.*?)^```$/ms.exec(readme)![1]!
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-attack-'))
  const { tarball } = await pack(folder)
  await installInto(folder, [tarball, 'express'])
  await writeFile(join(folder, 'app.mjs'), code)
  port = await freePort()
  // Only what a new user's shell would set.
  const env = { PATH: process.env['PATH'], PORT: `${port}` }
  const app = ownProcess(execFile(process.execPath, ['app.mjs'], { cwd: folder, env }))
  const exited = once(app, 'exit')
  stop = async () => {
    app.kill()
    await exited
  }
  app.stderr!.on('data', (text) => (log += String(text)))
  await Promise.race([once(app.stdout!, 'data'), exited.then(() => Promise.reject(new Error(log)))])
  others = createServer(
    (_request, response) => void response.setHeader('Content-Type', 'text/html').end('<p>A page'),
  )
  others.listen(0, '127.0.0.1')
  await once(others, 'listening')
  browser = await launchBrowser('--host-resolver-rules=MAP * 127.0.0.1')
}, 600_000)
afterAll(async () => {
  await browser?.close()
  others?.closeAllConnections()
  others?.close()
  await stop?.()
  await rm(folder, { recursive: true, force: true })
})

/** What a page does to a visitor who opens it, as a script in it. */
const posts: Readonly<Record<string, (url: string) => string>> = {
  'a form': (url) => `
    const form = Object.assign(document.createElement('form'), { method: 'post', action: ${JSON.stringify(url)} })
    document.body.append(form)
    form.submit()`,
  'a fetch that may not read the answer': (url) =>
    `void fetch(${JSON.stringify(url)}, { method: 'POST', mode: 'no-cors', credentials: 'include' })`,
}
const image = (url: string) => `new Promise((resolve) => {
  const image = new Image()
  image.onerror = () => resolve('failed')
  image.src = ${JSON.stringify(url)}
})`
const targets = [
  ['/login', 'A visitor'],
  ['/logout', 'alice'],
] as const

/** Who attacks what, and which rule of the check says so. Browsers send no Sec-Fetch-Site to hosts without HTTPS, but localhost. */
const attackers = [
  {
    host: 'app.my.localhost',
    from: 'blog.my.localhost',
    rule: 'otherSite',
    why: /Its Sec-Fetch-Site is same-site/,
  },
  { host: 'app.my.localhost', from: 'evil.test', rule: 'otherSite', why: /Its Sec-Fetch-Site is cross-site/ },
  {
    host: 'app.example.test',
    from: 'blog.example.test',
    rule: 'otherOrigin',
    why: /Origin 'http:\/\/blog\.example\.test:/,
  },
  { host: 'app.example.test', from: 'evil.test', rule: 'otherOrigin', why: /Origin 'http:\/\/evil\.test:/ },
]

describe.each(attackers)('a page of $from, to the app at $host:', ({ host, from, rule, why }) => {
  const app = () => `http://${host}:${port}`

  /** What the visitor has: who they are to the app, at which visit, and the cookie. */
  async function stateOf(page: Page, context: BrowserContext) {
    await page.goto(app())
    const [, name, visits] = /^(.*), visit (\d+)/.exec(await page.innerText('p'))!
    const cookies = await context.cookies(app())
    return { name, visits: Number(visits), cookies: cookies.map(({ value }) => value) }
  }

  /** Has the page attack a visitor, and looks what they have afterwards. @returns what the app wrote */
  async function expectUnchanged(name: string, attack: (evil: Page) => Promise<void>): Promise<() => string> {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(app())
    if (name === 'alice') await page.click('text=Sign in')
    const before = await stateOf(page, context)
    expect(before.name).toBe(name)
    const logged = log.length
    const evil = await context.newPage()
    await evil.goto(`http://${from}:${(others.address() as AddressInfo).port}/`)
    await attack(evil)
    expect(await stateOf(page, context)).toEqual({ ...before, visits: before.visits + 1 })
    return () => log.slice(logged)
  }

  describe.each(Object.entries(posts))('%s', (_way, post) => {
    test.each(targets)('to %s is refused, changes nothing, and the log says why', async (path, name) => {
      const written = await expectUnchanged(name, async (evil) => {
        const url = app() + path
        const answered = evil.waitForResponse(url)
        await evil.evaluate(post(url)).catch(() => undefined) // a form leaves its page
        expect((await answered).status()).toBe(403)
      })
      await expect.poll(written).toMatch(new RegExp(`${why.source}.*\\(rule: ${rule}\\)`))
      const warned = log.match(/\[COATCHECK_FORGED\] Warning: .* was refused \(403\)\. It.*/g)!
      const ofRule = rule === 'otherSite' ? /Its Sec-Fetch-Site/ : /It has the Origin/
      expect(warned.filter((line) => ofRule.test(line))).toHaveLength(1)
    })
  })

  test.each(targets)('an image at %s gets nothing, and changes nothing', async (path, name) => {
    const written = await expectUnchanged(name, async (evil) => {
      expect(await evil.evaluate(image(app() + path))).toBe('failed')
    })
    expect(written()).toBe('')
  })
})
