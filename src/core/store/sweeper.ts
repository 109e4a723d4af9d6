import { longestTimer } from '../lifetime.js'
import { clearTimeout, performance, setTimeout } from '../scheduling.js'
import type { SessionStore } from './session-store.js'

/** How expired records are removed. */
export interface SweepSettings {
  /** Milliseconds between sweeps, plus or minus a tenth, so that many apps do not sweep at the same time. */
  readonly every: number
  /** The most records that one batch removes. Each batch is followed by a rest. */
  readonly batch: number
}

export const defaultSweep: SweepSettings = { every: 600_000, batch: 250 }

/** How many times as long as a batch the rest after it is. So a sweep uses a quarter of one connection's time. */
const rests = 3

/**
 * Removes expired records from time to time, in small batches with rests between them. Reads never depend on it: an
 * expired record is not found, swept or not. Its timer does not keep the process running. Its failures are only
 * reported.
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

  /** Stops. Resolves when the current batch has ended. */
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
