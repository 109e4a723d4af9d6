import '../faked-timers.ts'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Batcher, type BatchSettings } from '../../dist/core/store/batcher.js'
import { HandDrivenStore, id, recordOf, removal, turn } from './hand-driven-store.ts'

const deadline = 10_000
const timedOut = { code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 }
const busy = { code: 'ERR_SESSION_STORE_BUSY', status: 503 }

let store: HandDrivenStore
/** What was told as a fault of the store. */
let faults: unknown[]

function batcherWith(settings: Partial<BatchSettings> = {}): Batcher {
  return new Batcher(store, settings, (_doing, cause) => {
    faults.push(cause)
    return cause
  })
}

beforeEach(() => {
  store = new HandDrivenStore()
  faults = []
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})

afterEach(() => {
  vi.useRealTimers()
})

/** The deadline of all that was asked so far goes by, with the tenth that it may take longer. */
function deadlinePasses(): void {
  vi.advanceTimersByTime(deadline * 1.1)
}

describe('the queue', () => {
  test('refuses one call more than it holds, and sends nothing of it', async () => {
    const batcher = batcherWith({ lanes: 1, longestQueue: 2 })
    const sent = batcher.find(id('sent'))
    await turn()
    const waiting = [batcher.find(id('a')), batcher.find(id('b'))]
    await expect(batcher.find(id('one more'))).rejects.toMatchObject(busy)
    expect(faults).toMatchObject([busy])
    store.finds[0]!.answer([undefined])
    await turn()
    store.finds[1]!.answer([recordOf(id('a')), undefined])
    expect(await sent).toBeUndefined()
    expect((await Promise.all(waiting)).map((record) => record?.id)).toEqual(['a', undefined])
    expect(store.finds.map(({ requests }) => requests)).toEqual([['sent'], ['a', 'b']])
  })

  test('that is full is one fault for all that it refuses, until it has been empty', async () => {
    const batcher = batcherWith({ lanes: 1, longestQueue: 2 })
    const refusals: unknown[] = []
    const refused = (name: string) =>
      batcher.find(id(name)).catch((error: unknown) => void refusals.push(error))
    const answerAll = async (): Promise<void> => {
      for (const { requests, answer } of store.finds) answer(requests.map(() => undefined))
      await turn()
    }
    for (let time = 1; time <= 2; time++) {
      void batcher.find(id(`sent ${time}`))
      await turn()
      for (const name of ['a', 'b']) void batcher.find(id(name))
      for (let count = 0; count < 20; count++) await refused(`refused ${count}`)
      expect(faults).toMatchObject(Array(time).fill(busy))
      await answerAll()
      await answerAll()
    }
    expect(refusals).toHaveLength(40)
    expect(new Set(refusals)).toEqual(new Set(faults))
  })

  test('takes calls again when some of those that waited have gone', async () => {
    const batcher = batcherWith({ lanes: 1, longestQueue: 1 })
    void batcher.write(removal('sent'))
    await turn()
    void batcher.write(removal('a'))
    await expect(batcher.write(removal('refused'))).rejects.toMatchObject(busy)
    store.writes[0]!.answer(['done'])
    await turn()
    void batcher.write(removal('b'))
    store.writes[1]!.answer(['done'])
    await turn()
    expect(store.writes.map(({ requests }) => requests[0]!.id)).toEqual(['sent', 'a', 'b'])
    expect(faults).toHaveLength(1)
  })

  test('of writes is not that of finds', async () => {
    const batcher = batcherWith({ longestQueue: 1 })
    void batcher.find(id('a'))
    void batcher.write(removal('a'))
    await turn()
    expect([store.finds.length, store.writes.length]).toEqual([1, 1])
  })
})

describe('the deadline', () => {
  test('fails a call that has no answer, and not before', async () => {
    const batcher = batcherWith({ deadline })
    let failed: unknown
    batcher.write(removal('a')).catch((error: unknown) => (failed = error))
    await turn()
    vi.advanceTimersByTime(deadline)
    await turn()
    expect(failed).toBeUndefined()
    vi.advanceTimersByTime(deadline / 10)
    await turn()
    expect(failed).toMatchObject(timedOut)
  })

  test('counts from when a call was asked, also where it is never sent', async () => {
    const batcher = batcherWith({ lanes: 1, deadline })
    const hung = batcher.find(id('hung')).catch((error: unknown) => error)
    await turn()
    const waiting = batcher.find(id('waiting')).catch((error: unknown) => error)
    deadlinePasses()
    expect(await Promise.all([hung, waiting])).toMatchObject([timedOut, timedOut])
    await turn()
    expect(store.finds).toHaveLength(1)
  })

  test('gives the lane of a hung batch to those that wait', async () => {
    const batcher = batcherWith({ lanes: 1, deadline })
    const hung = batcher.find(id('hung')).catch((error: unknown) => error)
    await turn()
    vi.advanceTimersByTime(deadline / 2)
    const waiting = batcher.find(id('waiting'))
    vi.advanceTimersByTime(deadline * 0.6)
    expect(await hung).toMatchObject(timedOut)
    expect(store.finds.map(({ requests }) => requests)).toEqual([['hung'], ['waiting']])
    store.finds[1]!.answer([recordOf(id('waiting'))])
    expect(await waiting).toMatchObject({ id: 'waiting' })
  })

  test('leaves alone those of the same batch that came later', async () => {
    const batcher = batcherWith({ lanes: 1, deadline })
    void batcher.find(id('first'))
    await turn()
    const early = batcher.find(id('early')).catch((error: unknown) => error)
    vi.advanceTimersByTime(deadline / 2)
    const late = batcher.find(id('late'))
    store.finds[0]!.answer([undefined])
    await turn()
    expect(store.finds[1]!.requests).toEqual(['early', 'late'])
    vi.advanceTimersByTime(deadline * 0.6)
    expect(await early).toMatchObject(timedOut)
    vi.advanceTimersByTime(deadline * 0.4)
    store.finds[1]!.answer([recordOf(id('early')), recordOf(id('late'))])
    expect(await late).toMatchObject({ id: 'late' })
    expect(faults).toMatchObject([timedOut])
  })

  test('makes a late answer be ignored, and a late failure: nobody is asked again for it', async () => {
    const batcher = batcherWith({ deadline })
    const calls = ['a', 'b', 'c', 'd'].map((name) => batcher.find(id(name)))
    const outcomes = Promise.allSettled(calls)
    await turn()
    deadlinePasses()
    expect((await outcomes).map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    store.finds[0]!.fail(new Error('connection lost'))
    const next = batcher.find(id('next'))
    await turn()
    expect(store.finds.map(({ requests }) => requests)).toEqual([['a', 'b', 'c', 'd'], ['next']])
    store.finds[1]!.answer([recordOf(id('next'))])
    expect(await next).toMatchObject({ id: 'next' })
    expect(faults).toHaveLength(1)
  })

  test('does not fail what was answered in the half of a batch that did not hang', async () => {
    const batcher = batcherWith({ deadline })
    const [fine, hung] = [batcher.find(id('fine')), batcher.find(id('hung'))]
    const failed = hung.catch((error: unknown) => error)
    await turn()
    store.finds[0]!.fail(new Error('a damaged row'))
    await turn()
    store.finds[1]!.answer([recordOf(id('fine'))])
    await turn()
    deadlinePasses()
    expect(await fine).toMatchObject({ id: 'fine' })
    expect(await failed).toMatchObject(timedOut)
  })

  test('lets idle come although the store never answers', async () => {
    const batcher = batcherWith({ deadline })
    batcher.write(removal('a')).catch(() => undefined)
    await turn()
    const idle = batcher.idle()
    deadlinePasses()
    await idle
    expect(store.writes).toHaveLength(1)
  })

  test('is watched by no timer while nothing is asked', async () => {
    const batcher = batcherWith({ deadline })
    const found = batcher.find(id('a'))
    expect(vi.getTimerCount()).toBe(1)
    for (let index = 0; index < 100; index++) void batcher.find(id(`k${index}`))
    expect(vi.getTimerCount()).toBe(1)
    await turn()
    for (const { requests, answer } of store.finds) answer(requests.map(() => undefined))
    await found
    await turn()
    vi.advanceTimersByTime(deadline)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a fault of the store', () => {
  test('is told once, however many calls it fails', async () => {
    const batcher = batcherWith()
    const finds = Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => batcher.find(id(name))))
    const writes = Promise.allSettled(['a', 'b'].map((name) => batcher.write(removal(name))))
    await turn()
    const [reading, writing] = [new Error('reading'), new Error('writing')]
    store.writes[0]!.fail(writing)
    for (let asked = 0; asked < 3; asked++) {
      store.finds[asked]!.fail(reading)
      await turn()
    }
    await Promise.all([finds, writes])
    expect(faults).toEqual([writing, reading])
  })

  test('that several answers of a batch share is told once, others by themselves', async () => {
    const batcher = batcherWith()
    const writes = Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => batcher.write(removal(name))))
    await turn()
    const [shared, own] = [new Error('shared'), new Error('own')]
    store.writes[0]!.answer([shared, own, 'done', shared])
    expect((await writes).map((outcome) => (outcome as { reason?: unknown }).reason)).toEqual([
      shared,
      own,
      undefined,
      shared,
    ])
    expect(faults).toEqual([shared, own])
  })

  test('that hangs is told once for all that wait for it, and not again as time goes on', async () => {
    const batcher = batcherWith({ lanes: 1, deadline })
    const calls = Promise.allSettled(['a', 'b', 'c'].map((name) => batcher.find(id(name))))
    await turn()
    const late = batcher.find(id('d')).catch((error: unknown) => error)
    deadlinePasses()
    expect(await late).toMatchObject(timedOut)
    await calls
    vi.advanceTimersByTime(10 * deadline)
    expect(faults).toHaveLength(1)
  })
})
