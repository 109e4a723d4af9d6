import { SessionError } from '../errors.js'
import { clearTimeout, setTimeout } from '../scheduling.js'
import { isAway } from './store-failure.js'

/** When a store is taken to be away, and for how long it is left alone then. */
export interface CircuitSettings {
  /** So many batches in a row must fail. */
  readonly failuresToOpen: number
  /** Milliseconds until one batch tries again. */
  readonly rest: number
}

/**
 * Knows whether the store is away, so that nobody waits for it in vain. It opens when several batches in a row failed, each as
 * a whole; then calls are refused. After a rest one batch goes through, and when it is answered all may go again.
 *
 * Only failures that say so count (`isAway`): a store that refuses data, or the app, has answered. And one session that somebody
 * keeps locked opens it for nobody else: the failures must be about several.
 */
export class Circuit {
  readonly #settings: CircuitSettings
  readonly #opened: (error: SessionError) => unknown
  #state: 'closed' | 'open' | 'half-open' | 'trying' = 'closed'
  #failures = 0
  /** Whose the failures are, as long as they are about one session only. */
  #key: string | undefined
  #ofSeveral = false
  #refusal: unknown
  #timer: NodeJS.Timeout | undefined

  /** @param opened told as it opens, not again while it stays so; gives what calls are refused with. */
  constructor(settings: CircuitSettings, opened: (error: SessionError) => unknown) {
    this.#settings = settings
    this.#opened = opened
  }

  /** What a call is to be rejected with now; `undefined` if it may wait for its turn. */
  get refusal(): unknown {
    return this.#state === 'open' || this.#state === 'trying' ? this.#refusal : undefined
  }

  /** Whether a batch may be sent now. The one that tries is let through once. */
  letsPass(): boolean {
    if (this.#state === 'half-open') {
      this.#state = 'trying'
      return true
    }
    return this.#state === 'closed'
  }

  /** The store has answered, be it that it refuses something. */
  answered(): void {
    if (this.#failures === 0) return
    clearTimeout(this.#timer)
    this.#state = 'closed'
    this.#failures = 0
    this.#key = undefined
    this.#ofSeveral = false
  }

  /** A batch about these sessions failed. */
  failed(cause: unknown, keys: readonly string[]): void {
    if (!isAway(cause)) return this.answered()
    this.#failures++
    this.#key ??= keys[0]
    this.#ofSeveral ||= keys.some((key) => key !== this.#key)
    if (this.#state === 'trying') this.#open()
    if (this.#state !== 'closed' || this.#failures < this.#settings.failuresToOpen || !this.#ofSeveral) return
    this.#refusal = this.#opened(storeAway(this.#settings, cause))
    this.#open()
  }

  #open(): void {
    this.#state = 'open'
    // It holds no process open.
    this.#timer = setTimeout(() => (this.#state = 'half-open'), this.#settings.rest).unref()
  }
}

/**
 * Status 503. Nothing of the refused call was sent. What the store said last is its cause and not in its message: it is about
 * one session, and the message is for all.
 */
function storeAway({ failuresToOpen, rest }: CircuitSettings, cause: unknown): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_UNAVAILABLE',
    `The session store failed ${failuresToOpen} times in a row, so requests are refused at once, and every ${rest} ms one batch of them tries again. Check that the database is up and reachable.`,
    { cause, status: 503 },
  )
}
