import { vi } from 'vitest'
import { deadline, type Timing } from './acts.ts'

/** What becomes of a step that waits: it is done, the network drops it, its app dies, or nothing moves until all deadlines are over. */
export type Fate = 'goes' | 'fails' | 'dies' | 'overdue'

export interface Choice {
  /** Which of the waiting steps, modulo their number. -1: the one that has waited least. */
  readonly pick: number
  readonly fate: Fate
}

interface Step {
  readonly app: number
  readonly what: string
  /** Whether it is a packet on its way to the database, which arrives although its sender has died. */
  readonly sent: boolean
  take(fate: 'goes' | 'fails'): void
}

/** Longer than any wait of the engine between two attempts. */
const longestJitter = 50
/**
 * Decides what happens next, in one process that plays several. Everything that an app waits for is a step here, and
 * one step at a time is let go, in the order that was chosen. So a run is the same each time, whatever the machine does.
 */
export class Schedule implements Timing {
  readonly log: string[] = []
  readonly #apps: number
  readonly #dead = new Set<number>()
  #waiting: Step[] = []
  #running = 0
  #ticks = 0
  #open = false

  constructor(apps: number) {
    this.#apps = apps
  }

  /** The order of what happened: later is more. */
  get now(): number {
    return ++this.#ticks
  }

  isDead(app: number): boolean {
    return this.#dead.has(app)
  }

  /** How many steps wait, and how many calls are with the store. */
  get pending(): number {
    return this.#waiting.length + this.#running
  }

  /** Waits to be let go; what waits in an app that has died waits for ever, but for what it `sent`. */
  turn(app: number, what: string, sent = false): Promise<'goes' | 'fails'> {
    if (this.#dead.has(app)) return new Promise(() => undefined)
    if (this.#open) return Promise.resolve('goes')
    return new Promise((take) => this.#waiting.push({ app, what, sent, take }))
  }

  /** Something that takes its own time, such as a call of a real database. Nothing else is let go meanwhile. */
  async outside<Answer>(act: () => Promise<Answer>): Promise<Answer> {
    this.#running++
    try {
      return await act()
    } finally {
      this.#running--
    }
  }

  /** Lets all go that waits, as chosen, and when the choices are used up first come, first served. */
  async run(choices: readonly Choice[]): Promise<void> {
    for (let index = 0; ; index++) {
      await this.#settle()
      if (this.#waiting.length === 0) return
      this.#take(choices[index] ?? { pick: 0, fate: 'goes' })
    }
  }

  /** From now on nothing waits any more. */
  openUp(): void {
    this.#open = true
  }

  #take({ pick, fate }: Choice): void {
    if (fate === 'overdue') {
      this.log.push('all deadlines pass')
      vi.advanceTimersByTime(deadline * 1.2)
      return
    }
    const [step] = this.#waiting.splice(pick % this.#waiting.length, 1)
    const { app, what } = step!
    if (fate === 'dies' && this.#dead.size + 1 < this.#apps) {
      this.log.push(`app ${app} dies before: ${what}`)
      this.#dead.add(app)
      this.#waiting = [...this.#waiting, step!].filter((other) => other.app !== app || other.sent)
      return
    }
    this.log.push(`app ${app} ${what}${fate === 'fails' ? ': FAILS' : ''}`)
    step!.take(fate === 'fails' ? 'fails' : 'goes')
  }

  /** Until all that can go on without a step has done so. */
  async #settle(): Promise<void> {
    await this.#turns()
    vi.advanceTimersByTime(longestJitter)
    await this.#turns()
  }

  async #turns(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet = this.#running > 0 ? 0 : quiet + 1) {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
