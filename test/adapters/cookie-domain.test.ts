import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import express, { type RequestHandler } from 'express'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { listen, secret } from './serve.ts'

let browser: Browser
beforeAll(async () => {
  // Every name leads to this machine.
  browser = await launchBrowser('--host-resolver-rules=MAP * 127.0.0.1')
})
afterAll(() => browser.close())

/** A page that counts its visits in the session, at a port of this machine. */
async function counter(middleware: RequestHandler): Promise<number> {
  const app = express().use(middleware)
  app.get('/', (request, response) => {
    const bag = request.session as { visits?: number }
    bag.visits = (bag.visits ?? 0) + 1
    response.send(String(bag.visits))
  })
  return (await listen(app)).port
}

/** How often each page says that its visitor was there, to a browser without cookies that opens one after the other. */
async function visitsOf(port: number, hosts: readonly string[]): Promise<number[]> {
  const context = await browser.newContext()
  onTestFinished(() => context.close())
  const page = await context.newPage()
  const visits: number[] = []
  for (const host of hosts) {
    await page.goto(`http://${host}:${port}/`)
    visits.push(Number(await page.innerText('body')))
  }
  return visits
}

/** The middleware of both forms, as an app gives them a cookie of this domain. */
const forms = {
  'session(sessions)': (domain: string) => {
    const sessions = createSessions({ store: new MemoryStore(), secret, sweep: false, cookie: { domain } })
    return session(sessions) as RequestHandler
  },
  'session(options)': (domain: string) =>
    session({ store: new session.MemoryStore(), secret, cookie: { domain } }) as RequestHandler,
}

function watchWarnings() {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  onTestFinished(() => warned.mockRestore())
  return {
    /** The messages of this code since the last look. */
    take(code: string): string[] {
      const calls = warned.mock.calls as unknown as [string, { code?: string } | undefined][]
      const messages = calls.filter(([, options]) => options?.code === code).map(([message]) => message)
      warned.mockClear()
      return messages
    },
  }
}

describe('a domain that Chromium shares with no other host', () => {
  test.each([
    ['localhost', 'app.localhost', /single label.*my\.localhost/],
    ['intranet', 'app.intranet', /single label.*my\.localhost/],
    ['co.uk', 'shop.co.uk', /public suffix.*example\.co\.uk/],
    ['github.io', 'me.github.io', /public suffix.*example\.github\.io/],
    ['127.0.0.1', '127.0.0.2', /IP address.*my\.localhost/],
  ])('is refused by createSessions, and the drop-in warns once: %s', async (domain, other, message) => {
    expect(() => forms['session(sessions)'](domain)).toThrow(
      expect.objectContaining({
        code: 'ERR_SESSION_OPTION',
        message: expect.stringMatching(message) as string,
      }) as Error,
    )
    const warnings = watchWarnings()
    const middleware = forms['session(options)'](domain)
    forms['session(options)'](`.${domain.toUpperCase()}`)
    expect(warnings.take('COATCHECK_COOKIE')).toEqual([expect.stringMatching(message)])
    expect(await visitsOf(await counter(middleware), [other, other])).toEqual([1, 1])
  })
})

test('a function that gives the cookie is warned of such a domain once, where the cookie is set', async () => {
  const warnings = watchWarnings()
  const middleware = session({
    store: new session.MemoryStore(),
    secret,
    cookie: () => ({ domain: 'printer' }),
  }) as RequestHandler
  const url = `http://127.0.0.1:${await counter(middleware)}/`
  expect(warnings.take('COATCHECK_COOKIE')).toEqual([])
  for (let visit = 0; visit < 2; visit++) await fetch(url, { headers: { 'x-forwarded-host': 'printer' } })
  expect(warnings.take('COATCHECK_COOKIE')).toEqual([expect.stringMatching(/"printer" is a single label/)])
})

describe.each(Object.entries(forms))('%s', (form, middlewareFor) => {
  test.each([
    ['my.localhost', 'app.my.localhost'],
    ['me.github.io', 'app.me.github.io'],
    ['example.co.uk', 'shop.example.co.uk'],
    ['corp.internal', 'app.corp.internal'],
  ])('takes %s, which Chromium shares with the hosts below it', async (domain, below) => {
    const warnings = watchWarnings()
    const port = await counter(middlewareFor(domain))
    expect(await visitsOf(port, [domain, below, domain, `also.${below}`])).toEqual([1, 2, 3, 4])
    expect(warnings.take('COATCHECK_COOKIE')).toEqual([])
    expect(warnings.take('COATCHECK_OUTSIDE_DOMAIN')).toEqual([])
  })

  test('warns once, with the reason, of a request to a host outside of the domain, whose cookie Chromium drops', async () => {
    const domain = form === 'session(sessions)' ? 'one.localhost' : 'two.localhost'
    const warnings = watchWarnings()
    const port = await counter(middlewareFor(domain))
    expect(await visitsOf(port, ['localhost', 'localhost', `not${domain}`])).toEqual([1, 1, 1])
    expect(warnings.take('COATCHECK_OUTSIDE_DOMAIN')).toEqual([
      expect.stringMatching(
        new RegExp(`browser drops.*domain is "${domain}".*came to "localhost".*leave cookie\\.domain out`),
      ),
    ])
  })

  test('reads a host whose port is empty, and an IPv6 address with brackets, with a port, or bare', async () => {
    const domain = form === 'session(sessions)' ? 'five.localhost' : 'six.localhost'
    const warnings = watchWarnings()
    for (const [host, shown] of [
      [`${domain}:`, undefined],
      [`shop.${domain}:8080`, undefined],
      ['[::1]:8080', '[::1]'],
      ['[::1]:', '[::1]'],
      ['[::1]', '[::1]'],
      ['::1', '::1'],
    ] as const) {
      // Each domain is warned of once.
      const own = `${Buffer.from(host).toString('hex')}.${domain}`
      const port = await counter(middlewareFor(shown === undefined ? domain : own))
      await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-forwarded-host': host } })
      const told = warnings
        .take('COATCHECK_OUTSIDE_DOMAIN')
        .map((message) => /came to "(.*?)"/.exec(message)?.[1])
      expect(told, host).toEqual(shown === undefined ? [] : [shown])
    }
  })

  test('goes by X-Forwarded-Host where a proxy changed Host', async () => {
    const domain = form === 'session(sessions)' ? 'three.localhost' : 'four.localhost'
    const warnings = watchWarnings()
    const url = `http://127.0.0.1:${await counter(middlewareFor(domain))}/`
    await fetch(url, { headers: { 'x-forwarded-host': `Shop.${domain}:8443, proxy` } })
    expect(warnings.take('COATCHECK_OUTSIDE_DOMAIN')).toEqual([])
    // Whoever sends a Host may send anything.
    await fetch(url, { headers: { 'x-forwarded-host': '<script>' } })
    const [message] = warnings.take('COATCHECK_OUTSIDE_DOMAIN')
    expect(message).toContain('came to another host')
    expect(message).not.toContain('script')
  })
})
