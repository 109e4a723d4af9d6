import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { createSessions, MemoryStore, type SessionWrite, type UnitOfWork } from 'coatcheck'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bag, committedToken, secret, storedSession } from '../core/works.ts'
import { holds, runs, timeout } from './replay.ts'

// One request whose handler does anything in any order, and does not wait for all of it, on a store that fails now and then:
// once its commit has succeeded, the store holds what the handler has in hand, and nothing else.

const acts = [
  'set', 'remove', 'save', 'update', 'signIn as ada', 'signIn as bob', 'signOut', 'rotate', 'regenerate', 'destroy and begin anew',
  'reload', 'touch',
] as const // prettier-ignore

interface Step {
  readonly act: (typeof acts)[number]
  readonly name: string
  readonly value: number
  readonly waits: boolean
}

interface Handler {
  readonly steps: readonly Step[]
  /** Whose session it finds. */
  readonly user: 'ada' | undefined
  readonly encrypted: boolean
  /** Which of the calls that its store gets fail, and are not carried out. */
  readonly failing: readonly number[]
}

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom(...acts),
  name: fc.constantFrom('k0', 'k1', 'k2'),
  value: fc.nat(2),
  waits: fc.boolean(),
})
const handlers: fc.Arbitrary<Handler> = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 6 }),
  user: fc.constantFrom('ada' as const, undefined),
  encrypted: fc.boolean(),
  failing: fc.uniqueArray(fc.nat(12), { maxLength: 4 }),
})

/** A MemoryStore of which some calls fail, from when it is told which. */
class FailingStore extends MemoryStore {
  failing: readonly number[] = []
  #calls = 0

  override async find(...[ids]: Parameters<MemoryStore['find']>) {
    this.#failIfDue()
    return super.find(ids)
  }

  override async write(writes: readonly SessionWrite[]) {
    this.#failIfDue()
    return super.write(writes)
  }

  #failIfDue(): void {
    if (this.failing.includes(this.#calls++)) throw new Error('connection refused')
  }
}

async function take(work: UnitOfWork, { act, name, value }: Step): Promise<unknown> {
  const session = bag(work)
  switch (act) {
    case 'set':
      return (session[name] = value)
    case 'remove':
      return delete session[name]
    case 'update':
      return session.update((held) => Object.assign(held, { [name]: value }))
    case 'signIn as ada':
    case 'signIn as bob':
      return session.signIn(act === 'signIn as ada' ? 'ada' : 'bob')
    case 'destroy and begin anew': {
      const ending = session.destroy()
      work.startNew()
      return ending
    }
    case 'touch':
      return session.touch()
    default:
      return session[act]()
  }
}

const typed = { code: expect.stringMatching(/^ERR_SESSION_/) as string }

async function play({ steps, user, encrypted, failing }: Handler): Promise<void> {
  const store = new FailingStore()
  const encryption = encrypted ? { encryption: randomBytes(32) } : {}
  const sessions = createSessions({ store, secret, sweep: false, ...encryption })
  sessions.on('storeError', () => undefined)
  const before = await storedSession(sessions, { k0: 0 }, user)
  const work = await sessions.load(before)
  store.failing = failing.map((call) => call + 2)
  const ended: string[] = []
  const failures: unknown[] = []
  for (const each of steps) {
    if (['signOut', 'regenerate', 'destroy and begin anew'].includes(each.act)) ended.push(work.publicId)
    const taken = take(work, each).catch((error: unknown) => failures.push(error))
    if (each.waits) await taken
  }
  // It may fail with what nobody waited for, and once with each call that fails.
  const mostTries = failing.length + 2
  let tries = 0
  let isStored = false
  while (!isStored) {
    try {
      await work.commit()
      isStored = true
    } catch (error) {
      failures.push(error)
      if (++tries === mostTries) throw error
    }
  }
  for (const failure of failures) expect(failure).toMatchObject(typed)
  await setImmediate()
  store.failing = []
  // None is in hand once the commit has ended it.
  const held = work.session
    ? { userId: work.userId, data: { ...bag(work) } }
    : { userId: undefined, data: {} }
  const seen =
    work.outcome.action === 'clear' ? sessions.begin() : await sessions.load(await committedToken(work))
  expect({ userId: seen.userId, data: { ...bag(seen) } }, 'what is stored').toEqual(held)
  const kept = (await store.list({ limit: 100, data: false })).items.map(({ id }): string => id)
  expect(kept).toEqual(seen.isNew ? [] : [work.publicId])
  expect(kept.filter((id) => ended.includes(id))).toEqual([])
}

const count = 3_000

test(
  `whatever a handler does, and does not wait for, what it has in hand is stored, and nothing else (${runs(count)} handlers)`,
  { timeout },
  async () => {
    await holds(handlers, count, play, { shown: (handler) => JSON.stringify(handler, null, 2) })
  },
)
