import { hash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Agent, fetch } from 'undici'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { certifyHosts, type Domains, serveDomains } from './domains.ts'
import { FlowPage, normalised } from './flow-page.ts'
import { Visitor } from './visitor.ts'

// docs/handoff-flow.md is what this flow sends over HTTPS. UPDATE_FLOW=1 writes it anew.

const path = join(import.meta.dirname, '../../docs/handoff-flow.md')
const introduction = `# The hand-off, request by request

This page shows the [hand-off](handoff.md) as it goes over the wire, between a browser, the hub \`accounts.example\`, the
sites \`shop.example.org\` and \`blog.test\`, and the store that they share.

A test sends these requests over HTTPS and compares what comes back with this page. To write it anew, run
\`UPDATE_FLOW=1 npx vitest run test/handoff/flow.test.ts\`.

- **Requests** show the names of their cookies. **Responses** show \`Location\` and \`Set-Cookie\`. Each parameter of an
  address is on a line of its own.
- **Random values** are shortened to six characters and \`…\`. Ids begin with a time, so they are shortened to their end.
- **The store** is shown by what a request has changed in it: \`+\` was added, \`-\` is gone. A note is about a code, and its
  id is a hash of the code. Times and versions are left out.
- **Each redirect of the hand-off** also has \`Cache-Control: no-store\`, \`Referrer-Policy: no-referrer\`,
  \`X-Frame-Options: DENY\` and \`Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\`.`

/** As the introduction says. */
const headersOfTheHandOff = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}

let certificates: Awaited<ReturnType<typeof certifyHosts>>
let domains: Domains
let agent: Agent

beforeAll(async () => {
  certificates = await certifyHosts()
  domains = await serveDomains(certificates)
  agent = new Agent({
    connect: {
      ca: domains.ca,
      lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    },
  })
})
afterAll(async () => {
  await agent?.close()
  await domains?.close()
  await certificates?.authority.remove()
})

/** To the servers of this test, which have the names of the hub and the sites. */
const send: ConstructorParameters<typeof Visitor>[1] = (url, init) =>
  fetch(url, { ...init, dispatcher: agent }) as unknown as Promise<Response>

test('the page shows what goes over the wire, and what the store holds', async () => {
  const { hub, shop, blog } = domains.origins
  const newVisitor = () => new Visitor([], send)
  const visitor = newVisitor()
  const flow = new FlowPage(domains.database, new URL(hub).port)

  const asked = await flow.tell('Sign in at the first site', visitor, `${shop}/members`, [
    'The site has no session for this browser. It makes `state`, `nonce` and a PKCE verifier, keeps them in a cookie of its own, and sends the browser to the hub.',
    'The hub finds `client_id` and `redirect_uri` in its list. Nobody is signed in, so it sends the browser to its page to sign in at.',
    'The page shows a form.',
  ])
  const members = await flow.tell(
    'The user sends the form',
    visitor,
    asked.url,
    [
      '`signIn` stores the session of the hub, the root.',
      'The hub stores a note about a new code: what the code is bound to, and what it gives. Then it sends the code to the site.',
      'The site finds the flow in its cookie, and compares `iss`. It redeems the code: one conditional write marks the note as used. Then it stores the child, whose token names the root, and sets its own cookie.',
      'The site reads the child and its root, by one statement.',
    ],
    { method: 'POST', form: { user: 'ada' } },
  )
  expect(members.text).toContain('ada (Name of ada) at shop')

  await flow.tell('The second site, without a form', visitor, `${blog}/members`, [
    'The second site begins a flow of its own.',
    'The hub has a session for this browser, so it sends a code at once.',
    'The site redeems the code. It is another child of the same root, with a secret of its own.',
    'The user has seen no page of the hub.',
  ])

  const callback = visitor.log.find(({ url }) => url.startsWith(`${blog}/handoff/callback`))!
  await flow.tell('The address of the callback once more', visitor, callback.url, [
    'The code is used, and the child that it gave is the session of this browser. So nothing is done.',
    'The page again.',
  ])
  await flow.tell('The same address in another browser', newVisitor(), callback.url, [
    'That browser has not begun the flow. It gets an error, and the code has no effect.',
  ])

  await flow.tell('A silent check', newVisitor(), `${blog}/quiet`, [
    'Another browser opens a page with `site.check`. The site asks the hub to show no page: `prompt=none`.',
    'Nobody is signed in there.',
    'The site remembers for ten minutes that it has asked.',
    'The page, for a visitor.',
  ])

  // Ten minutes go by.
  domains.ageSignIns(600_000)
  const again = await flow.tell('A step-up', visitor, `${shop}/transfer`, [
    "Ten minutes later, the user opens a page with `site.signedIn({ within: '5m' })`. The site asks for a sign-in within 300 seconds: `max_age`.",
    'The last sign-in is older. The hub asks for a new one: `authenticated_after` is the time of this request.',
    'The page shows a form.',
  ])
  await flow.tell(
    'The user sends the form again',
    visitor,
    again.url,
    [
      '`signIn` of the same user gives the root a new token. The other child stays.',
      'The sign-in is new enough now.',
      'The site redeems the code. The browser has a child of this root already: it stays, with its data, and gets a new token.',
      'The page, for a user who has just proved who they are.',
    ],
    { method: 'POST', form: { user: 'ada' } },
  )

  await flow.tell(
    'Sign out at one site',
    visitor,
    `${blog}/handoff/sign-out`,
    [
      'The site ends its own child. Until the browser is closed, no silent check signs the user in again.',
      'The page, for a visitor.',
    ],
    { method: 'POST' },
  )
  await flow.tell(
    'Sign out at the hub',
    visitor,
    `${hub}/sign-out`,
    [
      'The hub ends the root. The row of the child stays until it expires, and nothing finds it.',
      'The page of the hub, for a visitor.',
    ],
    { method: 'POST' },
  )
  await flow.tell('The next request at the first site', visitor, shop, [
    'The cookie leads to a child, and its root is gone. So nobody is signed in.',
  ])

  const answers = visitor.log.filter(
    ({ status, url }) => status === 303 && /\/(?:authorize|handoff\/\w+)\?/.test(url),
  )
  for (const { headers } of answers) expect(Object.fromEntries(headers)).toMatchObject(headersOfTheHandOff)

  const page = await flow.text(introduction)
  if (process.env['UPDATE_FLOW'] === '1') await writeFile(path, page)
  const stored = await readFile(path, 'utf8')
  expect(normalised(stored), 'Run UPDATE_FLOW=1 npx vitest run test/handoff/flow.test.ts.').toBe(
    normalised(page),
  )
})

test('what is stored of a token is a hash that covers the site', async () => {
  const visitor = new Visitor([], send)
  const { hub, shop } = domains.origins
  await visitor.post(`${hub}/sign-in?returnTo=/`, { user: 'bob' })
  await visitor.open(`${shop}/members`)
  const tokenAt = (origin: string) =>
    /^s:(coat_[\w-]+)\./.exec(decodeURIComponent(visitor.jar(origin).get('__Host-sid')!))![1]!
  const rows = domains.database
    .prepare('SELECT secret_hash FROM coatcheck_sessions WHERE user_id = ? ORDER BY created_at')
    .all(Buffer.from('bob'))
  const stored = rows.map((row) => Buffer.from(row['secret_hash'] as Uint8Array).toString('hex'))
  expect(stored).toEqual([
    hash('sha256', tokenAt(hub)),
    hash('sha256', `coatcheck token of shop ${tokenAt(shop)}`),
  ])
})
