import type { SessionId, SessionRecord, SessionStore, SessionWrite } from 'coatcheck'
import { isOwnToken } from '../../dist/core/token.js'
import type { Schedule } from './schedule.ts'

/** Sees every record that leaves the store, in the order of the store's own doing. */
export type Witness = (record: SessionRecord) => void

/**
 * One app's way to the store that all share. Each call waits twice to be let go: before the store does it, and before
 * the answer arrives. Either way may be cut, so that the app does not know what was done.
 */
export class ScheduledStore implements SessionStore {
  readonly keyedBy?: 'token'
  readonly clocks: SessionStore['clocks']
  /** What was asked for, by the writes' types. */
  readonly writes: SessionWrite['type'][] = []
  readonly #store: SessionStore
  readonly #schedule: Schedule
  readonly #app: number
  readonly #witness: Witness

  constructor(store: SessionStore, schedule: Schedule, app: number, witness: Witness) {
    this.#store = store
    this.#schedule = schedule
    this.#app = app
    this.#witness = witness
    this.clocks = store.clocks
    if ((store as { keyedBy?: 'token' }).keyedBy === 'token') this.keyedBy = 'token'
  }

  find(ids: readonly SessionId[]): Promise<(SessionRecord | undefined)[]> {
    return this.#there(`find ${ids.map(shortened).join()}`, async () => {
      const records = await this.#store.find(ids)
      for (const record of records) if (record) this.#witness(record)
      return records
    })
  }

  alive(ids: readonly SessionId[]) {
    return this.#there(`alive ${ids.map(shortened).join()}`, () => this.#store.alive(ids))
  }

  write(writes: readonly SessionWrite[]) {
    this.writes.push(...writes.map(({ type }) => type))
    const what = writes.map((write) => `${write.type} ${shortened(write.id)}`).join()
    return this.#there(what, () => this.#store.write(writes))
  }

  list(query: Parameters<SessionStore['list']>[0]) {
    return this.#there('list', () => this.#store.list(query))
  }

  removeByUser(userId: string, except?: string): Promise<number> {
    return this.#there(`removeByUser ${userId}`, () => this.#store.removeByUser(userId, except))
  }

  removeExpired(limit: number): Promise<number> {
    return this.#there('removeExpired', () => this.#store.removeExpired(limit))
  }

  async close(): Promise<void> {}

  async #there<Answer>(what: string, act: () => Promise<Answer>): Promise<Answer> {
    const asked = await this.#schedule.turn(this.#app, what, true)
    if (asked === 'fails') throw new Error('The connection was lost before the store was asked.')
    const answer = await this.#schedule.outside(act)
    const answered = await this.#schedule.turn(this.#app, `${what} → ${brief(answer)}`)
    if (answered === 'fails') throw new Error('The connection was lost before the answer came.')
    return answer
  }
}

function shortened(id: SessionId): string {
  return isOwnToken(id) ? id.slice(-4) : id.slice(4, 8)
}

function brief(answer: unknown): string {
  const answers = Array.isArray(answer) ? (answer as unknown[]) : [answer]
  return answers.map((one) => (typeof one === 'object' && one ? 'found' : String(one))).join()
}
