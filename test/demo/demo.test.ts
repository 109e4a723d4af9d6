import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { launchBrowser } from '../servers/chromium.ts'
import { keptIn, startDemo, type Demo } from './launcher.ts'
import { devicesOf, fillIn, keepPicture, press, signIn } from './visitor.ts'

let browser: Browser
beforeAll(async () => {
  browser = await launchBrowser()
})
afterAll(() => browser?.close())

describe.for(['SQLite', 'MariaDB', 'PostgreSQL', 'Redis'] as const)('the demo on %s', (database) => {
  let demo: Demo
  const contexts: BrowserContext[] = []

  beforeAll(async () => {
    demo = await startDemo(await keptIn(database))
  })
  afterAll(() => demo?.stop())
  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()))
  })

  /** Somebody's browser, with cookies of its own. */
  async function visitor(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, ...options })
    contexts.push(context)
    return context.newPage()
  }

  /** What the pages do whatever keeps the sessions is tried once. */
  const isFirst = database === 'SQLite'
  const picture = (page: Page, name: string) => keepPicture(page, `${name}-${database}`)

  test('a browser that only looks around has no session and no cookie', async () => {
    const page = await visitor()
    await page.goto(demo.shop)
    await page.getByText('No session here').waitFor()
    expect(await page.context().cookies()).toEqual([])
  })

  test('a cart from before signing in is there after it, and the API takes it as an order across origins', async () => {
    const page = await visitor()
    await page.goto(demo.shop)
    await press(page.getByRole('button', { name: 'Add Umbrella to the cart' }))
    await press(page.getByRole('button', { name: 'Add Umbrella to the cart' }))
    await page.getByText('2 × Umbrella').waitFor()
    const [before] = await page.context().cookies()
    const ticket = await page.locator('.ticket .number').textContent()

    await page.getByRole('link', { name: 'Sign in to order' }).click()
    await fillIn(page, 'alice')
    await page.waitForURL(`${demo.shop}/`)
    await page.getByText('2 × Umbrella').waitFor()
    expect(await page.locator('#visitor').textContent()).toBe('Alice')

    // Another token, the same session.
    const [after] = await page.context().cookies()
    expect(after).toMatchObject({ domain: '.demo.localhost', httpOnly: true, sameSite: 'Lax' })
    expect(after!.value).not.toBe(before!.value)
    expect(await page.locator('.ticket .number').textContent()).toBe(ticket)
    await page.locator('#calls').getByText('"name": "Alice"').waitFor()
    await picture(page, 'cart')

    await page.getByRole('button', { name: 'Place the order' }).click()
    // A string, because Playwright ignores how a text is wrapped only for strings, not for regular expressions.
    await page.getByText('is placed: 2 pieces for € 130').waitFor()
    expect(await page.getByRole('status').locator('strong').textContent()).toMatch(/^A-\d{4}$/)
    expect(await page.locator('#count').isHidden()).toBe(true)
    // Nothing that was read before the order is left on the page.
    await page.locator('#calls').getByText('"items": 0').waitFor()
    expect(await page.locator('#calls').getByText('"items": 2').count()).toBe(0)
    await demo.wrote(/^api +OPTIONS +\/orders +\S*204\S* .*preflight$/m)
    await demo.wrote(/^api +POST +\/orders +\S*201\S* .*alice$/m)
    await picture(page, 'ordered')
  })

  test.runIf(isFirst)('a wrong password signs nobody in', async () => {
    const page = await visitor()
    await page.goto(demo.accounts)
    await fillIn(page, 'alice', 'guess')
    await page.getByRole('alert').getByText('Wrong name or password').waitFor()
    expect(await page.context().cookies()).toEqual([])
  })

  test('each device of a person is listed, and is ended from another', async () => {
    const desk = await visitor()
    const phone = await visitor({
      userAgent:
        'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1',
    })
    const stranger = await visitor()
    await signIn(stranger, demo, 'alice')
    await signIn(desk, demo, 'bob')
    await press(desk.getByRole('button', { name: 'Sign out the others' }))
    await signIn(phone, demo, 'bob')

    await desk.reload()
    const devices = devicesOf(desk)
    expect(await devices.count()).toBe(2)
    const theirs = devices.filter({ hasText: 'Safari on iOS' })
    expect(await theirs.getByText('This device').count()).toBe(0)
    expect(await devices.filter({ hasText: 'Chrome on Linux' }).getByText('This device').count()).toBe(1)
    for (const [page, own] of [
      [desk, 'Chrome on Linux'],
      [phone, 'Safari on iOS'],
    ] as const) {
      await page.reload()
      expect(await devicesOf(page).first().textContent()).toContain(own)
      expect(await devicesOf(page).first().textContent()).toContain('This device')
    }
    await picture(desk, 'devices')

    await press(theirs.getByRole('button', { name: 'End' }))
    expect(await devices.count()).toBe(1)
    await phone.goto(demo.shop)
    expect(await phone.locator('#visitor').textContent()).toBe('Not signed in')
    expect((await phone.goto(`${demo.api}/me`))!.status()).toBe(401)

    await stranger.reload()
    expect(await stranger.locator('#visitor').textContent()).toBe('Alice')
  })

  test.runIf(isFirst)('who ends the session of this device is signed out, without a cookie', async () => {
    const page = await visitor()
    await signIn(page, demo, 'bob')
    await press(devicesOf(page).first().getByRole('button', { name: 'End' }))
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.context().cookies()).toEqual([])
  })

  test('who signs out in the shop is forgotten by accounts and the API', async () => {
    const page = await visitor()
    await signIn(page, demo, 'alice')
    const [cookie] = await page.context().cookies()
    await page.goto(demo.shop)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.locator('#visitor').getByText('Not signed in').waitFor()
    expect(await page.context().cookies()).toEqual([])

    await page.goto(demo.accounts)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await picture(page, 'signed-out')

    // Nor does a copy of the cookie work that somebody kept.
    await page.context().addCookies([cookie!])
    expect((await page.goto(`${demo.api}/me`))!.status()).toBe(401)
    await page.getByText('"Nobody is signed in."').waitFor()
  })

  test.runIf(isFirst)(
    'a shop left open in another tab notices the sign-out when it is looked at again',
    async () => {
      const shop = await visitor()
      await signIn(shop, demo, 'alice')
      await shop.goto(demo.shop)
      await shop.locator('#visitor').getByText('Alice').waitFor()
      const accounts = await shop.context().newPage()
      await accounts.goto(demo.accounts)
      await accounts.getByRole('button', { name: 'Sign out', exact: true }).click()
      await accounts.getByRole('heading', { name: 'Sign in' }).waitFor()

      await shop.evaluate(comeToTheFront)
      await shop.locator('#visitor').getByText('Not signed in').waitFor()
      expect(await shop.locator('body').getAttribute('data-user')).toBe('')
    },
  )

  test.runIf(isFirst)(
    'a shop left open in another tab shows what another tab put into the cart',
    async () => {
      const shop = await visitor()
      await shop.goto(demo.shop)
      const other = await shop.context().newPage()
      await other.goto(demo.shop)
      await press(other.getByRole('button', { name: 'Add Hanger to the cart' }))
      await shop.evaluate(comeToTheFront)
      await shop.getByText('1 × Hanger').waitFor()
      expect(await shop.locator('body').getAttribute('data-items')).toBe('1')
    },
  )

  test('who signs out the others stays; who signs out everywhere is gone from all browsers', async () => {
    const [first, second, third] = await Promise.all([visitor(), visitor(), visitor()])
    await signIn(first, demo, 'bob')
    await signIn(second, demo, 'bob')
    await first.goto(demo.accounts)
    await press(first.getByRole('button', { name: 'Sign out the others' }))
    await first.waitForURL(`${demo.accounts}/`)
    await first.getByRole('heading', { name: 'Welcome, Bob' }).waitFor()
    await second.goto(demo.shop)
    expect(await second.locator('#visitor').textContent()).toBe('Not signed in')

    await signIn(third, demo, 'bob')
    await first.getByRole('button', { name: 'Sign out everywhere' }).click()
    await first.getByRole('heading', { name: 'Sign in' }).waitFor()
    await third.goto(demo.shop)
    expect(await third.locator('#visitor').textContent()).toBe('Not signed in')
    expect((await third.goto(`${demo.api}/me`))!.status()).toBe(401)
    expect(await first.context().cookies()).toEqual([])
  })

  test.runIf(isFirst)('who signs in as somebody else does not get the cart of the one before', async () => {
    const page = await visitor()
    await signIn(page, demo, 'alice')
    await page.goto(demo.shop)
    await page.getByRole('button', { name: 'Add Scarf to the cart' }).click()
    await page.getByText('1 × Scarf').waitFor()
    await page.goto(demo.accounts)
    await page.evaluate(sendSignIn(demo.accounts, 'bob'))
    await page.waitForURL(`${demo.shop}/`)
    expect(await page.locator('#visitor').textContent()).toBe('Bob')
    await page.getByText('Nothing in it yet.').waitFor()
  })

  test.runIf(isFirst)("another host's page cannot sign a visitor in as somebody else", async () => {
    const page = await visitor(asAttacker)
    await page.goto(demo.shop)
    await page.evaluate(sendSignIn(demo.accounts, 'bob'))
    await page.getByRole('main').getByText(`with the Origin '${demo.shop}'`).waitFor()
    expect(await page.context().cookies()).toEqual([])
  })

  test.runIf(isFirst)('a page that is not trusted cannot read the API, nor order through it', async () => {
    const page = await visitor(asAttacker)
    await signIn(page, demo, 'alice')
    await page.goto(demo.shop)
    await page.getByRole('button', { name: 'Add Hanger to the cart' }).click()
    await page.getByText('1 × Hanger').waitFor()
    // The same site to a browser, so the cookie goes along: only its origin tells it from the shop.
    await page.goto(demo.shop.replace('shop.', 'stranger.'))
    expect(await page.evaluate(outcomeOf(`${demo.api}/me`, `{ credentials: 'include' }`))).toBe('refused')
    const json = `{ method: 'POST', credentials: 'include', headers: { 'Content-Type': 'application/json' }, body: '{}' }`
    expect(await page.evaluate(outcomeOf(`${demo.api}/orders`, json))).toBe('refused')
    // A request like a form's, which no preflight comes before, does reach the API: there its origin is looked at.
    const plain = `{ method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}' }`
    expect(await page.evaluate(outcomeOf(`${demo.api}/orders`, plain))).toBe('answered')
    await demo.wrote(/^api +POST +\/orders +\S*403/m)

    await page.goto(demo.shop)
    await page.getByText('1 × Hanger').waitFor()
  })

  test('no token is in what the demo writes', async () => {
    const page = await visitor()
    await signIn(page, demo, 'alice')
    const [cookie] = await page.context().cookies()
    await demo.wrote(/^accounts +GET +\/ +\S*200\S* .*alice$/m)
    const token = decodeURIComponent(cookie!.value).slice(2).split('.')[0]!
    expect(token).toHaveLength(53)
    expect(demo.output()).not.toContain(token)
  })
})

/** An attacker's page has no Content-Security-Policy that would keep it from sending. */
const asAttacker: BrowserContextOptions = { bypassCSP: true }

// Scripts for pages, as text: the tests are compiled for Node, which has no document.

/** Headless pages are always visible: this says what a browser says when a tab comes to the front. */
const comeToTheFront = `document.dispatchEvent(new Event('visibilitychange'))`

/** Sends the sign-in form from whatever page this runs in. */
function sendSignIn(accounts: string, name: string): string {
  return `
    const form = Object.assign(document.createElement('form'), { method: 'post', action: '${accounts}/sign-in' })
    for (const [name, value] of Object.entries({ name: '${name}', password: 'ticket', from: 'shop' })) {
      form.append(Object.assign(document.createElement('input'), { name, value }))
    }
    document.body.append(form)
    form.submit()`
}

function outcomeOf(address: string, init: string): string {
  return `fetch('${address}', ${init}).then(() => 'answered', () => 'refused')`
}
