import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { launchProfile, type Profile } from '../servers/chromium.ts'
import { certifyHosts, type Domains, type DomainsOptions, hosts, serveDomains } from './domains.ts'

// One login across unrelated domains, in Chromium, by HTTPS and real host names, with third-party cookies blocked.

let certificates: Awaited<ReturnType<typeof certifyHosts>>
let profile: Profile
let context: BrowserContext

beforeAll(async () => {
  certificates = await certifyHosts()
  const blocksThirdPartyCookies = { profile: { cookie_controls_mode: 1 } }
  profile = await launchProfile(blocksThirdPartyCookies, '--host-resolver-rules=MAP * 127.0.0.1')
  context = profile.context
})
afterAll(async () => {
  await profile?.close()
  await certificates?.authority.remove()
})
beforeEach(() => context.clearCookies())

/** What the browser loaded as the page in its address bar, redirects included: `303 accounts.example/authorize`. */
function trail(page: Page): string[] {
  const seen: string[] = []
  page.on('response', (response) => {
    const request = response.request()
    if (!request.isNavigationRequest() || request.frame() !== page.mainFrame()) return
    const { hostname, pathname } = new URL(response.url())
    seen.push(`${response.status()} ${hostname}${pathname}`)
  })
  return seen
}

async function newPage(): Promise<Page> {
  const page = await context.newPage()
  onTestFinished(() => page.close())
  return page
}

const heading = (page: Page) => page.innerText('h1')

async function headingAt(page: Page, url: string): Promise<string> {
  await page.goto(url)
  return heading(page)
}

/** Fills in the form of the hub, and waits until the browser has left it. */
async function submitForm(page: Page, user: string): Promise<void> {
  await page.fill('input', user)
  await page.click('text=Sign in >> nth=-1')
  await page.waitForURL((url) => url.pathname !== '/sign-in')
}

async function signInAtHub(page: Page, { origins }: Domains, user = 'ada'): Promise<void> {
  await page.goto(`${origins.hub}/sign-in`)
  await submitForm(page, user)
}

describe('with the defaults', () => {
  let domains: Domains
  let shop: string
  let blog: string
  let hub: string

  beforeAll(async () => {
    domains = await serveDomains(certificates)
    ;({ shop, blog, hub } = domains.origins)
  })
  afterAll(() => domains?.close())
  beforeEach(() => domains.database.exec('DELETE FROM coatcheck_sessions'))

  const ada = (site: string) => `ada (Name of ada) at ${site}`
  const nobody = (site: string) => `nobody (nobody) at ${site}`

  test('this browser blocks third-party cookies', async () => {
    const page = await newPage()
    await page.goto(hub)
    const cookie = { name: 'third', value: '1', url: hub, sameSite: 'None', secure: true } as const
    await context.addCookies([cookie])
    const sent = async (from: string) => {
      await page.goto(from)
      const asked = page.waitForRequest(`${hub}/asked`)
      await page.evaluate(`void fetch('${hub}/asked', { mode: 'no-cors', credentials: 'include' })`)
      const request = await asked
      await request.response()
      return (await request.allHeaders())['cookie']
    }
    expect(await sent(hub)).toContain('third=1')
    expect(await sent(shop)).toBeUndefined()
  })

  test('a user signs in once at the hub, and two other domains know them without a form', async () => {
    const page = await newPage()
    const seen = trail(page)
    await page.goto(`${shop}/members`)
    expect(await heading(page)).toBe('Sign in at the hub')
    await submitForm(page, 'ada')
    expect([page.url(), await heading(page)]).toEqual([`${shop}/members`, ada('shop')])
    expect(await headingAt(page, `${blog}/members`)).toBe(ada('blog'))
    const roundTrip = (site: string) => [
      '303 accounts.example/authorize',
      `303 ${site}/handoff/callback`,
      `200 ${site}/members`,
    ]
    expect(seen).toEqual([
      '303 shop.example.org/members',
      '303 accounts.example/authorize',
      '200 accounts.example/sign-in',
      '303 accounts.example/sign-in',
      ...roundTrip('shop.example.org'),
      '303 blog.test/members',
      ...roundTrip('blog.test'),
    ])
  })

  /** A page, for a user whom the hub and both sites know. */
  async function knownEverywhere(): Promise<Page> {
    const page = await newPage()
    await signInAtHub(page, domains)
    expect(await headingAt(page, `${shop}/members`)).toBe(ada('shop'))
    expect(await headingAt(page, `${blog}/members`)).toBe(ada('blog'))
    return page
  }

  test('a sign-out on one site ends that site alone', async () => {
    const page = await knownEverywhere()
    await page.goto(shop)
    await page.click('text=Sign out here')
    await expect.poll(() => heading(page)).toBe(nobody('shop'))
    expect(await headingAt(page, blog)).toBe(ada('blog'))
    expect(await headingAt(page, hub)).toBe('ada at hub')
    // Nothing signs them in again behind their back. A page that asks for it does, without a form.
    expect(await headingAt(page, `${shop}/quiet`)).toBe(nobody('shop'))
    expect(await headingAt(page, `${shop}/members`)).toBe(ada('shop'))
  })

  test('a sign-out at the hub ends all, on the next request', async () => {
    const page = await knownEverywhere()
    const others = await Promise.all(
      [shop, blog].map(async (origin) => {
        const other = await newPage()
        await other.goto(origin)
        return other
      }),
    )
    await page.goto(hub)
    await page.click('text=Sign out')
    await expect.poll(() => heading(page)).toBe('nobody at hub')
    const after = others.map(async (other) => {
      await other.reload()
      return heading(other)
    })
    expect(await Promise.all(after)).toEqual([nobody('shop'), nobody('blog')])
    expect(await headingAt(page, `${blog}/members`)).toBe('Sign in at the hub')
  })

  test('revokeAll ends all, on the next request', async () => {
    const page = await knownEverywhere()
    await domains.sessions.user('ada').revokeAll()
    expect(await headingAt(page, shop)).toBe(nobody('shop'))
    expect(await headingAt(page, blog)).toBe(nobody('blog'))
    expect(await headingAt(page, hub)).toBe('nobody at hub')
  })

  test('a sign-in as another user at the hub ends all of the user before', async () => {
    const page = await knownEverywhere()
    await signInAtHub(page, domains, 'bob')
    expect(await headingAt(page, shop)).toBe(nobody('shop'))
    expect(await headingAt(page, `${blog}/members`)).toBe('bob (Name of bob) at blog')
    expect(await headingAt(page, `${shop}/members`)).toBe('bob (Name of bob) at shop')
  })

  test('a sign-out that begins at a site ends all, and returns to a safe address there', async () => {
    const page = await knownEverywhere()
    await page.goto(shop)
    await page.click('text=Sign out everywhere')
    await page.waitForURL(`${shop}/goodbye?from=all`)
    expect(await heading(page)).toBe(nobody('shop'))
    expect(await headingAt(page, blog)).toBe(nobody('blog'))
    expect(await headingAt(page, hub)).toBe('nobody at hub')

    await signInAtHub(page, domains)
    await page.goto(`${shop}/members`)
    await page.click('text=Sign out to evil')
    await page.waitForURL(`${shop}/`)
    expect(await headingAt(page, hub)).toBe('nobody at hub')
  })

  test('a silent check shows no page, asks once, and finds who is signed in', async () => {
    const page = await newPage()
    const seen = trail(page)
    expect(await headingAt(page, `${shop}/quiet`)).toBe(nobody('shop'))
    expect(seen).toEqual([
      '303 shop.example.org/quiet',
      '303 accounts.example/authorize',
      '303 shop.example.org/handoff/callback',
      '200 shop.example.org/quiet',
    ])
    await page.reload()
    expect(seen.slice(4)).toEqual(['200 shop.example.org/quiet'])
    await signInAtHub(page, domains)
    expect(await headingAt(page, `${blog}/quiet?page=2`)).toBe(ada('blog'))
    expect(page.url()).toBe(`${blog}/quiet?page=2`)
  })

  test('a step-up asks for the password again, and only then', async () => {
    const page = await knownEverywhere()
    expect(await headingAt(page, `${shop}/transfer`)).toBe(ada('shop'))
    domains.ageSignIns(600_000)
    expect(await headingAt(page, `${shop}/members`)).toBe(ada('shop'))
    expect(await headingAt(page, `${shop}/transfer`)).toBe('Sign in at the hub')
    // Going on without it does not help.
    const authorize = new URL(page.url()).searchParams.get('returnTo')!
    expect(await headingAt(page, hub + authorize)).toBe('Sign in at the hub')
    const without = new URL(hub + authorize)
    without.searchParams.delete('authenticated_after')
    expect(await headingAt(page, without.href)).toBe('ERR_SESSION_HANDOFF_FAILED')
    await page.goto(`${shop}/transfer`)
    await submitForm(page, 'ada')
    expect([page.url(), await heading(page)]).toEqual([`${shop}/transfer`, ada('shop')])
  })

  test('the back button and a reload find the user signed in', async () => {
    const page = await newPage()
    await page.goto(shop)
    await page.click('text=Members')
    const called = page.waitForRequest((request) => request.url().includes('/handoff/callback'))
    await submitForm(page, 'ada')
    const callback = (await called).url()
    await page.reload()
    expect(await heading(page)).toBe(ada('shop'))
    await page.goBack()
    expect(await heading(page)).toBe('Sign in at the hub')
    await page.goBack()
    await page.reload()
    expect([page.url(), await heading(page)]).toEqual([`${shop}/`, ada('shop')])
    await page.goForward()
    await page.goForward()
    expect([page.url(), await heading(page)]).toEqual([`${shop}/members`, ada('shop')])
    // The history has no address of the callback, but a program may have kept it.
    const seen = trail(page)
    expect(await headingAt(page, callback)).toBe(ada('shop'))
    expect(seen).toEqual(['303 shop.example.org/handoff/callback', '200 shop.example.org/members'])
  })

  test('two tabs that sign in at once both arrive', async () => {
    const tabs = await Promise.all([newPage(), newPage()])
    await Promise.all(tabs.map((tab, index) => tab.goto(`${shop}/members?tab=${index}`)))
    for (const tab of tabs) await submitForm(tab, 'ada')
    for (const [index, tab] of tabs.entries()) {
      expect([tab.url(), await heading(tab)]).toEqual([`${shop}/members?tab=${index}`, ada('shop')])
      await tab.reload()
      expect(await heading(tab)).toBe(ada('shop'))
    }
    const [root, ...others] = await domains.sessions.user('ada').list()
    expect([others, root!.sites.map(({ clientId }) => clientId)]).toEqual([[], ['shop']])
  })

  test('two tabs that the hub knows both arrive at once', async () => {
    const page = await newPage()
    await signInAtHub(page, domains)
    const tabs = await Promise.all([newPage(), newPage()])
    const arrived = await Promise.all(
      tabs.map((tab, index) => headingAt(tab, `${shop}/members?tab=${index}`)),
    )
    expect(arrived).toEqual([ada('shop'), ada('shop')])
    await Promise.all(tabs.map((tab) => tab.reload()))
    expect(await Promise.all(tabs.map(heading))).toEqual([ada('shop'), ada('shop')])
  })

  test('a page in a frame is refused', async () => {
    const page = await newPage()
    const asked = page.waitForRequest((request) => request.url().includes('/authorize'))
    await page.goto(`${shop}/members`)
    const authorize = (await asked).url()
    await submitForm(page, 'ada')
    const shown = async (url: string) => {
      const answered = page.waitForResponse((response) => response.request().frame() !== page.mainFrame())
      await page.goto(`${domains.origins.evil}/frame?of=${encodeURIComponent(url)}`)
      const response = await answered
      return [response.status(), await page.frameLocator('iframe').locator('h1').innerText()]
    }
    expect(await shown(`${shop}/members`)).toEqual([401, 'ERR_SESSION_SIGN_IN_NEEDED'])
    // Not even the page of the error is shown in a frame.
    const blocked = expect.stringContaining('is blocked') as string
    expect(await shown(authorize)).toEqual([400, blocked])
    expect(await shown(`${shop}/handoff/callback?code=${'a'.repeat(43)}&state=b`)).toEqual([400, blocked])
  })

  test('a form of the hub that is sent again finds the user signed in', async () => {
    const page = await newPage()
    await page.goto(`${shop}/members`)
    await submitForm(page, 'ada')
    await page.goBack()
    await submitForm(page, 'ada')
    expect([page.url(), await heading(page)]).toEqual([`${shop}/`, ada('shop')])
  })

  test('no code stays in a Referer', async () => {
    const page = await newPage()
    const referers: (string | undefined)[] = []
    page.on('request', (request) => referers.push(request.headers()['referer']))
    await page.goto(`${shop}/members`)
    await submitForm(page, 'ada')
    expect(await page.evaluate('document.referrer')).toBe('')
    await page.click('text=Members')
    await page.waitForLoadState()
    expect(referers.filter((referer) => referer?.includes('code='))).toEqual([])
    expect(referers).toContain(`${shop}/members`)
  })

  test('the cookies are __Host-, HttpOnly, Secure and SameSite=Lax, and each is for one host', async () => {
    const page = await newPage()
    await page.goto(`${shop}/members`)
    const client = await context.newCDPSession(page)
    const cookies = async () => {
      const { cookies: all } = await client.send('Storage.getCookies')
      return all.toSorted((one, other) => (one.domain + one.name < other.domain + other.name ? -1 : 1))
    }
    const strict = { path: '/', httpOnly: true, secure: true, sameSite: 'Lax' }
    const [flow, ...more] = await cookies()
    expect(more).toEqual([])
    expect(flow).toMatchObject({ ...strict, domain: hosts.shop, session: false })
    expect(flow!.name).toMatch(/^__Host-handoff\.[\w-]{12}$/)
    const life = flow!.expires - Date.now() / 1_000
    expect([life > 200, life <= 301]).toEqual([true, true])

    await submitForm(page, 'ada')
    await page.goto(`${blog}/members`)
    const session = { ...strict, name: '__Host-sid', session: true }
    const mark = { ...strict, name: '__Host-handoff-mark', value: 'done', session: false }
    const after = await cookies()
    expect(after).toMatchObject([
      { ...session, domain: hosts.hub },
      { ...mark, domain: hosts.blog },
      { ...session, domain: hosts.blog },
      { ...mark, domain: hosts.shop },
      { ...session, domain: hosts.shop },
    ])
    expect(after).toHaveLength(5)
    expect(new Set(after.filter(({ name }) => name === '__Host-sid').map(({ value }) => value)).size).toBe(3)
    expect(await page.evaluate('document.cookie')).toBe('')
  })
})

describe('traps', () => {
  /** Serves the apps with other options than the defaults. */
  async function served(options: DomainsOptions): Promise<Domains> {
    const domains = await serveDomains(certificates, options)
    onTestFinished(() => domains.close())
    return domains
  }

  test.each([
    { policy: "form-action 'self'", goesOnBy: 'redirect', isBlocked: true },
    { policy: "form-action 'self' and the sites", goesOnBy: 'redirect', isBlocked: false },
    { policy: "form-action 'self'", goesOnBy: 'page', isBlocked: false },
  ] as const)(
    'a sign-in page with $policy, and a $goesOnBy: blocked $isBlocked',
    async ({ policy, goesOnBy, isBlocked }) => {
      const signInPolicy: DomainsOptions['signInPolicy'] = ({ shop, blog }) =>
        policy.replace('and the sites', `${shop} ${blog}`)
      const { origins } = await served({ signInPolicy, goesOnBy })
      const page = await newPage()
      const problems: string[] = []
      page.on('console', (message) => problems.push(message.text()))
      await page.goto(`${origins.shop}/members`)
      await page.fill('input', 'ada')
      await page.click('text=Sign in >> nth=-1')
      if (!isBlocked) await page.waitForURL(`${origins.shop}/members`)
      const violation = /violates .* directive: "form-action 'self'"/
      await expect.poll(() => violation.test(problems.join())).toBe(isBlocked)
      const shown = isBlocked ? 'Sign in at the hub' : 'ada (Name of ada) at shop'
      expect(await heading(page)).toBe(shown)
      expect(await headingAt(page, origins.hub)).toBe('ada at hub')
    },
  )

  test('SameSite=Strict at the hub: a link of a site shows the form to a user whom the hub knows', async () => {
    const domains = await served({ hubCookie: { sameSite: 'strict', secure: true } })
    const { origins } = domains
    const page = await newPage()
    await signInAtHub(page, domains)
    expect(await headingAt(page, origins.hub)).toBe('ada at hub')
    await page.goto(origins.shop)
    await page.click('text=Members')
    await page.waitForURL((url) => url.pathname !== '/')
    expect(await heading(page)).toBe('Sign in at the hub')
  })

  test('SameSite=Strict at a site: a user who comes from the form of the hub is not known', async () => {
    const { origins } = await served({ siteCookie: { sameSite: 'strict', secure: true } })
    const page = await newPage()
    const seen = trail(page)
    await page.goto(`${origins.shop}/members`)
    await submitForm(page, 'ada')
    const round = [
      '303 accounts.example/authorize',
      '303 shop.example.org/handoff/callback',
      '303 shop.example.org/members',
    ]
    expect(seen.slice(4)).toEqual([...round, ...round.slice(0, 2), '400 shop.example.org/members'])
    expect(await heading(page)).toBe('ERR_SESSION_HANDOFF_FAILED')
    expect(await headingAt(page, `${origins.shop}/members`)).toBe('ada (Name of ada) at shop')
  })

  test('a browser that blocks all cookies of a site is told so, and goes round no longer', async () => {
    const domains = await served({})
    const { shop, blog } = domains.origins
    const exceptions = { cookies: { '[*.]shop.example.org,*': { setting: 2 } } }
    const blocking = await launchProfile(
      { profile: { content_settings: { exceptions } } },
      '--host-resolver-rules=MAP * 127.0.0.1',
    )
    onTestFinished(() => blocking.close())
    const page = await blocking.context.newPage()
    await page.goto(`${blog}/members`)
    await submitForm(page, 'ada')
    expect(await heading(page)).toBe('ada (Name of ada) at blog')
    const seen = trail(page)
    expect(await headingAt(page, `${shop}/members`)).toBe('ERR_SESSION_HANDOFF_FAILED')
    expect(seen).toEqual([
      '303 shop.example.org/members',
      '303 accounts.example/authorize',
      '400 shop.example.org/handoff/callback',
    ])
  })
})
