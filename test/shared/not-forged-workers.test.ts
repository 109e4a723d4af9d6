import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSessions, MemoryStore, type SessionError } from 'coatcheck'
import session from 'coatcheck/express'
import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { launchBrowser, launchProfile, launchWithExtension } from '../servers/chromium.ts'
import { checkedApp, type CheckedApp, type CheckedOptions, expectRefused } from './checked-app.ts'
import { anyHost, certificateOf, formPage, sendForm, servesFormPages } from './form-pages.ts'

// What stands between a page and the network in Chromium: service workers, extensions, HTTP/2.

const host = 'app.example.com'
let authority: Authority
let certificate: NonNullable<CheckedOptions['certificate']>
let browser: Browser
let context: BrowserContext

beforeAll(async () => {
  authority = await newAuthority()
  certificate = await certificateOf(authority, host)
  browser = await launchBrowser(...anyHost)
})
afterAll(async () => {
  await browser?.close()
  await authority?.remove()
})
beforeEach(async () => {
  context = await browser.newContext()
  onTestFinished(() => context.close())
})

const at = ({ port }: { readonly port: number }, name = host) => `https://${name}:${port}`

/** Serves an app, and has its service worker run in the browser of a visitor who is signed in. */
async function withWorker(script: string, csrf?: NonNullable<CheckedOptions['sessions']>['csrf']) {
  const app = await checkedApp({
    certificate,
    sessions: { csrf },
    pages: (express) => {
      servesFormPages(express)
      express.get('/worker.js', (_req, res) => void res.type('js').send(script))
    },
  })
  const page = await context.newPage()
  await page.goto(`${at(app)}/login`)
  await page.goto(`${at(app)}/page?to=/change`)
  await page.evaluate(
    "navigator.serviceWorker.register('/worker.js').then(() => navigator.serviceWorker.ready).then(() => {})",
  )
  app.arrived.length = 0
  return { app, page }
}

const posts = (how: string) =>
  `onfetch = (event) => { if (event.request.method === 'POST') event.respondWith(${how}) }`

describe('a service worker', () => {
  // A web app that was installed has the same pages and the same worker.
  test('that sends a form of its app again, or asks itself, passes', async () => {
    const { app, page } = await withWorker(
      `${posts('fetch(event.request)')}
      onmessage = async (event) => {
        const { status } = await fetch('/change', { method: 'PUT' })
        event.source.postMessage(status)
      }`,
    )
    expect(await sendForm(context, at(app), '/change')).toBe('changed by POST for ada')
    const told = await page.evaluate(`new Promise((resolve) => {
      navigator.serviceWorker.onmessage = ({ data }) => resolve(data)
      void navigator.serviceWorker.ready.then(({ active }) => active.postMessage('ask'))
    })`)
    expect(told).toBe(200)
    const own = { site: 'same-origin', origin: at(app), hasCookie: true, status: 200 }
    expect(app.arrived).toEqual(['POST', 'PUT'].map((method) => ({ method, path: '/change', ...own })))
  })

  test.each([
    ['blog.example.com', 'same-site', true],
    ['other.test', 'cross-site', false],
  ])('that sends a form of %s again does not make it an own one', async (name, site, hasCookie) => {
    const { app } = await withWorker(posts('fetch(event.request)'))
    const text = await sendForm(context, at(app, name), `${at(app)}/change`)
    expectRefused(app, text, 'otherSite', `Its Sec-Fetch-Site is ${site}`)
    const origin = at(app, name)
    expect(app.arrived).toEqual([{ method: 'POST', path: '/change', site, origin, hasCookie, status: 403 }])
    expect(app.changes()).toBe(0)
  })

  test.each([
    "event.request.text().then((body) => fetch(event.request.url, { method: 'POST', body }))",
    "fetch(new Request(event.request, { headers: { 'x-version': '2' } }))",
  ])('that makes a new request of a foreign one is its sender, and that passes: %s', async (anew) => {
    const { app } = await withWorker(posts(anew))
    await sendForm(context, at(app, 'other.test'), `${at(app)}/change`)
    expect(app.arrived).toMatchObject([
      { site: 'same-origin', origin: at(app), hasCookie: true, status: 200 },
    ])
  })
})

test('over HTTP/2, an own form passes, and one of another site is refused', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret: 'the secret of HTTP/2', sweep: false })
  const middleware = session(sessions)
  const versions: string[] = []
  const server = createSecureServer(certificate as { cert: Buffer; key: Buffer }, (request, response) => {
    response.setHeader('Content-Type', 'text/html')
    const { pathname, searchParams } = new URL(request.url, 'https://any.test')
    if (pathname === '/page') return void response.end(formPage(searchParams.get('to')!))
    if (request.method === 'POST') versions.push(request.httpVersion)
    middleware(request as never, response as never, (error) => {
      response.statusCode = (error as SessionError | undefined)?.status ?? 200
      response.end(error ? (error as SessionError).message : 'changed')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    await context.close()
    server.close()
    await sessions.close()
  })
  const { port } = server.address() as AddressInfo
  expect(await sendForm(context, at({ port }), '/change')).toBe('changed')
  const text = await sendForm(context, at({ port }, 'other.test'), `${at({ port })}/change`)
  expect(text).toContain('Its Sec-Fetch-Site is cross-site')
  expect(versions).toEqual(['2.0', '2.0'])
})

describe('a page of an extension with a permission for the app', () => {
  /** What a visitor who is signed in has there: the status that the page's `fetch` gets, and what its form shows. */
  async function visited(
    app: CheckedApp,
    folder: string,
  ): Promise<{ fetched: unknown; shown: string; id: string }> {
    const { context: extended, id } = await launchWithExtension(folder, ...anyHost)
    try {
      const page = await extended.newPage()
      await page.goto(`${at(app)}/login`)
      await page.goto(`chrome-extension://${id}/page.html`)
      const url = JSON.stringify(`${at(app)}/change`)
      const fetched = await page.evaluate(
        `fetch(${url}, { method: 'POST', credentials: 'include' }).then((response) => response.status)`,
      )
      await page.evaluate(`document.forms[0].action = ${url}`)
      await Promise.all([page.waitForURL(`${at(app)}/change`), page.click('button')])
      return { fetched, shown: await page.innerText('body'), id }
    } finally {
      await extended.close()
    }
  }

  test('is refused, until sites lists its origin; its forms have none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-extension-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await mkdir(join(folder, 'extension'))
    const manifest = {
      manifest_version: 3,
      name: 'Of a test',
      version: '1',
      host_permissions: [`https://${host}/*`],
      background: { service_worker: 'background.js' },
    }
    await writeFile(join(folder, 'extension/manifest.json'), JSON.stringify(manifest))
    await writeFile(join(folder, 'extension/background.js'), '')
    await writeFile(join(folder, 'extension/page.html'), formPage(''))

    const app = await checkedApp({ certificate })
    const { fetched, shown, id } = await visited(app, folder)
    const origin = `chrome-extension://${id}`
    expect(fetched).toBe(403)
    expect(app.arrived.slice(-2)).toMatchObject([
      { site: 'none', origin, hasCookie: true, status: 403 },
      { site: 'cross-site', origin: 'null', hasCookie: true, status: 403 },
    ])
    expect(app.told.map(({ rule }) => rule)).toEqual(['noPageButOrigin', 'otherSite'])
    expectRefused(app, shown, 'otherSite')
    const cured = await checkedApp({ certificate, sessions: { sites: [origin] } })
    expect(await visited(cured, folder)).toMatchObject({ fetched: 200, id })
    expect(cured.told).toMatchObject([{ rule: 'otherSite', origin: 'null' }])
  })
})

test('an app window, as an installed PWA has it, is of the same origin: its form passes', async () => {
  const app = await checkedApp({ certificate, pages: servesFormPages })
  const profile = await launchProfile({}, ...anyHost, `--app=${at(app)}/page?to=/change`)
  onTestFinished(() => profile.close())
  const page = profile.context.pages()[0]!
  await page.waitForURL(`${at(app)}/page?to=/change`)
  expect(await page.evaluate("matchMedia('(display-mode: standalone)').matches")).toBe(true)
  app.arrived.length = 0
  await page.locator('button').click()
  await page.waitForURL(`${at(app)}/change`)
  expect(app.arrived).toMatchObject([{ method: 'POST', site: 'same-origin', status: 200 }])
})
