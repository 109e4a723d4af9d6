import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { publicIdOf } from '../../../dist/core/store/record.js'
import type { Tally } from '../../faults/visitors.ts'
import { type Answer, Browser } from '../../shared/browser.ts'
import type { Attempt } from '../cast.ts'
import type { CrashPlace } from '../place.ts'
import type { View } from '../requests.ts'
import { type AppName, appNames, originOf, type SiteName } from './names.ts'
import type { HandoffRequest } from './requests.ts'

/** A browser has a jar of cookies for each origin. */
type Jars = Readonly<Record<AppName, Browser>>

/** A user with a browser, who is signed in at the hub. Asks nobody but the apps that are well, otherwise. */
export class HandoffClient implements Attempt {
  readonly name = `client-${randomUUID()}`
  /** What the browser found at each app before the request. */
  before: Readonly<Record<AppName, View>> = { hub: {}, shop: {}, blog: {} }
  /** The children before the request. */
  childrenBefore: readonly string[] = []
  /** Whether the browser got the whole answer, and it told of success. */
  acknowledged = false
  /** Where that answer leads. */
  next: string | undefined
  readonly #place: CrashPlace
  readonly #request: HandoffRequest
  readonly #tally: Tally
  readonly #jars: Jars = newJars()
  /** As it was before the request: somebody else may have a copy. */
  #former = newJars()
  #path = ''

  constructor(place: CrashPlace, request: HandoffRequest, tally: Tally) {
    this.#place = place
    this.#request = request
    this.#tally = tally
  }

  async begin(): Promise<void> {
    await this.#done('hub', `/begin/${this.name}`)
    await this.signInAtHub()
    // A visitor's session at the shop, of which the hand-off keeps a part.
    await this.#done('shop', `/shop/begin/${this.name}`)
    await this.handOff('blog')
    if (this.#request.isAtShop) await this.handOff('shop')
    this.#path = await this.#request.path(this)
    this.#former = clonesOf(this.#jars)
    this.before = await this.now()
    this.childrenBefore = await this.children()
  }

  async ask(url: string, step: number): Promise<void> {
    const path = `${this.#path}${this.#path.includes('?') ? '&' : '?'}step=${step}`
    const answer = await this.#send(this.#request.at, path, url).catch(() => undefined)
    this.acknowledged = answer !== undefined && isSuccess(answer)
    this.next = answer?.headers.get('location') ?? undefined
  }

  check(): Promise<void> {
    return this.#request.check(this)
  }

  /** Makes the request once more, at an app that is well. */
  again(): Promise<Answer> {
    return this.#send(this.#request.at, this.#path)
  }

  /** The same, by whoever has a copy of the browser's cookies from before. Gives that browser's jar of the app. */
  async againByFormer(): Promise<Browser> {
    const jar = this.#former[this.#request.at].clone()
    await this.#send(this.#request.at, this.#path, this.#place.url, jar)
    return jar
  }

  /** The cookies from before the request, of the app that it goes to. */
  get formerJar(): Browser {
    return this.#former[this.#request.at]
  }

  now(): Promise<Readonly<Record<AppName, View>>> {
    return this.#viewsOf(this.#jars)
  }

  /** What whoever has a copy of the cookies from before finds now. */
  byFormer(): Promise<Readonly<Record<AppName, View>>> {
    return this.#viewsOf(clonesOf(this.#former))
  }

  /** The user's sessions at sites, by their publicIds. */
  async children(): Promise<string[]> {
    return (await this.#listed()).filter(({ rootId }) => rootId !== undefined).map(publicIdOf)
  }

  /** All of the user's sessions. */
  async listed(): Promise<string[]> {
    return (await this.#listed()).map(publicIdOf)
  }

  async #listed() {
    return (await this.#place.store.list({ userId: this.name, limit: 1_000, data: false })).items
  }

  signInAtHub(): Promise<Answer> {
    return this.#done('hub', `/sign-in/${this.name}`)
  }

  /** Signs in at a site, from the beginning. */
  async handOff(site: SiteName): Promise<void> {
    await this.#done(site, await this.authorized(site))
  }

  /** Begins a flow. @returns the path at the hub that the site sends the browser to */
  async begun(site: SiteName): Promise<string> {
    return pathOf(await this.#done(site, `/${site}/hand-off`))
  }

  /** Begins a flow, and asks the hub. @returns the path at the site that the hub sends the browser to, with a code */
  async authorized(site: SiteName): Promise<string> {
    return pathOf(await this.#done('hub', await this.begun(site)))
  }

  /** Goes where an answer of the hub leads. */
  async follow(site: SiteName, location: string): Promise<void> {
    assert.ok(location.startsWith(`${originOf(site)}/`), location)
    const { pathname, search } = new URL(location)
    await this.#done(site, pathname + search)
  }

  /** Ends all of it, at the hub. */
  async signOutAtHub(): Promise<void> {
    await this.#done('hub', `/sign-out/${this.name}`)
    for (const views of [await this.now(), await this.byFormer()])
      for (const app of appNames) assert.equal(views[app]['userId'], undefined, `${app} after the sign-out`)
    assert.deepEqual(await this.listed(), [])
  }

  /** Throws if the user is not signed in at the sites, as at the hub. */
  async assertSignedIn(...sites: readonly SiteName[]): Promise<void> {
    const views = await this.now()
    const { userId, publicId } = views.hub
    assert.equal(userId, this.name)
    for (const site of sites) {
      const { userId: there, rootId } = views[site]
      assert.deepEqual({ there, rootId }, { there: userId, rootId: publicId }, site)
    }
  }

  async #viewsOf(jars: Jars): Promise<Readonly<Record<AppName, View>>> {
    const views = appNames.map(async (app) => [app, await this.#view(app, jars[app])] as const)
    return Object.fromEntries(await Promise.all(views)) as Record<AppName, View>
  }

  async #view(app: AppName, jar: Browser): Promise<View> {
    const { status, text, body } = await jar.get(
      this.#place.url,
      app === 'hub' ? '/session' : `/${app}/session`,
    )
    assert.equal(status, 200, text)
    const { canary, userId } = body
    if (![canary, userId].every((whose) => whose === undefined || whose === this.name)) this.#tally.foreign++
    return body
  }

  async #done(app: AppName, path: string): Promise<Answer> {
    const answer = await this.#send(app, path)
    assert.ok(isSuccess(answer), `${path}: ${answer.status} ${answer.text}`)
    return answer
  }

  async #send(
    app: AppName,
    path: string,
    url = this.#place.url,
    jar: Browser = this.#jars[app],
  ): Promise<Answer> {
    const isPage = /\/(?:hand-off|authorize|callback)(?:\?|$)/.test(path)
    const answer = await jar[isPage ? 'get' : 'post'](url, path)
    const { code } = answer.body
    if (isSuccess(answer)) this.#tally.acknowledged++
    else if (typeof code === 'string') this.#tally.typed[code] = (this.#tally.typed[code] ?? 0) + 1
    else this.#tally.untyped++
    return answer
  }
}

function isSuccess({ status }: Answer): boolean {
  return status === 200 || status === 303
}

function pathOf({ headers }: Answer): string {
  const { pathname, search } = new URL(headers.get('location')!, originOf('hub'))
  return pathname + search
}

function newJars(): Jars {
  return { hub: new Browser(), shop: new Browser(), blog: new Browser() }
}

function clonesOf({ hub, shop, blog }: Jars): Jars {
  return { hub: hub.clone(), shop: shop.clone(), blog: blog.clone() }
}
