import { readFile } from 'node:fs/promises'
import type { ServerOptions } from 'node:https'
import type { Express } from 'express'
import type { BrowserContext } from 'playwright-core'
import type { Authority } from '../servers/certificates.ts'

// Pages with a form, on any host that leads to the app of a test, and a visitor who sends it.

/** Every name leads to this machine, by a certificate that no authority has to vouch for. */
export const anyHost = ['--host-resolver-rules=MAP * 127.0.0.1', '--ignore-certificate-errors']

export async function certificateOf(authority: Authority, host: string): Promise<ServerOptions> {
  const { certificate, key } = await authority.certify(host)
  return { cert: await readFile(certificate), key: await readFile(key) }
}

/** The page of a form. `to` is where it is sent. */
export const formPage = (to: string): string =>
  `<!doctype html><title>Page</title><form method="post" action="${to}"><button>Send</button></form>`

/** `/page?to=…` is a page with a form that is sent there. */
export function servesFormPages(app: Express): void {
  app.get('/page', (req, res) => void res.send(formPage(req.query['to'] as string)))
}

/** Sends the form of a page of `origin`, as its visitor does. @returns what the browser shows then */
export async function sendForm(
  context: BrowserContext,
  origin: string,
  to: string,
  page = '/page',
): Promise<string> {
  const tab = await context.newPage()
  const address = `${origin}${page}?to=${encodeURIComponent(to)}`
  await tab.goto(address)
  await Promise.all([tab.waitForURL((url) => !url.pathname.startsWith(page)), tab.click('button')])
  const text = await tab.innerText('body')
  await tab.close()
  return text
}
