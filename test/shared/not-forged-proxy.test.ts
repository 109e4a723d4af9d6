import { readFile } from 'node:fs/promises'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request as ask } from 'node:https'
import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Authority, newAuthority } from '../servers/certificates.ts'
import { launchBrowser } from '../servers/chromium.ts'
import { freeNginxPorts, type Nginx, type NginxPorts, startNginx } from '../servers/nginx.ts'
import { checkedApp, type CheckedApp, expectRefused } from './checked-app.ts'
import { anyHost, sendForm, servesFormPages } from './form-pages.ts'

// An app behind nginx, which ends TLS, and puts the app's own address in place of the Host header unless it is told not to.

const host = 'app.example.com'
let authority: Authority
let files: { readonly certificate: string; readonly key: string }
let browser: Browser
let context: BrowserContext

beforeAll(async () => {
  authority = await newAuthority()
  files = await authority.certify(host)
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

/** An app with nginx in front of it. `own` gets the addresses of nginx. */
async function open(
  directives = '',
  own: (ports: NginxPorts) => readonly string[] = () => [],
): Promise<readonly [CheckedApp, Nginx]> {
  const ports = await freeNginxPorts()
  const app = await checkedApp({ pages: servesFormPages, sessions: { csrf: { own: own(ports) } } })
  const nginx = await startNginx({ ports, appPort: app.port, ...files, directives })
  onTestFinished(() => nginx.stop())
  return [app, nginx]
}

/** A form as a browser sends it that has no Sec-Fetch-Site, such as Safari before 16.4: by HTTPS, with the page's origin. */
async function postAsOldBrowser({ httpsPort: port }: Nginx): Promise<readonly [number, string]> {
  const request = ask({
    port,
    host: '127.0.0.1',
    servername: host,
    ca: await readFile(authority.ca),
    method: 'POST',
    path: '/change',
    headers: { host: `${host}:${port}`, origin: `https://${host}:${port}` },
    agent: false,
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  return [response.statusCode!, text]
}

describe('where nginx replaces the Host header,', () => {
  test('a browser that sends Sec-Fetch-Site passes', async () => {
    const [app, { httpsPort }] = await open()
    const text = await sendForm(context, `https://${host}:${httpsPort}`, '/change')
    expect(text).toBe('changed by POST for a visitor')
    expect(app.arrived).toMatchObject([{ site: 'same-origin', status: 200 }])
  })

  test('a browser that sends none is refused, with both cures in the words', async () => {
    const [app, nginx] = await open()
    const [status, text] = await postAsOldBrowser(nginx)
    expect(status).toBe(403)
    const origin = `https://${host}:${nginx.httpsPort}`
    expectRefused(
      app,
      text,
      'otherOrigin',
      `It has the Origin '${origin}', and came to '127.0.0.1:${app.port}' by HTTP.`,
      'have the proxy pass the Host header on',
      `csrf: { own: ['${origin}'] }`,
    )
    expect(app.told).toEqual([{ rule: 'otherOrigin', path: '/change', origin }])
  })

  test('so is a browser of today by plain HTTP, from any name but localhost', async () => {
    const [app, { httpPort }] = await open()
    const text = await sendForm(context, `http://intranet:${httpPort}`, '/change')
    expectRefused(app, text, 'otherOrigin', `csrf: { own: ['http://intranet:${httpPort}'] }`)
    await sendForm(context, `http://intranet.localhost:${httpPort}`, '/change')
    expect(app.arrived.at(-1)).toMatchObject({ site: 'same-origin', status: 200 })
  })

  test('csrf.own lets both in, and no other', async () => {
    const [app, nginx] = await open('', ({ httpPort, httpsPort }) => [
      `https://${host}:${httpsPort}`,
      `http://intranet:${httpPort}`,
    ])
    expect((await postAsOldBrowser(nginx))[0]).toBe(200)
    await sendForm(context, `http://intranet:${nginx.httpPort}`, '/change')
    expect(app.arrived.at(-1)).toMatchObject({ site: undefined, status: 200 })
    const text = await sendForm(
      context,
      `http://other.test:${nginx.httpPort}`,
      `http://intranet:${nginx.httpPort}/change`,
    )
    expectRefused(app, text, 'otherOrigin')
  })
})

describe('where nginx passes the Host header on', () => {
  test('with $http_host, both pass, and another origin does not', async () => {
    const [app, nginx] = await open('proxy_set_header Host $http_host;')
    expect((await postAsOldBrowser(nginx))[0]).toBe(200)
    await sendForm(context, `http://intranet:${nginx.httpPort}`, '/change')
    expect(app.arrived.at(-1)).toMatchObject({ site: undefined, status: 200 })
    const to = `http://intranet:${nginx.httpPort}/change`
    expectRefused(app, await sendForm(context, `http://other.test:${nginx.httpPort}`, to), 'otherOrigin')
    // By HTTP/2, which has no Host header, nginx makes one.
    await sendForm(context, `https://${host}:${nginx.httpsPort}`, '/change')
    expect(app.arrived.at(-1)).toMatchObject({ site: 'same-origin', status: 200 })
  })

  test('with $host, which has no port, an app at another port than 443 or 80 is still refused', async () => {
    const [app, nginx] = await open('proxy_set_header Host $host;')
    const [status, text] = await postAsOldBrowser(nginx)
    expect(status).toBe(403)
    expectRefused(app, text, 'otherOrigin', `came to '${host}' by HTTP`)
  })
})
