import { longestTimer } from '../lifetime.js'
import { clearTimeout, performance, setTimeout } from '../scheduling.js'
import type { SessionStore } from './session-store.js'

/** How expired records are cleared away. */
export interface SweepSettings {
  /** Milliseconds between sweeps, give or take a tenth, so that many apps do not sweep in step. */
  readonly every: number
  /** How many records are removed at a time, at most. Each batch is followed by a rest. */
  readonly batch: number
}

export const defaultSweep: SweepSettings = { every: 600_000, batch: 250 }

/** How much longer than a batch took is the rest after it: a sweep takes a quarter of what one connection can do. */
const rests = 3

/**
 * Removes expired records now and then, in small batches with rests between them. Reads never depend on it: expired
 * records are absent whether swept or not. Its timer does not hold the process open, and its failures are only told.
 */
export class Sweeper {
  readonly #store: Pick<SessionStore, 'removeExpired'>
  readonly #settings: SweepSettings
  readonly #swept: (count: number) => void
  readonly #failed: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #endRest: (() => void) | undefined
  #sweep: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(
    store: Pick<SessionStore, 'removeExpired'>,
    settings: SweepSettings,
    listeners: { swept: (count: number) => void; failed: (error: unknown) => void },
  ) {
    this.#store = store
    this.#settings = settings
    this.#swept = listeners.swept
    this.#failed = listeners.failed
    this.#schedule()
  }

  /** Stops; resolves when a sweep that is under way has come to its next batch's end. */
  stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#endRest?.()
    return this.#sweep
  }

  #schedule(): void {
    const jitter = 0.9 + Math.random() * 0.2
    this.#after(this.#settings.every * jitter, () => {
      this.#sweep = this.#run()
    })
  }

  async #run(): Promise<void> {
    let total = 0
    try {
      while (!this.#stopped) {
        const began = performance.now()
        const removed = await this.#store.removeExpired(this.#settings.batch)
        total += removed
        if (removed < this.#settings.batch) break
        if (!this.#stopped) await this.#rest((performance.now() - began) * rests)
      }
    } catch (error) {
      this.#failed(error)
    }
    if (total > 0) this.#swept(total)
    if (!this.#stopped) this.#schedule()
  }

  #rest(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.#endRest = resolve
      this.#after(milliseconds, resolve)
    })
  }

  #after(milliseconds: number, go: () => void): void {
    this.#timer = setTimeout(go, Math.min(milliseconds, longestTimer))
    this.#timer.unref()
  }
}
