import { randomInt, randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { type Answer, Browser } from '../shared/browser.ts'

/** What a run through faults came to. */
export interface Tally {
  /** Writes that were answered with 200. */
  acknowledged: number
  /** Of those, how many could not be read back in the end. */
  lost: number
  /** How often a session held another user's canary. */
  foreign: number
  /** Answers that are neither a success nor an error of ours with its status. */
  untyped: number
  /** Errors of ours, by their codes. */
  readonly typed: Record<string, number>
}

/** So many writes go into one session, for its data has a limit. Then its visitor begins another. */
const writesASession = 200

/** A user with one browser, who writes down what was acknowledged. */
export class Visitor {
  readonly user = `user-${randomUUID()}`
  readonly browser = new Browser()
  readonly acknowledged = new Map<string, string>()
  written = 0
}

/** Users who write and read all the time, each at several apps at once, and in the end read back whatever was acknowledged. */
export class Crowd {
  readonly tally: Tally = { acknowledged: 0, lost: 0, foreign: 0, untyped: 0, typed: {} }
  /** The first answers that were neither: for whoever looks for why. */
  readonly strange: string[] = []
  readonly #apps: readonly string[]
  readonly #visitors: Visitor[] = []
  readonly #happenings = new EventEmitter()
  #going: Promise<unknown> | undefined
  #ending = false

  /** @param apps their addresses */
  constructor(apps: readonly string[]) {
    this.#apps = apps
  }

  /** How many errors of ours there were so far. */
  get errors(): number {
    return Object.values(this.tally.typed).reduce((sum, count) => sum + count, 0)
  }

  /** Begins to write and read, as so many users. */
  start(users: number): void {
    this.#ending = false
    this.#going = Promise.all(Array.from({ length: users }, () => this.#goOn()))
  }

  /** Waits until something is so that changes with answers only. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) await once(this.#happenings, 'answer')
  }

  /** Waits until so many writes more were acknowledged: it works. */
  acknowledgesMore(count: number): Promise<void> {
    const enough = this.tally.acknowledged + count
    return this.until(() => this.tally.acknowledged >= enough)
  }

  /** Waits until so many requests more have failed: the fault is felt. */
  failsMore(count = 1): Promise<void> {
    const enough = this.errors + count
    return this.until(() => this.errors >= enough)
  }

  /** So many users who are signed in; they do nothing by themselves. */
  async signedIn(count: number): Promise<Visitor[]> {
    const visitors = Array.from({ length: count }, () => new Visitor())
    await Promise.all(visitors.map((visitor) => this.#signIn(visitor)))
    return visitors
  }

  /** One write more into the session of a user. */
  async write(visitor: Visitor): Promise<Answer | undefined> {
    const name = `w${visitor.written++}`
    const value = String(randomInt(1_000_000))
    const answer = await this.ask(visitor, 'POST', `/data/${name}/${value}`)
    if (answer?.status === 200) {
      visitor.acknowledged.set(name, value)
      this.tally.acknowledged++
    }
    return answer
  }

  read(visitor: Visitor): Promise<Answer | undefined> {
    return this.ask(visitor, 'GET', '/data')
  }

  /** Lets the users come to an end. */
  async end(): Promise<void> {
    this.#ending = true
    await this.#going
  }

  /** Lets the users come to an end, and reads back all that was acknowledged, at each app in turn. */
  async settle(): Promise<Tally> {
    await this.end()
    for (const visitor of this.#visitors) {
      let answer: Answer | undefined
      while (answer?.status !== 200 && answer?.status !== 401) answer = await this.read(visitor)
      for (const [name, value] of visitor.acknowledged) if (answer.body[name] !== value) this.tally.lost++
    }
    return this.tally
  }

  async #goOn(): Promise<void> {
    while (!this.#ending) {
      const [visitor] = await this.signedIn(1)
      while (visitor!.written < writesASession && !this.#ending) {
        await Promise.all([this.write(visitor!), this.write(visitor!), this.read(visitor!)])
      }
    }
  }

  /** Tries until it is done: what an unanswered sign-in left behind is nobody's. */
  async #signIn(visitor: Visitor): Promise<void> {
    while (!this.#ending) {
      visitor.browser.cookies.clear()
      const answer = await this.ask(visitor, 'POST', `/sign-in/${visitor.user}`)
      if (answer?.status === 200) break
    }
    this.#visitors.push(visitor)
  }

  /** Asks any of the apps as that user, and writes down what the answer was. `undefined`: there was none. */
  async ask(visitor: Visitor, method: 'GET' | 'POST', path: string): Promise<Answer | undefined> {
    const app = this.#apps[randomInt(this.#apps.length)]!
    try {
      const answer = await visitor.browser[method === 'GET' ? 'get' : 'post'](app, path)
      this.#note(visitor, `${method} ${path}`, answer)
      return answer
    } catch (error) {
      this.#noteStrange(`${method} ${path}: ${String(error)}`)
      return undefined
    } finally {
      this.#happenings.emit('answer')
    }
  }

  #note(visitor: Visitor, asked: string, { status, body, text }: Answer): void {
    const { code, canary } = body
    if (status === 200) {
      if (canary !== visitor.user) this.tally.foreign++
    } else if (typeof code === 'string' && (status === 503 || code === 'ERR_SESSION_TOO_LARGE')) {
      this.tally.typed[code] = (this.tally.typed[code] ?? 0) + 1
    } else {
      this.#noteStrange(`${asked}: ${status} ${text}`)
    }
  }

  #noteStrange(what: string): void {
    this.tally.untyped++
    if (this.strange.length < 5) this.strange.push(what)
  }
}
