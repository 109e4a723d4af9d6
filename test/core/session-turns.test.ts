import '../faked-timers.ts'
import { createSessions, type SessionRecord, type Sessions, type UnitOfWork } from 'coatcheck'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { HandDrivenStore, recordOf, turn } from './hand-driven-store.ts'
import { bag, secret } from './works.ts'

const deadline = 10_000
const busy = { code: 'ERR_SESSION_STORE_BUSY', status: 503 }
const timedOut = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }

let store: HandDrivenStore
let sessions: Sessions
let storeErrors: unknown[]
let stored: SessionRecord

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  store = new HandDrivenStore()
  storeErrors = []
  sessions = createSessions({ store, secret, sweep: false, storeLimits: { deadline, queue: 2 } })
  sessions.on('storeError', (error) => storeErrors.push(error))
})
afterEach(() => {
  vi.useRealTimers()
})

/** Requests with one session each; the same for all. */
async function loaded(count: number): Promise<UnitOfWork[]> {
  const works: UnitOfWork[] = []
  for (let request = 0; request < count; request++) {
    const loading = sessions.load('token')
    await turn()
    const find = store.finds.at(-1)!
    stored = recordOf(find.requests[0]!)
    find.answer([stored])
    works.push(await loading)
  }
  return works
}

/** Counts one more, with `update`; what it came to, or its error. */
function count(work: UnitOfWork): Promise<unknown> {
  const counting = bag(work).update((session) => {
    const data = session as { n?: number }
    return (data.n = (data.n ?? 0) + 1)
  })
  return counting.catch((error: unknown) => error)
}

/** Lets the write under way find that another process was faster: it begins anew. */
async function anotherWasFaster(): Promise<void> {
  const asked = store.writes.length
  store.writes.at(-1)!.answer(['stale'])
  await turn()
  store.finds.at(-1)!.answer([{ ...stored, version: stored.version + 1 }])
  await turn()
  vi.advanceTimersByTime(100) // it waits for a random moment
  await turn()
  expect(store.writes).toHaveLength(asked + 1)
}

async function done(): Promise<void> {
  store.writes.at(-1)!.answer(['done'])
  await turn()
}

describe('changes of one session', () => {
  test('wait for each other, as many as storeLimits.queue says; one more is refused at once', async () => {
    const [first, second, third, refused] = (await loaded(4)) as [
      UnitOfWork,
      UnitOfWork,
      UnitOfWork,
      UnitOfWork,
    ]
    const counted = [first, second, third].map(count)
    expect(await count(refused)).toMatchObject({
      ...busy,
      message: expect.stringContaining('this session') as string,
    })
    await turn()
    expect(store.writes).toHaveLength(1)
    await done()
    // There is a place again.
    counted.push(count(refused))
    for (let left = 0; left < 3; left++) await done()
    expect(await Promise.all(counted)).toEqual([1, 1, 1, 1])
    expect(storeErrors).toEqual([])
  })

  test('fail when their turn has not come by the deadline, and are not done later', async () => {
    const [slow, waiting, late] = (await loaded(3)) as [UnitOfWork, UnitOfWork, UnitOfWork]
    const slowly = count(slow)
    const waited = count(waiting)
    await turn()
    vi.advanceTimersByTime(deadline * 0.6)
    await anotherWasFaster()
    const counted = count(late)
    vi.advanceTimersByTime(deadline * 0.6)
    expect(await waited).toMatchObject({
      ...timedOut,
      message: expect.stringContaining('this session') as string,
    })
    expect({ ...bag(waiting) }).toEqual({})
    await done()
    expect(await slowly).toBe(1)
    await done()
    expect(await counted).toBe(1)
    expect(store.writes).toHaveLength(3)
    expect(storeErrors).toEqual([])
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1) // the line's own, until its next tick
  })

  test('leave those of other sessions alone', async () => {
    const works = await loaded(3)
    for (const work of works) void count(work)
    const loading = sessions.load('another token')
    await turn()
    const find = store.finds.at(-1)!
    find.answer([recordOf(find.requests[0]!)])
    const counted = count(await loading)
    await turn()
    await done()
    expect(await counted).toBe(1)
  })
})
