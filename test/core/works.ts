import {
  createSessions,
  MemoryStore,
  type Session,
  type SessionError,
  type SessionId,
  type Sessions,
  type SessionsOptions,
  type SessionStore,
  type SessionWrite,
  type UnitOfWork,
  type WriteResult,
} from 'coatcheck'

export const secret = 'thirty-two characters of a secret'

/** Sessions in memory, without a sweeper. */
export function memorySessions(options: Partial<SessionsOptions> = {}): Sessions {
  return createSessions({ store: new MemoryStore(), secret, sweep: false, ...options })
}

/** The session in hand, as the bag of data that it is to a handler. */
export function bag(work: UnitOfWork): Session & Record<string, unknown> {
  if (!work.session) throw new Error('this work has no session any more')
  return work.session as Session & Record<string, unknown>
}

/** Commits and gives the token that the browser then holds. */
export async function committedToken(work: UnitOfWork): Promise<string> {
  await work.commit()
  const { outcome } = work
  return outcome.action === 'issue' ? outcome.token : work.id
}

/** Stores a new session and gives its token. */
export async function storedSession(
  sessions: Sessions,
  data: Record<string, unknown>,
  userId?: string | number,
): Promise<string> {
  const work = sessions.begin()
  Object.assign(bag(work), data)
  if (userId !== undefined) await bag(work).signIn(userId, { keep: true })
  return committedToken(work)
}

/** What another request reads of a session now. */
export async function readData(sessions: Sessions, token: string): Promise<Record<string, unknown>> {
  return { ...bag(await sessions.load(token)) }
}

/** A MemoryStore that keeps a list of what was asked of it, and fails while `down` is set. */
export class WatchedStore implements SessionStore {
  readonly finds: SessionId[] = []
  readonly writes: SessionWrite[] = []
  down: unknown
  /** Called before writes are carried out. */
  beforeWrite: ((writes: readonly SessionWrite[]) => Promise<void>) | undefined
  closed = 0
  readonly #store = new MemoryStore()

  async find(ids: readonly SessionId[]) {
    this.#assertUp()
    this.finds.push(...ids)
    return this.#store.find(ids)
  }

  async alive(ids: readonly SessionId[]) {
    this.#assertUp()
    return this.#store.alive(ids)
  }

  async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    this.#assertUp()
    await this.beforeWrite?.(writes)
    this.writes.push(...writes)
    return this.#store.write(writes)
  }

  async list(...[query]: Parameters<SessionStore['list']>) {
    this.#assertUp()
    return this.#store.list(query)
  }

  async removeByUser(userId: string, except?: string) {
    this.#assertUp()
    return this.#store.removeByUser(userId, except)
  }

  async removeExpired(limit: number) {
    this.#assertUp()
    return this.#store.removeExpired(limit)
  }

  async close(): Promise<void> {
    this.closed++
  }

  #assertUp(): void {
    if (this.down !== undefined) throw this.down
  }
}

/** A store that fails when the test says so, with a session of Ada's in it, and what was told of its faults. */
export async function failingStore() {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  const token = await storedSession(sessions, { a: 1 }, 'ada')
  const told: SessionError[] = []
  sessions.on('storeError', (error) => told.push(error))
  const cause = new Error('connection refused')
  return { store, sessions, token, told, cause }
}

/** What a write does; an update that brings a new token is told from others. */
export function kindOf(write: SessionWrite): 'insert' | 'update' | 'rotate' | 'touch' | 'remove' {
  return write.type === 'update' && write.secret ? 'rotate' : write.type
}

/** Does what it is asked to, but of these next writes nobody hears. */
export function losing(store: WatchedStore, ...kinds: readonly ReturnType<typeof kindOf>[]): void {
  const left = [...kinds]
  const { write } = store
  store.write = async (writes) => {
    const results = await write.call(store, writes)
    if (kindOf(writes[0]!) !== left[0]) return results
    left.shift()
    throw new Error('connection reset')
  }
}
