import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { keptIn, startDemo, type Demo } from './launcher.ts'
import { ask, devicesOf, fillIn, keepPicture, press, signIn } from './visitor.ts'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser?.close())

describe.for(['SQLite', 'MariaDB'] as const)('the partner, which is another site, on %s', (database) => {
  let demo: Demo
  const open: Page[] = []
  beforeAll(async () => {
    demo = await startDemo(await keptIn(database))
  })
  afterAll(() => demo?.stop())
  afterEach(() => Promise.all(open.splice(0).map((page) => page.context().close())))

  /** Somebody's browser, with cookies of its own. */
  async function visitor(options: BrowserContextOptions = {}): Promise<Page> {
    const page = await (await browser.newContext(options)).newPage()
    open.push(page)
    return page
  }

  /** What the pages do whatever keeps the sessions is tried once. */
  const isFirst = database === 'SQLite'
  const nameOn = (page: Page): Promise<string | null> => page.locator('#visitor').textContent()
  const noticeOf = (page: Page): Locator =>
    page.getByRole('alert').filter({ hasText: 'signed out elsewhere' })
  const panelOf = (page: Page): Locator => page.getByRole('region', { name: 'What just happened' })
  const wordsOf = (page: Page): Promise<string[]> => panelOf(page).locator('.story li').allTextContents()

  async function requestsOf(page: Page): Promise<string[]> {
    const texts = await panelOf(page).locator('summary').allTextContents()
    return texts.map((text) => text.trim().split(/\s+/).slice(0, 3).join(' '))
  }

  test('who signed in at accounts is known there without a form, and each step is told', async () => {
    const page = await visitor()
    await page.goto(demo.shop)
    await press(page.getByRole('button', { name: 'Add Scarf' }))
    await signIn(page, demo, 'alice')
    const visited: string[] = []
    page.on('request', (request) => {
      if (request.isNavigationRequest()) visited.push(request.url())
    })
    await page.goto(demo.partner)
    expect(await nameOn(page)).toBe('Alice')
    expect(visited.map((address) => address.split('?')[0])).toEqual([
      `${demo.partner}/`,
      `${demo.accounts}/authorize`,
      `${demo.partner}/handoff/callback`,
      `${demo.partner}/`,
    ])
    expect(await requestsOf(page)).toEqual([
      'GET / 303',
      'GET /authorize 303',
      'GET /handoff/callback 303',
      'GET / 200',
    ])
    expect(await wordsOf(page)).toEqual([
      expect.stringContaining('to ask silently'),
      expect.stringContaining('Accounts knows you'),
      expect.stringContaining('redeemed the code'),
      expect.stringContaining('It is signed in as alice'),
    ])
    await panelOf(page).getByRole('row', { name: 'is used' }).waitFor()

    // What accounts shares is the name, and nothing else of its data.
    const root = JSON.parse((await page.locator('pre.block').textContent())!) as Record<string, unknown>
    expect(root).toMatchObject({ userId: 'alice', data: { name: 'Alice' } })
    expect(await page.content()).not.toContain('scarf')
    // The code and what else is secret is shortened.
    const parameters = visited.flatMap((address) => [...new URL(address).searchParams])
    const secrets = parameters.filter(([name]) => /^(code|state|nonce|code_challenge)$/.test(name))
    expect(secrets.length).toBeGreaterThanOrEqual(5)
    for (const [name, secret] of secrets) expect(await page.content(), name).not.toContain(secret)

    const own = (await page.context().cookies(demo.partner)).find(({ name }) => name === 'sid')
    expect(own).toMatchObject({ domain: 'partner.localhost', httpOnly: true, sameSite: 'Lax' })
    await keepPicture(page, `partner-${database}`)
  })

  test('a page for users leads by the form of accounts and back, and keeps what the visitor chose', async () => {
    const page = await visitor()
    await page.goto(demo.partner)
    await press(page.getByRole('button', { name: 'Choose The Overcoat' }))
    await page.goto(`${demo.partner}/mine`)
    await page.waitForURL(`${demo.accounts}/sign-in?*`)
    expect(await requestsOf(page)).toEqual(['GET /mine 303', 'GET /authorize 303', 'GET /sign-in 200'])
    await fillIn(page, 'alice', 'guess')
    await page.getByRole('alert').getByText('Wrong name or password').waitFor()
    await fillIn(page, 'alice')
    await page.waitForURL(`${demo.partner}/mine`)
    await page.getByRole('button', { name: 'Drop The Overcoat' }).waitFor()
    expect(await requestsOf(page)).toEqual([
      'POST /sign-in 303',
      'GET /authorize 303',
      'GET /handoff/callback 303',
      'GET /mine 200',
    ])
    // What happened at the other site was told at this one.
    await page.goto(demo.shop)
    expect(await requestsOf(page)).toEqual(['GET / 200'])
    expect(await page.content()).not.toContain('overcoat&#34;')
  })

  test('who signs out there is signed out there only, and is not signed in again unasked', async () => {
    const page = await visitor()
    await signIn(page, demo, 'alice')
    await page.goto(demo.partner)
    await press(page.getByRole('button', { name: 'Sign out here' }))
    expect(await nameOn(page)).toBe('Not signed in')
    expect(await wordsOf(page)).toContainEqual(expect.stringContaining('accounts, is still there'))
    await page.goto(demo.partner)
    expect(await nameOn(page)).toBe('Not signed in')
    expect(await noticeOf(page).count()).toBe(0)
    await page.goto(demo.shop)
    expect(await nameOn(page)).toBe('Alice')

    await page.goto(demo.partner)
    await page.getByRole('link', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(`${demo.partner}/`)
    expect(await nameOn(page)).toBe('Alice')
  })

  test('who signs out everywhere there is signed out of all apps', async () => {
    const page = await visitor()
    await signIn(page, demo, 'alice')
    await page.goto(demo.partner)
    await press(page.getByRole('button', { name: 'Sign out everywhere' }))
    expect(await nameOn(page)).toBe('Not signed in')
    expect(await wordsOf(page)).toContainEqual(expect.stringContaining('So was its root'))
    await page.goto(demo.shop)
    expect(await nameOn(page)).toBe('Not signed in')
    expect((await page.goto(`${demo.api}/me`))!.status()).toBe(401)
  })

  test('who is signed out by another browser is told so, once at each site', async () => {
    const [here, elsewhere] = [await visitor(), await visitor()]
    await signIn(here, demo, 'bob')
    await here.goto(demo.partner)
    expect(await nameOn(here)).toBe('Bob')
    await signIn(elsewhere, demo, 'bob')
    await press(elsewhere.getByRole('button', { name: 'Sign out everywhere' }))

    await here.goto(demo.partner)
    await noticeOf(here).getByText('Bob’s session').waitFor()
    expect(await nameOn(here)).toBe('Not signed in')
    await keepPicture(here, `partner-ended-${database}`)
    await here.goto(demo.partner)
    expect(await noticeOf(here).count()).toBe(0)
    await here.goto(demo.shop)
    await noticeOf(here).getByText('Bob’s session').waitFor()
    await here.goto(demo.accounts)
    expect(await noticeOf(here).count()).toBe(0)
  })

  test.runIf(isFirst)('who signs out at accounts is told so at the partner', async () => {
    const page = await visitor()
    await signIn(page, demo, 'bob')
    await page.goto(demo.partner)
    await page.goto(demo.accounts)
    await press(page.getByRole('button', { name: 'Sign out here' }))
    expect(await noticeOf(page).count()).toBe(0)
    await page.goto(demo.partner)
    await noticeOf(page).getByText('by a sign-out').waitFor()
    expect(await nameOn(page)).toBe('Not signed in')
  })

  test('the list of devices shows the sites of each, and ends one of them', async () => {
    const page = await visitor()
    await signIn(page, demo, 'bob')
    await press(page.getByRole('button', { name: 'Sign out the others' }))
    expect(await devicesOf(page).count()).toBe(1)
    await page.goto(demo.partner)
    const ticket = await page.locator('.ticket .number').textContent()
    await page.goto(demo.accounts)
    const site = devicesOf(page).first().getByRole('listitem')
    expect(await site.count()).toBe(1)
    expect(await site.textContent()).toContain('partner.localhost')
    expect(await site.textContent()).toContain(ticket)
    await press(site.getByRole('button', { name: 'End' }))
    expect(await nameOn(page)).toBe('Bob')
    expect(await devicesOf(page).count()).toBe(1)

    // The partner may ask accounts anew, silently. Then it has another session.
    await page.goto(demo.partner)
    expect(await page.locator('.ticket .number').textContent()).not.toBe(ticket)
  })

  test.runIf(isFirst)('what comes back to a browser that has not asked for it signs nobody in', async () => {
    const [attacker, victim] = [await visitor(), await visitor()]
    await signIn(attacker, demo, 'bob')
    const [cookie] = await attacker.context().cookies(demo.accounts)
    // The attacker stops before the callback: the code is good and unused.
    const asBrowser = { 'Sec-Fetch-Dest': 'document', Accept: 'text/html' }
    const begun = await ask(`${demo.partner}/`, 'GET', asBrowser)
    const answered = await ask(begun.headers.location!, 'GET', {
      ...asBrowser,
      Cookie: `sid=${cookie!.value}`,
    })
    expect(answered.headers.location).toContain(`${demo.partner}/handoff/callback?code=`)
    expect((await victim.goto(answered.headers.location!))!.status()).toBe(400)
    await victim.getByRole('heading', { name: 'Sign-in not completed' }).waitFor()
    expect(await wordsOf(victim)).toContainEqual(expect.stringContaining('signed nobody in'))
    await victim.goto(demo.partner)
    expect(await nameOn(victim)).toBe('Not signed in')
  })
})
