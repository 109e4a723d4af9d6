import { setTimeout } from 'node:timers/promises'
import { randomBytes } from 'node:crypto'
import type { SessionId } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { createId } from '../../dist/core/token.js'
import { createPool, type Pool } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type App, startApp } from '../servers/apps.ts'
import { startGalera } from '../servers/galera.ts'
import { Browser } from '../shared/browser.ts'
import { Figures } from './galera-figures.ts'

/** `npm run test:long -- galera --write` does more of everything, and writes down what it saw. */
const long = process.env['GALERA'] === 'long'
const rounds = long ? 1_000 : 200
const sideBySide = 8

// Only who asks for these tests by name runs them (vitest.config.ts): so they fail without a cluster, and are not skipped.
const cluster = await startGalera()
const figures = new Figures()

describe('three apps, each on its own node of a Galera cluster', () => {
  let urls: string[]
  let pools: Pool[]
  /** With causalReads. */
  let apps: App[]
  /** Without. */
  let plain: App[]

  beforeAll(async () => {
    urls = await cluster.freshDatabase()
    pools = urls.map((uri) => createPool({ uri, connectionLimit: 2 }))
    const start = (causal: boolean) =>
      Promise.all(
        urls.map((url) =>
          startApp('test/faults/galera-app.ts', { DATABASE_URL: url, CAUSAL: String(causal) }),
        ),
      )
    ;[apps, plain] = [await start(true), await start(false)]
  })

  afterAll(async () => {
    await Promise.all([...(apps ?? []), ...(plain ?? [])].map((app) => app.stop()))
    await Promise.all((pools ?? []).map((pool) => pool.end()))
    await cluster.stop()
    await figures.tell(long)
  })

  test('the tables are made by three stores at once, and swept by three at once', async () => {
    const fresh = await cluster.freshDatabase()
    const stores = fresh.map((url) => new MySQLStore(url, { causalReads: true }))
    try {
      await Promise.all(stores.map((store) => store.find([createId()])))
      const short = Array.from({ length: 600 }, createId)
      const kept = Array.from({ length: 60 }, createId)
      await stores[0]!.write(short.map((id) => insert(id, 1)))
      await stores[1]!.write(kept.map((id) => insert(id, 3_600_000)))
      await expect.poll(() => stores[2]!.find(short).then((found) => found.filter(Boolean))).toEqual([])
      const removed = await Promise.all(stores.map((store) => store.removeExpired(1_000)))
      expect(removed.reduce((sum, count) => sum + count)).toBe(short.length)
      expect((await stores[2]!.find(kept)).filter(Boolean)).toHaveLength(kept.length)
    } finally {
      await Promise.all(stores.map((store) => store.close()))
    }
  })

  test('with causalReads, a login and a logout that one node acknowledged are known on every other at once', async () => {
    const { lateLogins, lateLogouts, settled } = await whileNodesAreBusy(() => visits(apps))
    figures.add('with causalReads: sign-ins not yet visible on another node', `${lateLogins} of ${rounds}`)
    figures.add('with causalReads: sign-outs not yet visible on another node', `${lateLogouts} of ${rounds}`)
    expect({ lateLogins, lateLogouts, settled }).toEqual({ lateLogins: 0, lateLogouts: 0, settled: rounds })
  })

  test('with causalReads, what one node stored another changes and removes at once', async () => {
    const stores = urls.map((url) => new MySQLStore(url, { causalReads: true }))
    const seen = new Set<unknown>()
    const change = async (round: number) => {
      const [one, other] = [stores[round % 3]!, stores[(round + 1) % 3]!]
      const [updated, removed, ofUser] = [createId(), createId(), createId()]
      const userId = `owner-${round}`
      await one.write([insert(updated, 3_600_000), insert(removed, 3_600_000)])
      const update = { type: 'update', id: updated, version: 1, ...content(3_600_000) } as const
      seen.add((await other.write([update, { type: 'remove', id: removed, userId: undefined }])).join())
      await one.write([{ ...insert(ofUser, 3_600_000), userId }])
      seen.add(await other.removeByUser(userId))
    }
    try {
      await whileNodesAreBusy(() => inTurns(rounds / 4, change))
    } finally {
      await Promise.all(stores.map((store) => store.close()))
    }
    expect(seen).toEqual(new Set(['done,done', 1]))
  })

  test('without it, one is known elsewhere after a moment', async () => {
    const { lateLogins, lateLogouts, settled } = await whileNodesAreBusy(() => visits(plain))
    figures.add('without causalReads: sign-ins not yet visible on another node', `${lateLogins} of ${rounds}`)
    figures.add(
      'without causalReads: sign-outs not yet visible on another node',
      `${lateLogouts} of ${rounds}`,
    )
    expect(settled).toBe(rounds)
  })

  test('a read with it gives what a read without it gives, and what that costs is written down', async () => {
    const browser = await signedIn(apps[0]!, 'reader')
    // Without causalReads the other node may not know of the login yet.
    const isKnown = async () => (await browser.get(plain[1]!.url, '/who')).status === 200
    await vi.waitUntil(isKnown, { timeout: 30_000 })
    const compare = async (when: string) => {
      const times: number[][] = [[], []]
      for (let round = 0; round < rounds; round++) {
        for (const [index, app] of [plain[1]!, apps[1]!].entries()) {
          const begun = performance.now()
          const { status } = await browser.get(app.url, '/who')
          times[index]!.push(performance.now() - begun)
          expect(status).toBe(200)
        }
      }
      const [without, withIt] = times.map(median) as [number, number]
      figures.add(
        `median time of a read request, without and with causalReads, ${when}`,
        `${without.toFixed(2)} ms, ${withIt.toFixed(2)} ms: ${(withIt / without).toFixed(2)} times`,
      )
    }
    await compare('idle nodes')
    await whileNodesAreBusy(() => compare('busy nodes'))
  })

  test('increments of one session on all three nodes: none is lost', async () => {
    const each = long ? 200 : 20
    const browser = await signedIn(apps[0]!, 'counter')
    const refusals: Refusals = new Map()
    const increment = async (app: App) => {
      for (let done = 0; done < each;) {
        const answer = await browser.clone().post(app.url, '/increment')
        if (answer.status === 200) done++
        else note(refusals, answer)
      }
    }
    await Promise.all(apps.flatMap((app) => [increment(app), increment(app)]))
    const { count } = await who(apps[2]!, browser)
    figures.add('increments acknowledged, and found in the session', `${each * 6}, ${String(count)}`)
    figures.add(
      'increments rejected with ERR_SESSION_CONFLICT',
      String(refusals.get('ERR_SESSION_CONFLICT') ?? 0),
    )
    expect([...refusals.keys()].filter((code) => code !== 'ERR_SESSION_CONFLICT')).toEqual([])
    for (const app of apps) expect((await who(app, browser)).count).toBe(each * 6)
  })

  test('a revocation on one node reaches a sign-in on another that began before it', async () => {
    const races = rounds / 4
    let survived = 0
    let refused = 0
    const race = async (round: number) => {
      const user = `revoked-${round}`
      const early = await signedIn(apps[2]!, user)
      const late = new Browser()
      const signIn = late.post(apps[1]!.url, `/sign-in-held/${user}`)
      await late.clone().get(apps[1]!.url, `/held/${user}`)
      const [, , answer] = await Promise.all([
        new Browser().post(apps[0]!.url, `/revoke/${user}`),
        new Browser().post(apps[1]!.url, `/release/${user}`),
        signIn,
      ])
      if (answer.status === 401) refused++
      const after = await Promise.all(
        apps.flatMap((app) => [early, late].map((browser) => browser.clone().get(app.url, '/who'))),
      )
      if (after.some(({ status }) => status === 200)) survived++
    }
    await whileNodesAreBusy(() => inTurns(races, race))
    figures.add('sign-ins in progress that survived a revocation on another node', `${survived} of ${races}`)
    figures.add(
      'sign-ins in progress rejected with 401 (the others were revoked after their response)',
      `${refused} of ${races}`,
    )
    expect(survived).toBe(0)
  })

  test.for(['endOldest', 'refuse'] as const)(
    'a cap of three sessions a user holds for logins on three nodes at once: %s',
    async (whenFull) => {
      const users = long ? 20 : 3
      const live: unknown[] = []
      for (let index = 0; index < users; index++) {
        const user = `${whenFull}-${index}`
        const answers = await Promise.all(
          Array.from({ length: 12 }, (_, login) =>
            new Browser().post(apps[login % 3]!.url, `/${whenFull}/${user}`),
          ),
        )
        const refusals: Refusals = new Map()
        for (const answer of answers) if (answer.status !== 200) note(refusals, answer)
        expect([...refusals.keys()]).toEqual(whenFull === 'refuse' ? ['ERR_SESSION_LIMIT'] : [])
        for (const app of apps) live.push((await new Browser().get(app.url, `/live/${user}`)).body['live'])
      }
      figures.add(
        `live sessions of a user after 12 parallel sign-ins, limit 3, ${whenFull}`,
        [...new Set(live)].join(' or '),
      )
      expect(new Set(live)).toEqual(new Set([3]))
    },
  )

  test('a node that is killed under load and comes back: nothing acknowledged is lost, nothing is mixed up', async () => {
    const visitors = await Promise.all(
      apps.flatMap((app, place) =>
        Array.from({ length: 4 }, (_, index) => Visitor.signIn(app, `visitor-${place}-${index}`)),
      ),
    )
    const survivors = visitors.slice(0, 8)
    const ofTheKilled = visitors.slice(8)
    const stop = new AbortController()
    const load = Promise.all(visitors.map((visitor) => visitor.writeUntil(stop.signal)))
    const deaths = long ? 5 : 1
    const visitsADeath = rounds / 20
    /** Logins and logouts that a node did not know yet, while one was away, and right after that came back. */
    let stale = 0
    const lookForLate = async (on: readonly App[]) => {
      const { lateLogins, lateLogouts } = await visits(on, visitsADeath)
      stale += lateLogins + lateLogouts
    }
    try {
      for (let death = 0; death < deaths; death++) {
        await allGoOn(visitors)
        await cluster.nodes[2]!.end('SIGKILL')
        await allGoOn(survivors)
        await expect
          .poll(() => ofTheKilled.every(({ isRefused }) => isRefused), { timeout: 30_000 })
          .toBe(true)
        await lookForLate(apps.slice(0, 2))
        await cluster.nodes[2]!.rejoin()
        await allGoOn(visitors)
        await lookForLate([apps[2]!, apps[0]!])
      }
    } finally {
      stop.abort()
      await load
    }
    let missing = 0
    let foreign = visitors.reduce((sum, visitor) => sum + visitor.foreign, 0)
    for (const visitor of visitors) {
      for (const app of apps) {
        const { written, userId, canary } = await who(app, visitor.browser)
        if (Number(written) < visitor.acknowledged || Number(written) > visitor.sent) missing++
        if (userId !== visitor.user || canary !== visitor.user) foreign++
      }
    }
    const refusals: Refusals = new Map()
    for (const visitor of visitors) {
      for (const [code, count] of visitor.refusals) refusals.set(code, (refusals.get(code) ?? 0) + count)
    }
    const acknowledged = visitors.reduce((sum, visitor) => sum + visitor.writes, 0)
    const pause = Math.max(...survivors.map(({ longestPause }) => longestPause))
    figures.add('node killed and rejoined under load', `${deaths} times`)
    figures.add('writes acknowledged during that, and writes lost', `${acknowledged}, ${missing}`)
    figures.add("responses with another user's data", String(foreign))
    const looks = deaths * visitsADeath * 4
    figures.add(
      'with causalReads: sign-ins and sign-outs not yet visible, during that and right after',
      `${stale} of ${looks}`,
    )
    figures.add('rejections by code', [...refusals].map(([code, count]) => `${code} ${count}`).join(', '))
    figures.add('longest wait of a request on a node that kept running', `${(pause / 1_000).toFixed(1)} s`)
    expect({ missing, foreign, stale }).toEqual({ missing: 0, foreign: 0, stale: 0 })
    expect([...refusals.keys()].filter((code) => !code.startsWith('ERR_SESSION_STORE_'))).toEqual([])
  })

  /** Logins on one node and logouts there, each looked at on another right after the answer. */
  async function visits(
    on: readonly App[],
    count = rounds,
  ): Promise<{ lateLogins: number; lateLogouts: number; settled: number }> {
    let [lateLogins, lateLogouts, settled] = [0, 0, 0]
    await inTurns(count, async (round) => {
      const [one, other] = [on[round % on.length]!, on[(round + 1) % on.length]!]
      const browser = await signedIn(one, `visitor-${round}`)
      const stolen = browser.clone() // the cookie from before, as a thief would keep it
      const isKnown = async () => (await stolen.get(other.url, '/who')).status === 200
      if (!(await isKnown())) {
        lateLogins++
        await vi.waitUntil(isKnown, { timeout: 30_000 })
      }
      await browser.post(one.url, '/sign-out')
      if (await isKnown()) {
        lateLogouts++
        await vi.waitUntil(async () => !(await isKnown()), { timeout: 30_000 })
      }
      settled++
    })
    return { lateLogins, lateLogouts, settled }
  }

  /** Gives the nodes so much to apply from each other that they are behind at times. */
  async function whileNodesAreBusy<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    let over = false
    // On each: where a node carries out its own, it has carried out those of the others that came before.
    for (const pool of pools) {
      await pool.query(
        'CREATE TABLE IF NOT EXISTS ballast (id INT AUTO_INCREMENT PRIMARY KEY, text CHAR(64))',
      )
    }
    const weigh = async (pool: Pool) => {
      while (!over) {
        await pool.query(`INSERT INTO ballast (text) SELECT MD5(seq) FROM seq_1_to_1000`)
        await setTimeout(20)
      }
    }
    const busy = Promise.all(pools.map(weigh))
    try {
      return await work()
    } finally {
      over = true
      await busy
      await pools[0]!.query('DROP TABLE ballast')
    }
  }
})

/** Somebody who writes ever higher numbers to a session, one after the other, and knows which were acknowledged. */
class Visitor {
  readonly user: string
  readonly browser: Browser
  readonly refusals: Refusals = new Map()
  /** The number last sent, and the last acknowledged one. */
  sent = 0
  acknowledged = 0
  writes = 0
  foreign = 0
  isRefused = false
  longestPause = 0
  readonly #app: App

  private constructor(app: App, user: string, browser: Browser) {
    this.#app = app
    this.user = user
    this.browser = browser
  }

  static async signIn(app: App, user: string): Promise<Visitor> {
    return new Visitor(app, user, await signedIn(app, user))
  }

  async writeUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.sent++
      const begun = performance.now()
      const answer = await this.browser.post(this.#app.url, `/write/${this.sent}`)
      this.longestPause = Math.max(this.longestPause, performance.now() - begun)
      this.isRefused = answer.status !== 200
      if (this.isRefused) {
        note(this.refusals, answer)
        await setTimeout(20)
        continue
      }
      this.acknowledged = this.sent
      this.writes++
      const { userId, canary } = answer.body
      if (userId !== this.user || canary !== this.user) this.foreign++
    }
  }
}

type Refusals = Map<string, number>

/** A status alone counts as an error without a type. */
function note(refusals: Refusals, { status, body }: { status: number; body: Record<string, unknown> }): void {
  const code = typeof body['code'] === 'string' ? body['code'] : `a status of ${status}`
  refusals.set(code, (refusals.get(code) ?? 0) + 1)
}

/** Until each of them has had some more writes acknowledged. */
async function allGoOn(visitors: readonly Visitor[]): Promise<void> {
  const targets = visitors.map(({ writes }) => writes + 10)
  await expect
    .poll(() => visitors.every(({ writes }, index) => writes >= targets[index]!), { timeout: 60_000 })
    .toBe(true)
}

async function signedIn(app: App, user: string): Promise<Browser> {
  const browser = new Browser()
  const { status } = await browser.post(app.url, `/sign-in/${user}`)
  expect(status).toBe(200)
  return browser
}

async function who(app: App, browser: Browser): Promise<Record<string, unknown>> {
  return (await browser.clone().get(app.url, '/who')).body
}

/** A few at a time. */
async function inTurns(times: number, work: (round: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    while (next < times) await work(next++)
  }
  await Promise.all(Array.from({ length: sideBySide }, lane))
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)]!
}

function insert(id: SessionId, idle: number) {
  return { type: 'insert', id, hash: randomBytes(32), signedIn: false, ...content(idle) } as const
}

function content(idle: number) {
  const lifetime = { idle, absolute: undefined }
  return { userId: undefined, data: Buffer.from('{}'), format: 1, mark: randomBytes(8), lifetime }
}
