import type { SessionKey, SessionWrite } from 'coatcheck'
import { beforeEach, describe, expect, test } from 'vitest'
import { Batcher } from '../../dist/core/batcher.js'
import { HandDrivenStore, recordOf } from './hand-driven-store.ts'

const key = (name: string) => name as SessionKey
const removal = (name: string): SessionWrite => ({ type: 'remove', key: key(name) })

let store: HandDrivenStore
let batcher: Batcher

beforeEach(() => {
  store = new HandDrivenStore()
  batcher = new Batcher(store)
})

/** Asks for keys that nobody else uses, until the line is busy; gives how many calls that took. */
function makeBusy(): number {
  for (let calls = 0; ; calls++) {
    batcher.find(key(`busy ${calls}`)).catch(() => undefined)
    if (store.finds.length === calls) return calls
  }
}

function makeWritesBusy(): number {
  for (let calls = 0; ; calls++) {
    batcher.write(removal(`busy ${calls}`)).catch(() => undefined)
    if (store.writes.length === calls) return calls
  }
}

describe('a find', () => {
  test('that finds the line free goes at once, alone', () => {
    void batcher.find(key('a'))
    expect(store.finds.map(({ requests }) => requests)).toEqual([['a']])
  })

  test('gets its own answer, also of a batch', async () => {
    const busy = makeBusy()
    const [a, b, c] = [batcher.find(key('a')), batcher.find(key('b')), batcher.find(key('c'))]
    store.finds[0]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 1)
    const batch = store.finds[busy]!
    expect(batch.requests).toEqual([`busy ${busy}`, 'a', 'b', 'c'])
    batch.answer([undefined, recordOf(key('a')), undefined, recordOf(key('c'))])
    expect(await a).toMatchObject({ key: 'a' })
    expect(await b).toBeUndefined()
    expect(await c).toMatchObject({ key: 'c' })
  })

  test('that finds the line busy is gathered with others, and goes when an answer is there', async () => {
    const busy = makeBusy()
    for (let index = 0; index < 20; index++) void batcher.find(key(`k${index}`))
    expect(store.finds).toHaveLength(busy)
    store.finds[0]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 1)
    expect(store.finds[busy]!.requests).toHaveLength(21)
  })

  test('of a key that is waiting already is asked once and answered to all', async () => {
    const busy = makeBusy()
    const answers = [batcher.find(key('a')), batcher.find(key('a')), batcher.find(key('a'))]
    store.finds[0]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 1)
    expect(store.finds[busy]!.requests.filter((asked) => asked === 'a')).toHaveLength(1)
    store.finds[busy]!.answer([undefined, recordOf(key('a'), 7)])
    expect((await Promise.all(answers)).map((record) => record?.version)).toEqual([7, 7, 7])
  })

  test('never joins one that is under way: its answer may be older than a change that the asker must see', async () => {
    const early = batcher.find(key('a'))
    const late = batcher.find(key('a'))
    store.finds[0]!.answer([recordOf(key('a'), 1)])
    await expect.poll(() => store.finds.length).toBe(2)
    store.finds[1]!.answer([recordOf(key('a'), 2)])
    expect((await early)?.version).toBe(1)
    expect((await late)?.version).toBe(2)
  })

  test('never joins one of a batch that has left', async () => {
    const busy = makeBusy()
    void batcher.find(key('a'))
    store.finds[0]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 1)
    void batcher.find(key('a'))
    store.finds[1]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 2)
    expect(store.finds[busy + 1]!.requests).toEqual(['a'])
  })

  test('of a batch that fails is rejected, and nobody else is', async () => {
    const busy = makeBusy()
    const before = batcher.find(key('before'))
    store.finds[0]!.answer([undefined])
    await expect.poll(() => store.finds.length).toBe(busy + 1)
    const after = batcher.find(key('after'))
    const failure = new Error('connection lost')
    store.finds[busy]!.fail(failure)
    await expect(before).rejects.toBe(failure)
    await expect.poll(() => store.finds.length).toBe(busy + 2)
    store.finds[busy + 1]!.answer([recordOf(key('after'))])
    expect(await after).toMatchObject({ key: 'after' })
  })

  test('of a store that throws instead of rejecting is rejected', async () => {
    const failure = new Error('thrown')
    store.find = () => {
      throw failure
    }
    await expect(batcher.find(key('a'))).rejects.toBe(failure)
    await expect(batcher.find(key('a'))).rejects.toBe(failure)
  })

  test('is in no batch of more than 64, and none is left behind', async () => {
    const busy = makeBusy()
    const all = Array.from({ length: 200 }, (_, index) => batcher.find(key(`k${index}`)))
    let answered = 0
    const batches: number[] = []
    const finished = Promise.all(all)
    while (batches.reduce((sum, size) => sum + size, 0) < 200 + busy + 1) {
      await expect.poll(() => store.finds.length).toBeGreaterThan(answered)
      const { requests, answer } = store.finds[answered++]!
      batches.push(requests.length)
      answer(requests.map((asked) => recordOf(asked)))
    }
    expect((await finished).map((record) => record?.key)).toEqual(all.map((_, index) => `k${index}`))
    expect(Math.max(...batches)).toBe(64)
  })
})

describe('a write', () => {
  test('is one of a key in a batch: a second one waits for the next, in order', async () => {
    const busy = makeWritesBusy()
    const results = [batcher.write(removal('a')), batcher.write(removal('b')), batcher.write(removal('a'))]
    store.writes[0]!.answer(['done'])
    await expect.poll(() => store.writes.length).toBe(busy + 1)
    expect(store.writes[busy]!.requests.map((write) => write.key)).toEqual([`busy ${busy}`, 'a', 'b'])
    store.writes[busy]!.answer(['done', 'done', 'gone'])
    await expect.poll(() => store.writes.length).toBe(busy + 2)
    expect(store.writes[busy + 1]!.requests.map((write) => write.key)).toEqual(['a'])
    store.writes[busy + 1]!.answer(['gone'])
    expect(await Promise.all(results)).toEqual(['done', 'gone', 'gone'])
  })

  test('of a batch that fails is rejected, and nobody else is', async () => {
    const failing = batcher.write(removal('a'))
    const fine = batcher.write(removal('b'))
    const failure = new Error('disk full')
    store.writes[0]!.fail(failure)
    store.writes[1]!.answer(['done'])
    await expect(failing).rejects.toBe(failure)
    expect(await fine).toBe('done')
  })

  test('does not wait for finds, nor they for it', () => {
    makeBusy()
    void batcher.write(removal('a'))
    expect(store.writes).toHaveLength(1)
  })
})

test('idle comes when all that was asked has been answered', async () => {
  makeBusy()
  makeWritesBusy()
  let isIdle = false
  const idle = batcher.idle().then(() => (isIdle = true))
  for (let index = 0; index < store.finds.length; index++) {
    expect(isIdle).toBe(false)
    store.finds[index]!.answer(store.finds[index]!.requests.map(() => undefined))
    await turn()
  }
  for (let index = 0; index < store.writes.length; index++) {
    expect(isIdle).toBe(false)
    store.writes[index]!.answer(store.writes[index]!.requests.map(() => 'done'))
    await turn()
  }
  await idle
  expect(isIdle).toBe(true)
})

/** All microtasks that wait have run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
