import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type express from 'express'
import { describe, expect, it } from 'vitest'
import type { Sessions } from 'coatcheck'
import type { ConsentFunction } from 'coatcheck/handoff'
import { filesOfPage, ports } from './page.ts'
import { Visitor } from './visitor.ts'
import { type Seen, serveWorld, type World } from './world.ts'

/** The file `consent.ts` of docs/handoff.md. */
interface ConsentFile {
  readonly consent: ConsentFunction
  readonly consentPage: (sessions: Sessions) => express.Router
}

async function askingWorld(): Promise<World> {
  const folder = await filesOfPage('handoff-consent', ports)
  const { consent, consentPage } = (await import(
    pathToFileURL(join(folder, 'consent.ts')).href
  )) as ConsentFile
  const pages: express.Router[] = []
  const world = await serveWorld({
    hub: { consent },
    before: (request, response, next) => (pages[0] ? pages[0](request, response, next) : next()),
  })
  pages.push(consentPage(world.hub.sessions))
  return world
}

describe('consent, as docs/handoff.md has it', () => {
  async function asked(world: World): Promise<{ visitor: Visitor; url: string; shop: string }> {
    const visitor = new Visitor()
    await visitor.post(`${world.hub.origin}/sign-in`, { user: 'ada' })
    const shop = world.sites['shop']!.origin
    const { url, text } = await visitor.open(`${shop}/members`)
    expect([new URL(url).pathname, text]).toEqual(['/consent', expect.stringContaining('May this site know')])
    return { visitor, url, shop }
  }

  it('lets a site know the user who says yes, and asks once', async () => {
    const world = await askingWorld()
    const { visitor, url, shop } = await asked(world)
    const answer = await visitor.post(url, { answer: 'yes' })
    expect([answer.url, (JSON.parse(answer.text) as Seen).userId]).toEqual([`${shop}/members`, 'ada'])
    await visitor.post(`${shop}/handoff/sign-out`)
    expect((await visitor.open(`${shop}/members`)).url).toBe(`${shop}/members`)
  })

  it('keeps the user from a site by a no', async () => {
    const world = await askingWorld()
    const { visitor, url, shop } = await asked(world)
    const answer = await visitor.post(url, { answer: 'no' })
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      403,
      { code: 'ERR_SESSION_HANDOFF_REFUSED', message: expect.stringContaining('access_denied') as string },
    ])
    expect((JSON.parse((await visitor.open(`${shop}/quiet`)).text) as Seen).userId).toBeNull()
  })

  it('shows no page in a silent check', async () => {
    const world = await askingWorld()
    const { visitor, shop } = await asked(world)
    const answer = await visitor.open(`${shop}/quiet`)
    expect([answer.url, (JSON.parse(answer.text) as Seen).userId]).toEqual([`${shop}/quiet`, null])
  })
})
