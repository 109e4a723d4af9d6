import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { publicIdOf } from '../../dist/core/store/record.js'
import { type Answer, Browser } from '../shared/browser.ts'
import type { Attempt } from './cast.ts'
import type { CrashPlace } from './place.ts'
import type { Crash, CrashedRequest, View } from './requests.ts'
import type { Tally } from '../faults/visitors.ts'

/** A user with two devices, on one of which an app is killed under a request. Asks nobody but the app that is well, otherwise. */
export class CrashClient implements Attempt, Crash {
  readonly name = `client-${randomUUID()}`
  readonly grace: boolean
  before: View = {}
  otherBefore: View = {}
  acknowledged = false
  readonly #place: CrashPlace
  readonly #request: CrashedRequest
  readonly #tally: Tally
  readonly #browser = new Browser()
  readonly #other = new Browser()
  #former = new Browser()

  constructor(place: CrashPlace, request: CrashedRequest, tally: Tally) {
    this.#place = place
    this.#request = request
    this.#tally = tally
    this.grace = place.own && !request.hasty
  }

  async begin(): Promise<void> {
    await this.#done(this.#other, '/begin')
    await this.#done(this.#other, '/sign-in')
    if (this.#request.as !== 'nobody') await this.#done(this.#browser, '/begin')
    if (this.#request.as === 'user') await this.#done(this.#browser, '/sign-in')
    this.#former = this.#browser.clone()
    this.before = await this.now()
    this.otherBefore = await this.onOtherDevice()
  }

  async ask(url: string, step: number): Promise<void> {
    const answer = await this.#post(
      url,
      this.#browser,
      `${this.#request.path}/${this.name}?step=${step}`,
    ).catch(() => undefined)
    if (answer) this.#note(answer)
    this.acknowledged = answer?.status === 200
  }

  check(): Promise<void> {
    return this.#request.check(this)
  }

  now(): Promise<View> {
    return this.#view(this.#browser)
  }

  byFormerCookie(): Promise<View> {
    return this.#view(this.#former.clone())
  }

  onOtherDevice(): Promise<View> {
    return this.#view(this.#other)
  }

  async listed(): Promise<string[]> {
    const { items } = await this.#place.store.list({ userId: this.name, limit: 1_000, data: false })
    return items.map(publicIdOf)
  }

  retry(): Promise<void> {
    return this.#done(this.#browser, this.#request.path)
  }

  async #done(browser: Browser, path: string): Promise<void> {
    const answer = await this.#post(this.#place.url, browser, `${path}/${this.name}`)
    this.#note(answer)
    assert.equal(answer.status, 200, `${path}: ${answer.text}`)
  }

  #note({ status, body: { code } }: Answer): void {
    if (status === 200) this.#tally.acknowledged++
    else if (typeof code === 'string') this.#tally.typed[code] = (this.#tally.typed[code] ?? 0) + 1
    else this.#tally.untyped++
  }

  async #view(browser: Browser): Promise<View> {
    const { status, text, body } = await browser.get(this.#place.url, this.#path('/session'))
    assert.equal(status, 200, text)
    const { canary, userId } = body
    if (![canary, userId].every((whose) => whose === undefined || whose === this.name)) this.#tally.foreign++
    return body
  }

  #post(url: string, browser: Browser, path: string): Promise<Answer> {
    return browser.post(url, this.#path(path))
  }

  #path(path: string): string {
    return this.#request.hasty ? `/hasty${path}` : path
  }
}
