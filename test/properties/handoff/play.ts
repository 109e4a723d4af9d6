import { createSessions, type Sessions, type SessionsOptions, type SessionStore } from 'coatcheck'
import { createHub, createSite } from 'coatcheck/handoff'
import { vi } from 'vitest'
import { secret } from '../../core/works.ts'
import { deadline, hour, type Timing } from '../acts.ts'
import type { Checks } from '../facts.ts'
import { Schedule } from '../schedule.ts'
import { ScheduledStore } from '../scheduled-store.ts'
import { Acts, type Browser, type HubProcess, type Jar, origins, type SiteProcess, viewOf } from './acts.ts'
import { History, type HistoryOptions } from './history.ts'
import { processes, type Program, type SiteName, siteNames, type UserName, userNames } from './program.ts'

export type PlayOptions = Pick<HistoryOptions, 'byData'> & Partial<Pick<HistoryOptions, 'most'>>

type CastOptions = PlayOptions & {
  readonly rotationGrace?: SessionsOptions['rotationGrace']
}

type Cast = ConstructorParameters<typeof Acts>[2]

/** A program that has been played, and processes that have started since. */
interface Played {
  readonly browsers: readonly Browser[]
  readonly history: History
  readonly schedule: Schedule
  readonly options: PlayOptions
  readonly cast: Cast
  /** What goes on in those processes, each step as it comes. */
  readonly well: Acts
}

/**
 * Plays a program on a hub and two sites, each in two processes, one step at a time. Then it lets all be well again, and
 * every browser signs in everywhere.
 * @throws Error with the invariants that did not hold, and the steps
 */
export async function play(program: Program, store: SessionStore, options: PlayOptions): Promise<Checks> {
  const schedule = new Schedule(processes * (1 + siteNames.length))
  const history = new History({ most: Infinity, ...options })
  const browsers = program.browsers.map(newBrowser)
  const played = (more?: Pick<CastOptions, 'rotationGrace'>): Played => {
    const cast = castOn(browsers, { ...options, ...more }, () => store)
    return {
      browsers,
      history,
      schedule,
      options,
      cast,
      well: new Acts(history, unscheduled(schedule), cast),
    }
  }
  const { well } = played()
  for (const [browser, { user, isAtSites }] of program.browsers.entries()) {
    if (user === undefined) continue
    await signIn(well, browser, user, `start ${browser}`)
    if (isAtSites) await handOffEverywhere(well, browser, `start ${browser}`)
  }
  await nextMillisecond()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const random = vi.spyOn(Math, 'random').mockReturnValue(0.5)
  try {
    const way = (app: number): SessionStore => new ScheduledStore(store, schedule, app, () => undefined)
    const acts = new Acts(history, schedule, castOn(browsers, options, way))
    for (const [index, arrival] of program.arrivals.entries()) void acts.arrive(arrival, `r${index}`)
    await schedule.run(program.choices)
    schedule.openUp()
  } finally {
    random.mockRestore()
    vi.useRealTimers()
  }
  await checkEveryToken(played())
  await checkLists(played())
  // As all find it when the grace is over: a browser that was not told its new token has none.
  await checkAllBeginAgain(played({ rotationGrace: false }), program)
  await checkEveryToken(played())
  if (history.violations.length > 0) {
    const unique = [...new Set(history.violations)]
    throw new Error(`${unique.join('\n')}\n  ${schedule.log.join('\n  ')}`)
  }
  return history.checks
}

/** All processes, on a store for each. */
function castOn(
  browsers: readonly Browser[],
  { byData, most, rotationGrace = '5m' }: CastOptions,
  storeOf: (app: number) => SessionStore,
): Cast {
  const sessionsOf = (app: number, more: Partial<SessionsOptions>): Sessions =>
    createSessions({
      store: storeOf(app),
      secret,
      sweep: false,
      lifetime: { idle: hour, absolute: hour },
      rotationGrace,
      storeLimits: { deadline },
      ...(most !== undefined && { sessionsPerUser: { most } }),
      ...more,
      // Told to the requests; without a listener it would be a warning besides.
    }).on('storeError', () => undefined)
  const clients = Object.fromEntries(
    siteNames.map((site) => [site, { redirectUris: [callbackOf(site)], share: ['login', 'label'] }]),
  )
  const hubs = Array.from({ length: processes }, (_, app): HubProcess => {
    const sessions = sessionsOf(app, byData ? { userOf: 'user' } : {})
    return {
      app,
      sessions,
      role: createHub(sessions, { issuer: origins.hub, signInPage: '/sign-in', clients }),
    }
  })
  const siteAt = (site: SiteName, app: number): SiteProcess => {
    const sessions = sessionsOf(app, { clientId: site })
    const options = { hub: origins.hub, redirectUri: callbackOf(site), keep: ['basket'] }
    return { app, sessions, role: createSite(sessions, options) }
  }
  const sites = siteNames.map((site, index) => {
    const first = processes * (index + 1)
    return [site, Array.from({ length: processes }, (_, number) => siteAt(site, first + number))] as const
  })
  return { byData, hubs, sites: Object.fromEntries(sites) as Record<SiteName, SiteProcess[]>, browsers }
}

function callbackOf(site: SiteName): string {
  return `${origins[site]}/handoff/callback`
}

function newBrowser(): Browser {
  const atSite = (): Browser['sites'][SiteName] => ({ jar: [], cookies: new Map() })
  return { hub: [], sites: { shop: atSite(), blog: atSite() } }
}

function unscheduled(schedule: Schedule): Timing {
  return {
    get now() {
      return schedule.now
    },
    log: schedule.log,
    turn: async () => undefined,
  }
}

async function signIn(acts: Acts, browser: number, user: UserName, name: string): Promise<void> {
  await acts.arrive({ act: 'signIn', process: 0, browser, site: 'shop', user, age: 0 }, name)
}

/** Signs a browser in at both sites, as whom it is at the hub. */
async function handOffEverywhere(acts: Acts, browser: number, name: string): Promise<void> {
  for (const site of siteNames)
    await acts.arrive(
      { act: 'handOff', process: 0, browser, site, user: 'ada', age: 0 },
      `${name} at ${site}`,
    )
}

/** Every token that was ever given, in processes that have just started. */
async function checkEveryToken({ browsers, history, schedule, cast }: Played): Promise<void> {
  const [hub] = cast.hubs
  for (const browser of browsers) {
    for (const ticket of browser.hub) {
      const started = schedule.now
      if (ticket) history.seenAtHub(ticket, viewOf(await hub!.sessions.load(ticket.token)), started)
    }
    for (const site of siteNames) {
      const { sessions } = cast.sites[site][0]!
      for (const ticket of browser.sites[site].jar) {
        const started = schedule.now
        if (ticket) history.seenAtSite(ticket, viewOf(await sessions.load(ticket.token)), started)
      }
    }
  }
}

/** What users see of their sessions: each root, with its sites. */
async function checkLists({ history, cast, options: { most = Infinity } }: Played): Promise<void> {
  const known = new Map([...history.children].map((child) => [child.publicId, child]))
  const { sessions } = cast.hubs[0]!
  const listed = new Set<string>()
  for (const user of userNames) {
    const list = await sessions.user(user).list()
    history.check('H9', list.length <= most, () => `${user} has ${list.length} sessions`)
    for (const { publicId, sites } of list) {
      history.check('H9', !known.has(publicId), () => `child ${publicId} is listed as a root`)
      for (const site of sites) {
        listed.add(site.publicId)
        const login = known.get(site.publicId)?.login
        const isBeneath = !login || (login.row.publicId === publicId && login.user === user)
        history.check('H9', isBeneath, () => `child ${site.publicId} is listed beneath ${publicId}`)
      }
    }
  }
  for (const child of known.values()) {
    const isThere = listed.has(child.publicId) || history.mayHaveEnded(child)
    history.check('H9', isThere, () => `child ${child.publicId} is not listed`)
  }
}

/** Nobody is left half signed in: from whatever they have, all browsers get to both sites as whom they are at the hub. */
async function checkAllBeginAgain(
  { browsers, history, cast, well }: Played,
  { browsers: starts }: Program,
): Promise<void> {
  for (const [index, { hub, sites }] of browsers.entries()) {
    const userAtHub = async () => (await cast.hubs[0]!.sessions.load(...tokenOf(hub))).userId
    let user = await userAtHub()
    // A sign-in right after a revocation is refused: nobody can tell which of them came first.
    for (let attempt = 1; user === undefined && attempt <= 20; attempt++) {
      await nextMillisecond()
      await signIn(well, index, starts[index]!.user ?? 'ada', `again ${index}`)
      user = await userAtHub()
    }
    const there = () =>
      Promise.all(siteNames.map((site) => cast.sites[site][0]!.sessions.load(...tokenOf(sites[site].jar))))
    const isThere = ({ userId, root }: { readonly userId: string | undefined; readonly root?: unknown }) =>
      user !== undefined && userId === user && root !== undefined
    // So is a hand-off; by how long the round trips take, where clocks differ.
    for (let attempt = 1; attempt <= 20; attempt++) {
      await nextMillisecond()
      await handOffEverywhere(well, index, `again ${index}`)
      if ((await there()).every(isThere)) break
    }
    for (const [at, session] of (await there()).entries()) {
      history.check(
        'H10',
        isThere(session),
        () => `browser ${index}, ${user} at the hub, is ${session.userId} at ${siteNames[at]}`,
      )
    }
  }
}

function tokenOf(jar: Jar): string[] {
  const ticket = jar.at(-1)
  return ticket ? [ticket.token] : []
}

/** What comes from before is told from what comes after by the store's milliseconds. */
async function nextMillisecond(): Promise<void> {
  for (const begun = Date.now(); Date.now() === begun;) await new Promise((resolve) => setImmediate(resolve))
}
