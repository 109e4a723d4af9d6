import type { Express } from 'express'
import helmet from 'helmet'
import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { launchBrowser } from '../servers/chromium.ts'
import { checkedApp, type CheckedApp, type CheckedOptions, expectRefused } from './checked-app.ts'
import { anyHost, certificateOf, formPage, sendForm, servesFormPages } from './form-pages.ts'

// An app's own pages, and those that it works with, in Chromium: which are refused, what their developer sees, and the cure.

let authority: Authority
let browser: Browser
let context: BrowserContext
let certificate: CheckedOptions['certificate']

beforeAll(async () => {
  authority = await newAuthority()
  certificate = await certificateOf(authority, 'app.example.com')
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

const open = (options: CheckedOptions = {}) => checkedApp({ pages: servesFormPages, ...options })
const openByHttps = (options: CheckedOptions = {}) => open({ certificate: certificate!, ...options })
const http = ({ port }: CheckedApp, host: string) => `http://${host}:${port}`
const https = ({ port }: CheckedApp, host: string) => `https://${host}:${port}`

/** Runs a script in a page of that origin. */
async function act(origin: string, script: string): Promise<unknown> {
  const page = await context.newPage()
  await page.goto(`${origin}/page?to=/change`)
  const result = await page.evaluate<unknown>(script)
  await page.close()
  return result
}

describe('by plain HTTP, where browsers send no Sec-Fetch-Site,', () => {
  test.each(['intranet', 'wiki.intranet.test', 'INTRANET'])(
    'the own form of http://%s passes',
    async (host) => {
      const app = await open()
      expect(await sendForm(context, http(app, host), '/change')).toBe('changed by POST for a visitor')
      const origin = http(app, host.toLowerCase())
      expect(app.arrived).toEqual([
        { method: 'POST', path: '/change', site: undefined, origin, hasCookie: false, status: 200 },
      ])
    },
  )

  test('a page of another host is refused, and passes with csrf.own', async () => {
    const app = await open()
    const page = http(app, 'wiki')
    const text = await sendForm(context, page, `${http(app, 'intranet')}/change`)
    expectRefused(
      app,
      text,
      'otherOrigin',
      `It has the Origin '${page}', and came to 'intranet:${app.port}' by HTTP.`,
    )
    expect(app.changes()).toBe(0)
    await expect(open({ sessions: { sites: [page] } })).rejects.toThrow('is not encrypted')
    const cured = await open({ sessions: { csrf: { own: [page] } } })
    const answer = await sendForm(context, page, `${http(cured, 'intranet')}/change`)
    expect(answer).toBe('changed by POST for a visitor')
  })

  test('the words do not name sites, which takes no http: origin', async () => {
    const app = await open()
    const page = http(app, 'wiki')
    const text = await sendForm(context, page, `${http(app, 'intranet')}/change`)
    expect(text).not.toContain(`sites: ['${page}']`)
  })
})

describe('a page with helmet, which sets Referrer-Policy: no-referrer,', () => {
  // By plain HTTP, apps have to turn this directive off: it sends the form by HTTPS.
  const contentSecurityPolicy = { directives: { upgradeInsecureRequests: null } }
  const guarded = (more: Parameters<typeof helmet>[0] = {}) => ({
    pages: (app: Express) => {
      app.get(
        '/page',
        helmet({ contentSecurityPolicy, ...more }),
        (_req, res) => void res.send(formPage('/change')),
      )
    },
  })

  test('sends Origin: null, which passes by HTTPS, because Sec-Fetch-Site decides', async () => {
    const app = await openByHttps(guarded())
    await sendForm(context, https(app, 'app.example.com'), '/change')
    expect(app.arrived).toMatchObject([{ site: 'same-origin', origin: 'null', status: 200 }])
  })

  test('is refused by plain HTTP, and passes with Referrer-Policy: same-origin', async () => {
    const app = await open(guarded())
    const text = await sendForm(context, http(app, 'intranet'), '/change')
    expectRefused(
      app,
      text,
      'otherOrigin',
      "the Origin 'null'",
      'give it Referrer-Policy: same-origin',
      'Never list null',
    )
    expect(app.arrived).toMatchObject([{ site: undefined, origin: 'null', status: 403 }])
    const cured = await open(guarded({ referrerPolicy: { policy: 'same-origin' } }))
    await sendForm(context, http(cured, 'intranet'), '/change')
    expect(cured.arrived).toMatchObject([{ origin: http(cured, 'intranet'), status: 200 }])
  })

  test('by plain HTTP, its fetch has the origin all the same', async () => {
    const app = await open(guarded())
    expect(
      await act(http(app, 'intranet'), "fetch('/change', { method: 'POST' }).then(({ status }) => status)"),
    ).toBe(200)
  })
})

test('a beacon passes from an own page, and is refused from a page of another site', async () => {
  const app = await openByHttps()
  const url = `${https(app, 'app.example.com')}/change`
  const beacon = `navigator.sendBeacon(${JSON.stringify(url)}, 'left')`
  expect(await act(https(app, 'app.example.com'), beacon)).toBe(true)
  await expect.poll(() => app.arrived).toMatchObject([{ site: 'same-origin', status: 200 }])
  // Its page never gets to know.
  expect(await act(https(app, 'other.test'), beacon)).toBe(true)
  await expect.poll(() => app.told.map(({ rule }) => rule)).toEqual(['otherSite'])
  expect(app.changes()).toBe(1)
})

describe('a form in a sandboxed frame of an own page', () => {
  const framed = (sandbox: string): CheckedOptions => ({
    pages: (app) => {
      app.get('/page', (_req, res) => void res.send(`<iframe sandbox="${sandbox}" src="/frame"></iframe>`))
      app.get('/frame', (_req, res) => void res.send(formPage('/change')))
    },
  })
  async function sendFrame(app: CheckedApp): Promise<string> {
    const page = await context.newPage()
    await page.goto(`${https(app, 'app.example.com')}/page`)
    const frame = page.frameLocator('iframe')
    await frame.locator('button').click()
    return frame.locator('pre, body:not(:has(form))').first().innerText()
  }

  test('has no origin and is refused, until the sandbox allows the same one', async () => {
    const app = await openByHttps(framed('allow-forms'))
    expectRefused(app, await sendFrame(app), 'otherSite', "with the Origin 'null'", 'is sandboxed')
    expect(app.arrived).toMatchObject([{ site: 'cross-site', origin: 'null', status: 403 }])
    const cured = await openByHttps(framed('allow-forms allow-same-origin'))
    expect(await sendFrame(cured)).toBe('changed by POST for a visitor')
  })
})

describe('a form that a redirect (308) sends on to another host', () => {
  const redirecting = (to: string): CheckedOptions => ({
    pages: (app) => {
      servesFormPages(app)
      app.use((req, res, next) => {
        if (req.headers.host?.startsWith('example.com'))
          res.redirect(308, `${to}:${req.socket.localPort}${req.url}`)
        else next()
      })
    },
  })

  test.each(['www.example.com', 'example.com'])(
    'loses its origin, from a page of %s, and passes if it is sent to that host itself',
    async (host) => {
      const app = await openByHttps(redirecting('https://www.example.com'))
      const text = await sendForm(context, https(app, host), `${https(app, 'example.com')}/change`)
      expectRefused(
        app,
        text,
        'otherSite',
        'Sec-Fetch-Site is same-site',
        "the Origin 'null'",
        'was redirected',
      )
      expect(app.changes()).toBe(0)
      await sendForm(context, https(app, 'www.example.com'), '/change')
      expect(app.arrived.at(-1)).toMatchObject({ site: 'same-origin', status: 200 })
    },
  )

  test('is not told to set a Referrer-Policy, which cures nothing there', async () => {
    const app = await openByHttps(redirecting('https://www.example.com'))
    const text = await sendForm(context, https(app, 'www.example.com'), `${https(app, 'example.com')}/change`)
    expect(text).not.toContain('give it Referrer-Policy')
  })
})

describe('an identity provider that answers by a form post', () => {
  const routes = (app: Express) => {
    app.get('/start', (_req, res) => {
      res.cookie('signing-in', 'state', { sameSite: 'none', secure: true, httpOnly: true }).send('started')
    })
    app.post('/login/callback', (req, res) => void res.send(`signed in, with ${req.headers.cookie}`))
  }
  const host = 'app.example.com'

  let from: string
  beforeEach(async () => {
    from = https(await openByHttps(), 'login.provider.test')
  })

  /** A visitor with a session, and with the state of a sign-in, comes back from the provider by a form post. */
  async function comesBack(app: CheckedApp, path = '/login/callback'): Promise<string> {
    const page = await context.newPage()
    for (const each of ['/login', '/start']) await page.goto(https(app, host) + each)
    await page.close()
    app.arrived.length = 0
    return sendForm(context, from, https(app, host) + path)
  }

  test('is refused, with words that name csrf.accept', async () => {
    const app = await openByHttps({ routes })
    const text = await comesBack(app)
    expectRefused(app, text, 'otherSite', `sites: ['${from}']`, 'for that very path in csrf.accept')
    expect(app.told).toEqual([{ rule: 'otherSite', path: '/login/callback', origin: from }])
  })

  test.each(['*', 'its origin'])('passes with csrf.accept for that very path: %s', async (accepted) => {
    const accept = { '/login/callback': accepted === '*' ? ('*' as const) : [from] }
    const app = await openByHttps({ routes, sessions: { csrf: { accept } } })
    expect(await comesBack(app, '/login/callback?code=1')).toBe('signed in, with signing-in=state')
    // The session's own cookie is SameSite=Lax, and the state of the sign-in is not.
    expect(app.arrived).toMatchObject([{ site: 'cross-site', hasCookie: false, status: 200 }])
    for (const path of ['/x', '/', '%2f'].map((end) => `/login/callback${end}`).concat('/LOGIN/CALLBACK')) {
      expectRefused(app, await comesBack(app, path), 'otherSite')
      expect(app.arrived).toMatchObject([{ status: 403 }])
    }
    expect(app.changes()).toBe(0)
  })
})
