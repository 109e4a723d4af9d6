import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { launchProfile, type Profile } from '../servers/chromium.ts'
import { type Apps, startApps } from './browser-matrix/apps.ts'
import { type Cell, cellsOf, type Place, places, type Target, targets } from './browser-matrix/cells.ts'
import { expectedOf, type Outcome, type Setting } from './browser-matrix/expected.ts'
import type { Act } from './browser-matrix/page.ts'

// What pages of all origins can do to an app, in Chromium, by HTTPS and real host names. The axes are in cells.ts, and what
// is to come of a cell is in expected.ts.

const profiles = [
  { name: 'as Chromium comes', preferences: {}, hasThirdPartyCookies: false },
  {
    name: 'with third-party cookies',
    preferences: { profile: { cookie_controls_mode: 0 } },
    hasThirdPartyCookies: true,
  },
]

let apps: Apps
/** What came of all cells, by profile, and there by the cell's name with those of its page and app. */
const outcomes = profiles.map(() => new Map<string, Outcome>())

beforeAll(async () => {
  apps = await startApps()
})
afterAll(() => apps?.close())

describe.each(profiles.map((given, index) => ({ ...given, index })))('$name', (given) => {
  const { index, preferences, hasThirdPartyCookies } = given
  let profile: Profile
  let setting: Setting

  beforeAll(async () => {
    setting = { ...apps, hasThirdPartyCookies }
    profile = await launchProfile(
      preferences,
      '--host-resolver-rules=MAP * 127.0.0.1',
      '--ignore-certificate-errors',
    )
    for (const { host } of targets) await signIn(profile.context, `https://${host}:${apps.port}`)
  })
  afterAll(() => profile?.close())

  describe.each(targets)('an app with SameSite=$sameSite', (target) => {
    describe.each(places)('a page of $name', (place) => {
      const cells = cellsOf(`${index}`, target, place)
      let seen: Map<Cell, Outcome>

      beforeAll(async () => {
        seen = await playAll(profile.context, cells, addressOf(place, target))
        for (const [cell, outcome] of seen) outcomes[index]!.set(nameOf(cell), outcome)
      })

      test.each(cells)('$name', (cell) => {
        expect(seen.get(cell)).toEqual(expectedOf(cell, setting))
      })
    })
  })
})

test('third-party cookies come with what a page of another site sends in the background, and change no right of it', () => {
  const [without, with_] = outcomes as [Map<string, Outcome>, Map<string, Outcome>]
  const differing = [...without.keys()].filter(
    (name) => JSON.stringify(without.get(name)) !== JSON.stringify(with_.get(name)),
  )
  expect(differing).toContain('none: another site in sites: fetch POST, include')
  expect(differing).toContain('none: another site not in sites: fetch POST no-cors, include')
  for (const name of differing) {
    const [bare, brought] = [without.get(name)!, with_.get(name)!]
    expect(bare.requests.at(-1)!.cookies).toEqual([])
    expect(brought.requests.at(-1)!.cookies).toEqual(['__Host-sid'])
    expect([brought.changed, brought.read]).toEqual([bare.changed, bare.read])
  }
})

const nameOf = ({ target, place, name }: Cell) => `${target.sameSite}: ${place.name}: ${name}`

async function signIn(context: BrowserContext, origin: string): Promise<void> {
  const page = await context.newPage()
  await page.goto(`${origin}/page`)
  await page.evaluate("fetch('/login', { method: 'POST' }).then(() => 'done')")
  await page.close()
}

function addressOf({ host, isPlain, hidesReferrer, isSandboxed }: Place, target: Target): string {
  const port = isPlain ? apps.plainPort : apps.port
  const says = [hidesReferrer && 'no-referrer', isSandboxed && 'sandbox'].filter(Boolean).join('&')
  return `${isPlain ? 'http' : 'https'}://${host ?? target.host}:${port}/page?${says}`
}

/** One page does all that the cells say, one after another. */
async function playAll(
  context: BrowserContext,
  cells: readonly Cell[],
  address: string,
): Promise<Map<Cell, Outcome>> {
  const page = await context.newPage()
  await page.goto(address)
  const inBackground = cells.filter(({ kind }) => kind.way !== 'form')
  const acts = inBackground.map(actOf)
  const read = await page.evaluate<boolean[]>(`play(${JSON.stringify(acts)})`)
  const allRead = new Map(inBackground.map((cell, index) => [cell, read[index]!]))
  for (const cell of cells) {
    if (cell.kind.way === 'form') allRead.set(cell, await submitForm(page, actOf(cell)))
  }
  await page.close()

  const outcomeOf = async (cell: Cell) => ({ ...(await apps.recordOf(cell.id)), read: allRead.get(cell)! })
  return new Map(await Promise.all(cells.map(async (cell) => [cell, await outcomeOf(cell)] as const)))
}

function actOf({ id, target, kind, credentials }: Cell): Act {
  const { way, method, mode, headers = {}, body } = kind
  const url = `https://${target.host}:${apps.port}/${way}/${id}`
  return { way, url, method, mode, credentials, headers, body }
}

/** The answer to the form is shown in a window of its own, so that the page lives on. */
async function submitForm(page: Page, act: Act): Promise<boolean> {
  const opening = page.waitForEvent('popup')
  await page.evaluate(`submit(${JSON.stringify(act)})`)
  const shown = await opening
  await shown.waitForURL((url) => url.href.startsWith(act.url))
  return page.evaluate<boolean>('readForm()')
}
