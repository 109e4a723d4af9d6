import { randomInt, randomUUID } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { type Answer, Browser } from '../shared/browser.ts'

/** What a run through faults came to. */
export interface Tally {
  /** Writes that were answered with 200. */
  acknowledged: number
  /** Of those, how many could not be read back in the end. */
  lost: number
  /** Signings out that were answered with success. */
  signedOut: number
  /** Tokens that were to lead nowhere any more: those of sessions whose end was answered with 200, and from before two others. */
  ended: number
  /** Of those, how many led somewhere later. */
  cameBack: number
  /** How often a session held another user's canary. */
  foreign: number
  /** Answers that are neither a success nor an error of ours with its status. */
  untyped: number
  /** Requests without any answer, as their app was gone. */
  unanswered: number
  /** Errors of ours, by their codes. */
  readonly typed: Record<string, number>
}

export function emptyTally(): Tally {
  return {
    acknowledged: 0,
    lost: 0,
    signedOut: 0,
    ended: 0,
    cameBack: 0,
    foreign: 0,
    untyped: 0,
    unanswered: 0,
    typed: {},
  }
}

/** After so many rounds at most a visitor signs out, or leaves, and another one comes. */
const mostRounds = 8
const roundsToRotation = 2

/** How an app is taken away: in the middle of what it does, or once it has answered all that it has begun. */
export type Departure = 'killed' | 'stopped'

/** A user with one browser, who writes down what was acknowledged. */
export class Visitor {
  readonly user = `user-${randomUUID()}`
  readonly browser = new Browser()
  readonly acknowledged = new Map<string, string>()
  /** Names of writes without an answer, to apps that leave nothing half done: those were never begun. */
  readonly neverBegun = new Set<string>()
  written = 0
  /** Nobody knows whether the token in hand is still good: a rotation or a signing out was not answered by a success. */
  inDoubt = false
  signedOut = false
  /** Browsers as they were, whose tokens lead nowhere any more. */
  readonly ended: Browser[] = []
  /** As it was before the last new token: for a while its token finds what the session was then. */
  former: Browser | undefined

  /** The browser has the token from before the last one again. */
  get hasFormerToken(): boolean {
    return this.former !== undefined && tokenOf(this.former) === tokenOf(this.browser)
  }

  /** The browser got a new token. */
  gotToken(before: Browser): void {
    if (this.former) this.ended.push(this.former)
    this.former = before
  }
}

/** What the browser's only cookie holds, without the signature. */
function tokenOf({ cookies }: Browser): string | undefined {
  return [...cookies.values()][0]?.split('.')[0]
}

/** What lies in the database for a user: the data of each session. */
export type Stored = (user: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/**
 * Users who come, sign in, write and read all the time, each at several apps at once, get new tokens and sign out; and in the
 * end read back whatever was acknowledged.
 */
export class Crowd {
  readonly tally = emptyTally()
  /** The first answers that were neither: for whoever looks for why. */
  readonly strange: string[] = []
  readonly #apps: readonly string[]
  readonly #stored: Stored
  /** Apps sign the tokens of an older secret anew meanwhile, and what they answer may overtake the answer that brings the next token. */
  tokensAreSignedAnew = false
  readonly #visitors: Visitor[] = []
  readonly #away = new Map<string, Departure>()
  readonly #happenings = new EventEmitter()
  #going: Promise<unknown> | undefined
  #ending = false

  /** @param apps their addresses */
  constructor(apps: readonly string[], stored: Stored) {
    this.#apps = apps
    this.#stored = stored
  }

  /** How many errors of ours there were so far. */
  get errors(): number {
    return Object.values(this.tally.typed).reduce((sum, count) => sum + count, 0)
  }

  /** Begins to write and read, as so many users. */
  start(users = 8): void {
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
  signedIn(count: number): Promise<Visitor[]> {
    return Promise.all(Array.from({ length: count }, () => this.#signIn()))
  }

  /** Waits until so many more have signed out. */
  signsOutMore(count: number): Promise<void> {
    const enough = this.tally.signedOut + count
    return this.until(() => this.tally.signedOut >= enough)
  }

  /** Does what takes an app away for a while: requests to it may get no answer. */
  async without(app: string, departure: Departure, act: () => Promise<void>): Promise<void> {
    this.#away.set(app, departure)
    await act()
    this.#away.delete(app)
  }

  /** One write more into the session of a user. */
  async write(visitor: Visitor): Promise<Answer | undefined> {
    const name = `w${visitor.written++}`
    const value = String(randomInt(1_000_000))
    const { answer, departed } = await this.#ask(visitor, 'POST', `/data/${name}/${value}`)
    if (departed === 'stopped') visitor.neverBegun.add(name)
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

  /** In between: has all who have not signed out read their sessions, until each is answered. */
  async readAll(): Promise<void> {
    for (const visitor of this.#visitors) {
      if (!visitor.signedOut && !visitor.inDoubt) await this.#answered(visitor)
    }
  }

  /** Lets the users come to an end, and reads back all that was acknowledged. */
  async settle(): Promise<Tally> {
    await this.end()
    for (const visitor of this.#visitors) {
      if (!visitor.signedOut) await this.#readBack(visitor)
    }
    await this.lookAtEnded()
    return this.tally
  }

  /** Looks where those tokens lead that are to lead nowhere by now, and were not looked at yet. */
  async lookAtEnded(): Promise<void> {
    for (const visitor of this.#visitors) {
      for (const browser of visitor.ended.splice(0)) {
        const { status, body } = await this.#lookedAt(browser)
        this.tally.ended++
        if (status !== 401 || body['visitor'] !== undefined) this.tally.cameBack++
      }
    }
  }

  async #readBack(visitor: Visitor): Promise<void> {
    // Whoever was not told the newest token cannot ask for the session, but it is there all the same.
    const found = visitor.inDoubt ? await this.#stored(visitor.user) : [(await this.#answered(visitor)).body]
    const lost = [...visitor.acknowledged].filter(
      ([name, value]) => !found.some((data) => data[name] === value),
    )
    if (lost.length > 0) {
      this.tally.lost += lost.length
      const names = lost.map(([name]) => name).join()
      this.strange.push(
        `${visitor.user} lost ${names} (${visitor.inDoubt ? 'in doubt' : 'has a good token'}); read back ${JSON.stringify(found)}`,
      )
    }
    for (const name of visitor.neverBegun) {
      if (found.some((data) => name in data))
        this.#noteStrange(`${name} is stored by an app that gave no answer`)
    }
    // An answer's has been looked at when it came.
    if (visitor.inDoubt) this.tally.foreign += found.filter(({ canary }) => canary !== visitor.user).length
  }

  async #answered(visitor: Visitor): Promise<Answer> {
    for (;;) {
      const answer = await this.read(visitor)
      if (answer?.status === 200 || answer?.status === 401) return answer
    }
  }

  /** What a browser is answered that was copied: no visitor notices. */
  async #lookedAt(browser: Browser): Promise<Answer> {
    for (;;) {
      const answer = await browser.clone().get(this.#anyApp(), '/data')
      if (answer.status !== 503) return answer
    }
  }

  async #goOn(): Promise<void> {
    for (let visits = 1; !this.#ending; visits++) {
      const visitor = await this.#signIn()
      const rounds = randomInt(mostRounds) + 1
      for (let round = 1; !this.#ending && !visitor.inDoubt && round <= rounds; round++) {
        const rotation = round % roundsToRotation === 0 ? [this.#rotate(visitor)] : []
        await Promise.all([this.write(visitor), ...rotation, this.write(visitor), this.read(visitor)])
        if (visitor.hasFormerToken) this.#noteOvertaken(visitor)
      }
      if (visits % 2 === 1 && !visitor.inDoubt) await this.#signOut(visitor)
    }
  }

  /** One more who comes, leaves something in a session, and signs in on it: tries until it is done. What an unanswered one left behind is nobody's. */
  async #signIn(): Promise<Visitor> {
    const visitor = new Visitor()
    const triesOf = async (path: string): Promise<number> => {
      for (let tries = 1; ; tries++) if ((await this.ask(visitor, 'POST', path))?.status === 200) return tries
    }
    await triesOf(`/visit/${visitor.user}`)
    const anonymous = visitor.browser.clone()
    const tries = await triesOf(`/sign-in/${visitor.user}`)
    // What an unanswered one left behind is nobody's, but for its grace the token from before it leads to what was there before it.
    if (tries === 1) visitor.gotToken(anonymous)
    this.#visitors.push(visitor)
    return visitor
  }

  async #rotate(visitor: Visitor): Promise<void> {
    const before = visitor.browser.clone()
    const answer = await this.ask(visitor, 'POST', '/rotate')
    if (answer?.status === 200) visitor.gotToken(before)
    else visitor.inDoubt = true
  }

  /** Reads back what can be read no more then, and tries until it is done, if not by the first request, then by one before. */
  async #signOut(visitor: Visitor): Promise<void> {
    await this.#readBack(visitor)
    const before = visitor.browser.clone()
    while (!visitor.signedOut) {
      const answer = await this.ask(visitor, 'POST', '/sign-out')
      visitor.signedOut = answer?.status === 200 || answer?.status === 401
      visitor.inDoubt ||= !visitor.signedOut
    }
    this.tally.signedOut++
    if (visitor.former) visitor.ended.push(visitor.former)
    visitor.ended.push(before)
  }

  #anyApp(): string {
    return this.#apps[randomInt(this.#apps.length)]!
  }

  /** Asks any of the apps as that user, and writes down what the answer was. `undefined`: there was none. */
  async ask(visitor: Visitor, method: 'GET' | 'POST', path: string): Promise<Answer | undefined> {
    return (await this.#ask(visitor, method, path)).answer
  }

  /** @returns the answer, or if there was none how the app was taken away */
  async #ask(
    visitor: Visitor,
    method: 'GET' | 'POST',
    path: string,
  ): Promise<{ readonly answer?: Answer; readonly departed?: Departure | undefined }> {
    const app = this.#anyApp()
    const wasAway = this.#away.get(app)
    try {
      const answer = await visitor.browser[method === 'GET' ? 'get' : 'post'](app, path)
      this.#note(visitor, `${method} ${path}`, answer)
      return { answer }
    } catch (error) {
      const departed = wasAway ?? this.#away.get(app)
      if (departed) this.tally.unanswered++
      else this.#noteStrange(`${method} ${path}: ${String(error)}`)
      return { departed }
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
    } else if (status !== 401 || !visitor.inDoubt) {
      this.#noteStrange(`${asked}: ${status} ${text}`)
    }
  }

  /** Which of two answers that set the cookie comes first is for the network to say, so where there may be two nothing is wrong. */
  #noteOvertaken(visitor: Visitor): void {
    if (this.tokensAreSignedAnew) visitor.inDoubt = true
    else this.#noteStrange(`the token from before ${visitor.user}'s last one was set again`)
  }

  #noteStrange(what: string): void {
    this.tally.untyped++
    if (this.strange.length < 5) this.strange.push(what)
  }
}
