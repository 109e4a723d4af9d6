import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createSessions, MemoryStore } from 'coatcheck'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import express from 'express'
import { WebSocketServer } from 'ws'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { launchBrowser } from '../servers/chromium.ts'

// A bank, and pages of five origins that all try to have their visitor's browser change something there. In Chromium, by HTTPS.

const bank = 'bank.example.com'
const listed = ['shop.example.com', 'partner.test']
/** Where the page stands, as the browser sees it from the bank. */
const pages = {
  [bank]: 'same-origin',
  'shop.example.com': 'same-site',
  'blog.example.com': 'same-site',
  'partner.test': 'cross-site',
  'evil.test': 'cross-site',
} as const

/** What a page does, as a script in it. Each gives what the page gets to know. */
const ways: Record<string, (url: string) => string> = {
  'a form': (url) => `new Promise(() => {
    const form = Object.assign(document.createElement('form'), { method: 'post', action: ${JSON.stringify(url)} })
    document.body.append(form)
    form.submit()
  })`,
  'a fetch that needs no preflight': (url) =>
    `fetch(${JSON.stringify(url)}, { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"text":1}' }).then(() => 'sent')`,
  'a fetch without credentials': (url) =>
    `fetch(${JSON.stringify(url)}, { method: 'POST', mode: 'no-cors', credentials: 'omit' }).then(() => 'sent')`,
  'a fetch with a preflight': (url) =>
    `fetch(${JSON.stringify(url)}, { method: 'PUT', credentials: 'include' }).then((response) => response.text(), () => 'failed')`,
  'a WebSocket': (url) => `new Promise((resolve) => {
    const socket = new WebSocket(${JSON.stringify(url.replace('https:', 'wss:'))})
    socket.onopen = () => resolve('opened')
    socket.onerror = () => resolve('failed')
  })`,
}

/** What the page, or its visitor, gets to know: where it is trusted, and where not. Of the other ways, only that it was sent. */
const learns: Readonly<Record<string, readonly [string, string]>> = {
  'a form': ['changed', 'another site may have sent it'],
  'a fetch with a preflight': ['changed', 'failed'],
  'a WebSocket': ['opened', 'failed'],
}

/** What reached the bank, besides preflights. */
interface Arrived {
  readonly hasCookie: boolean
  readonly status: number
}

let authority: Authority
let server: Server
let browser: Browser
let port: number
let changes = 0
let arrived: Arrived[] = []
let preflights: number[] = []

beforeAll(async () => {
  authority = await newAuthority()
  const { certificate, key } = await authority.certify(bank)
  server = createServer({ cert: await readFile(certificate), key: await readFile(key) })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
  serveBank()
  browser = await launchBrowser('--host-resolver-rules=MAP * 127.0.0.1', '--ignore-certificate-errors')
})
afterAll(async () => {
  await browser?.close()
  server?.closeAllConnections()
  server?.close()
  await authority?.remove()
})
beforeEach(() => {
  arrived = []
  preflights = []
  changes = 0
})

function serveBank(): void {
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'a secret of the bank alone',
    sweep: false,
    sites: listed.map((host) => `https://${host}:${port}`),
  })
  const app = express()
  app.use(cors(sessions), session(sessions))
  app.get('/login', async (req, res) => {
    await req.session.signIn('ada')
    res.send('signed in')
  })
  app.all('/change', (_req, res) => {
    changes++
    res.send('changed')
  })
  const isOfBank = ({ headers }: IncomingMessage) => headers.host === `${bank}:${port}`
  server.on('request', (request, response) => {
    if (!isOfBank(request) || request.url === '/page')
      return void response.setHeader('Content-Type', 'text/html').end('<p>Page')
    response.on('finish', () => {
      const { statusCode: status } = response
      if (request.method === 'OPTIONS') preflights.push(status)
      else if (request.url === '/change') arrived.push({ hasCookie: hasCookie(request), status })
    })
    app(request, response)
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    const { method = '', url = '', headers } = request
    const { host, origin, referer } = headers
    const secFetchSite = headers['sec-fetch-site'] as string | undefined
    const facts = { method, url, host, origin, referer, secFetchSite, isUpgrade: true, secure: true }
    const { allowed } = sessions.csrf!.judge(facts)
    arrived.push({ hasCookie: hasCookie(request), status: allowed ? 101 : 403 })
    if (!allowed) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    changes++
    sockets.handleUpgrade(request, socket, head, (opened) => opened.close())
  })
}

const hasCookie = ({ headers }: IncomingMessage): boolean => headers.cookie?.includes('__Host-sid=') ?? false

/** A page of that host, in a browser whose user is signed in at the bank. */
async function pageOf(context: BrowserContext, host: string): Promise<Page> {
  const page = await context.newPage()
  await page.goto(`https://${bank}:${port}/login`)
  await page.goto(`https://${host}:${port}/page`)
  return page
}

describe.each(Object.entries(pages))('a page of %s (%s)', (host, site) => {
  test.each(Object.entries(ways))('%s', async (way, script) => {
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    const page = await pageOf(context, host)
    const url = `https://${bank}:${port}/change`
    const isForm = way === 'a form'
    const answered = isForm ? page.waitForURL(url) : undefined
    const acting = page.evaluate<string>(script(url)).catch(() => 'left')
    const outcome = isForm ? await answered!.then(() => page.textContent('body')) : await acting
    await context.close()

    const isTrusted = host === bank || listed.includes(host)
    const isPreflighted = way === 'a fetch with a preflight' && host !== bank
    const isSocket = way === 'a WebSocket'
    // sites lists one on another site, so the cookie is SameSite=None: forms bring it, and only the check refuses them. This
    // browser keeps it from what is sent beside a page of another site, as private windows do.
    const bringsCookie = way !== 'a fetch without credentials' && (site !== 'cross-site' || way === 'a form')
    const passed = isSocket ? 101 : 200
    // A preflight that is denied ends there.
    const sent = isTrusted || !isPreflighted
    expect(arrived).toEqual(sent ? [{ hasCookie: bringsCookie, status: isTrusted ? passed : 403 }] : [])
    expect(preflights).toEqual(isPreflighted ? [isTrusted ? 204 : 403] : [])
    expect(changes).toBe(isTrusted ? 1 : 0)
    const [learned, otherwise] = learns[way] ?? ['sent', 'sent']
    expect(outcome).toContain(isTrusted ? learned : otherwise)
  })
})
