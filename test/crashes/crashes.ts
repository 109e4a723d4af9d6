// Kills apps in the middle of requests, each at another step, and looks at what they leave behind.
import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import type { App } from '../servers/apps.ts'
import type { Attempt, Cast } from './cast.ts'
import { CrashClient } from './client.ts'
import { CrashPlace, type CrashStore, crashStores } from './place.ts'
import { crashedRequests } from './requests.ts'
import type { Steps } from './steps.ts'
import type { FaultyDatabase } from '../faults/databases/faulty-database.ts'
import { mariadb } from '../faults/databases/mysql.ts'
import type { Outcome } from '../faults/play.ts'
import { emptyTally } from '../faults/visitors.ts'

/** What it is called in docs/faults.md. */
export const crashFault = 'app killed (SIGKILL) in the middle of a request, which is then repeated'

/** `'short'`: a kill between any two departures of a request. `'long'`: one at every step. */
type Form = 'short' | 'long'

const ordinary: Cast = {
  program: 'test/crashes/app.ts',
  requests: crashedRequests.map((request) => ({
    title: request.title,
    attempt: (place, tally) => new CrashClient(place, request, tally),
  })),
}

type Mutable<Type> = { -readonly [Name in keyof Type]: Type[Name] }

/** Which of the steps between two departures the short form takes. */
const seed = Number(process.env['COATCHECK_SEED'] ?? 1)

/**
 * Kills an app at steps of every request.
 *
 * @param on the URL of a server, otherwise one of that kind is started; the stores, otherwise all of that kind, and on a
 *   MySQL or MariaDB also those that need no server; and what is killed
 * @returns how many were killed, and what came of it. `lost` are the times that something was not as it must be: a change
 *   half done, or undone after it was acknowledged, or a retry that did harm
 */
export async function playCrashes(
  form: Form,
  on: {
    readonly server?: string
    readonly kind?: FaultyDatabase
    readonly stores?: readonly CrashStore[]
    readonly cast?: Cast
  } = {},
): Promise<Outcome> {
  const { program, requests } = on.cast ?? ordinary
  const { kind = mariadb } = on
  const outcome: Mutable<Outcome> = {
    fault: crashFault,
    runs: 0,
    strange: [],
    ...emptyTally(),
  }
  const own = on.server === undefined ? await kind.start() : undefined
  try {
    for (const store of on.stores ?? storesOn(kind)) {
      const place = await CrashPlace.open(store, on.server ?? own!.url, program)
      try {
        for (const { title, attempt } of requests) {
          const begin = () => attempt(place, outcome)
          await new Crashes(place, begin, outcome, `${store.title}, ${title}`).play(form)
        }
      } finally {
        await place.end()
      }
    }
  } finally {
    await own?.stop()
  }
  return outcome
}

function storesOn({ name }: FaultyDatabase): CrashStore[] {
  return crashStores.filter(({ server }) => (name === 'PostgreSQL') === (server === 'PostgreSQL'))
}

/** One request in which apps are killed. */
class Crashes {
  readonly #place: CrashPlace
  readonly #attempt: () => Attempt
  readonly #outcome: Mutable<Outcome>
  readonly #title: string
  #victim: App | undefined

  constructor(place: CrashPlace, attempt: () => Attempt, outcome: Mutable<Outcome>, title: string) {
    this.#place = place
    this.#attempt = attempt
    this.#outcome = outcome
    this.#title = title
  }

  async play(form: Form): Promise<void> {
    try {
      const whole = await this.#crashAt(0)
      assert.ok(whole)
      // How many steps there are differs a little from time to time.
      for (const step of form === 'short' ? betweenDepartures(whole, this.#title) : upwards())
        if (await this.#crashAt(step)) break
    } finally {
      await this.#victim?.stop()
    }
  }

  /**
   * Has an app killed at that step, and checks what it left.
   * @returns how the request went if it had no such step: the app is still there
   */
  async #crashAt(step: number): Promise<Steps | undefined> {
    await this.#place.clear()
    if (!this.#victim) await this.#warmUp()
    const client = this.#attempt()
    await client.begin()
    const versions = await this.#place.versions()
    await client.ask(this.#victim!.url, step)
    const steps = await stepsOf(this.#victim!)
    if (!steps) {
      const { signal, code } = await this.#victim!.stop()
      this.#victim = undefined
      assert.equal(signal, 'SIGKILL', `the app ended by itself (${code})`)
      this.#outcome.runs++
    }
    try {
      await client.check()
      await this.#place.assertSound(versions)
    } catch (error) {
      this.#outcome.lost++
      const strange = `${this.#title}, killed at step ${step}: ${(error as Error).stack}`
      if (this.#outcome.strange.length < 5) this.#outcome.strange = [...this.#outcome.strange, strange]
    }
    return steps
  }

  /** Gets an app that has done the same before: its statements are prepared, so what a kill comes between is the request's own. */
  async #warmUp(): Promise<void> {
    this.#victim = await this.#place.victim()
    const client = this.#attempt()
    await client.begin()
    await client.ask(this.#victim.url, 0)
  }
}

/** How the last request went in an app; `undefined` if that was its end. */
async function stepsOf({ url }: App): Promise<Steps | undefined> {
  try {
    return (await (await fetch(`${url}/steps`)).json()) as Steps
  } catch {
    return undefined
  }
}

/** One step between each departure and the next, and after the last, where the seed says. Before the first nothing has happened. */
function betweenDepartures({ taken, departures }: Steps, title: string): number[] {
  return departures.flatMap((begin, index) => {
    const end = departures[index + 1] ?? taken
    if (end === begin) return []
    const random = hash('sha256', `${seed} ${title} ${index}`, 'buffer').readUInt32BE()
    return [begin + 1 + (random % (end - begin))]
  })
}

function* upwards(): Generator<number> {
  for (let step = 1; ; step++) yield step
}
