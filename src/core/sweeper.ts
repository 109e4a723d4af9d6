import type { SessionStore } from './store.ts'

/** How expired records are cleared away. */
export interface SweepSettings {
  /** Milliseconds between sweeps, give or take a tenth, so that many apps do not sweep in step. */
  readonly every: number
  /** How many records one statement removes at most. */
  readonly batch: number
}

/**
 * Removes expired records now and then, in small batches. Reads never depend on it: expired records are
 * absent whether swept or not. Its timer does not hold the process open, and its failures are only told.
 */
export class Sweeper {
  readonly #store: SessionStore
  readonly #settings: SweepSettings
  readonly #swept: (count: number) => void
  readonly #failed: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #sweep: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(
    store: SessionStore,
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
    return this.#sweep
  }

  #schedule(): void {
    const jitter = 0.9 + Math.random() * 0.2
    this.#timer = setTimeout(() => {
      this.#sweep = this.#run()
    }, this.#settings.every * jitter)
    this.#timer.unref()
  }

  async #run(): Promise<void> {
    let total = 0
    try {
      let removed: number
      do {
        removed = await this.#store.removeExpired(this.#settings.batch)
        total += removed
      } while (removed === this.#settings.batch && !this.#stopped)
    } catch (error) {
      this.#failed(error)
    }
    if (total > 0) this.#swept(total)
    if (!this.#stopped) this.#schedule()
  }
}
