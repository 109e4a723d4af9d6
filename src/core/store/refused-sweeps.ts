import { SessionError } from '../errors.js'

/** After so many sweeps in a row that another's lock refused, it is reported. By default, that is after an hour. */
const mostRefused = 6

/** Counts sweeps in a row that found another's lock. A single one is normal: another app sweeps at that moment. */
export class RefusedSweeps {
  #count = 0

  /** A sweep had the lock. */
  succeeded(): void {
    this.#count = 0
  }

  /**
   * A sweep did not get the lock.
   * @param who says who may hold it, and what to do.
   * @throws ERR_SESSION_STORE_BUSY (503), where that was one of too many; then it counts anew.
   */
  async refused(who: () => string | Promise<string>): Promise<void> {
    if (++this.#count < mostRefused) return
    this.#count = 0
    throw new SessionError(
      'ERR_SESSION_STORE_BUSY',
      `Expired sessions have not been removed in the last ${mostRefused} sweeps, because of a lock that somebody holds. ${await who()}`,
      { status: 503 },
    )
  }
}
