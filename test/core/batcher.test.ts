import type { SessionRecord } from 'coatcheck'
import { beforeEach, describe, expect, test } from 'vitest'
import { Batcher } from '../../dist/core/store/batcher.js'
import { HandDrivenStore, id, recordOf, removal, turn } from './hand-driven-store.ts'

let store: HandDrivenStore
let batcher: Batcher

beforeEach(() => {
  store = new HandDrivenStore()
  batcher = new Batcher(store)
})

/** Asks for keys that nobody else uses, until every lane is busy and one call waits; gives how many lanes there are. */
async function makeBusy(): Promise<number> {
  for (let calls = 0; ; calls++) {
    batcher.find(id(`busy ${calls}`)).catch(() => undefined)
    await turn()
    if (store.finds.length === calls) return calls
  }
}

async function makeWritesBusy(): Promise<number> {
  for (let calls = 0; ; calls++) {
    batcher.write(removal(`busy ${calls}`)).catch(() => undefined)
    await turn()
    if (store.writes.length === calls) return calls
  }
}

function idsAsked(): string[][] {
  return store.finds.map(({ requests }) => [...requests])
}

function idsWritten(): string[][] {
  return store.writes.map(({ requests }) => requests.map((write) => write.id))
}

describe('a find', () => {
  test('on a free line goes as the turn of the event loop ends, with all others of that turn', async () => {
    void batcher.find(id('a'))
    await Promise.resolve().then(() => void batcher.find(id('b')))
    process.nextTick(() => void batcher.find(id('c')))
    expect(store.finds).toHaveLength(0)
    await turn()
    expect(idsAsked()).toEqual([['a', 'b', 'c']])
    void batcher.find(id('d'))
    await turn()
    expect(idsAsked()).toEqual([['a', 'b', 'c'], ['d']])
  })

  test('gets its own answer, also of a batch', async () => {
    const [a, b, c] = [batcher.find(id('a')), batcher.find(id('b')), batcher.find(id('c'))]
    await turn()
    store.finds[0]!.answer([recordOf(id('a')), undefined, recordOf(id('c'))])
    expect(await a).toMatchObject({ id: 'a' })
    expect(await b).toBeUndefined()
    expect(await c).toMatchObject({ id: 'c' })
  })

  test('on a busy line is gathered with others, over many turns, and goes when an answer is there', async () => {
    const lanes = await makeBusy()
    for (let index = 0; index < 20; index++) {
      void batcher.find(id(`k${index}`))
      await turn()
    }
    expect(store.finds).toHaveLength(lanes)
    store.finds[0]!.answer([undefined])
    await turn()
    expect(store.finds).toHaveLength(lanes + 1)
    expect(store.finds[lanes]!.requests).toHaveLength(21)
  })

  test('of an id that others ask for too is asked once and answered to all', async () => {
    const answers = [batcher.find(id('a')), batcher.find(id('b')), batcher.find(id('a'))]
    await turn()
    expect(idsAsked()).toEqual([['a', 'b']])
    store.finds[0]!.answer([recordOf(id('a'), 7), recordOf(id('b'), 8)])
    expect((await Promise.all(answers)).map((record) => record?.version)).toEqual([7, 8, 7])
  })

  test('never joins one that is under way: its answer may be older than a change that the asker must see', async () => {
    const early = batcher.find(id('a'))
    await turn()
    const late = batcher.find(id('a'))
    await turn()
    expect(idsAsked()).toEqual([['a'], ['a']])
    store.finds[0]!.answer([recordOf(id('a'), 1)])
    store.finds[1]!.answer([recordOf(id('a'), 2)])
    expect((await early)?.version).toBe(1)
    expect((await late)?.version).toBe(2)
  })

  test('is in no batch of more than 64, takes every free lane, and none is left behind', async () => {
    const all = Array.from({ length: 200 }, (_, index) => batcher.find(id(`k${index}`)))
    await turn()
    expect(store.finds.length).toBeGreaterThan(1)
    const batches: string[][] = []
    while (batches.length < store.finds.length) {
      const { requests, answer } = store.finds[batches.length]!
      batches.push([...requests])
      answer(requests.map((asked) => recordOf(asked)))
      await turn()
    }
    const records = await Promise.all(all)
    expect(records.map((record) => record?.id)).toEqual(all.map((_, index) => `k${index}`))
    expect(batches.map((batch) => batch.length)).toEqual([64, 64, 64, 8])
    expect(batches.flat()).toEqual(all.map((_, index) => `k${index}`)) // first come, first served
  })

  test('of a store that answers one at a time waits for no other', async () => {
    batcher = new Batcher(store, { lanes: Infinity, largestBatch: 1 })
    for (const name of ['a', 'b', 'c']) void batcher.find(id(name))
    await turn()
    expect(idsAsked()).toEqual([['a'], ['b'], ['c']])
  })
})

describe('a batch of finds that fails', () => {
  const failure = new Error('a damaged row')

  /** Answers what is asked but for the batches with one of these keys, which fail; gives how many times it was asked. */
  async function answerAllBut(...bad: string[]): Promise<number> {
    for (let asked = 0; ; asked++) {
      await turn()
      const batch = store.finds[asked]
      if (!batch) return asked
      if (batch.requests.some((name) => bad.includes(name))) batch.fail(failure)
      else batch.answer(batch.requests.map((name) => recordOf(name)))
    }
  }

  test('is asked again in halves, so that one bad record fails alone', async () => {
    const names = Array.from({ length: 64 }, (_, index) => `k${index}`)
    const all = Promise.allSettled(names.map((name) => batcher.find(id(name))))
    // The whole, and two halves each of 64, 32, 16, 8, 4 and 2.
    expect(await answerAllBut('k37')).toBe(13)
    const outcomes = await all
    expect(outcomes[37]).toEqual({ status: 'rejected', reason: failure })
    const found = outcomes.toSpliced(37, 1).map((outcome) => (outcome as { value?: SessionRecord }).value?.id)
    expect(found).toEqual(names.toSpliced(37, 1))
  })

  test('is halved on where the store has answered, so that several bad records fail alone', async () => {
    const names = Array.from({ length: 64 }, (_, index) => `k${index}`)
    const all = Promise.allSettled(names.map((name) => batcher.find(id(name))))
    await answerAllBut('k3', 'k20') // both in the first half, and then one in each
    const failed = (await all).flatMap(({ status }, index) => (status === 'rejected' ? [names[index]] : []))
    expect(failed).toEqual(['k3', 'k20'])
  })

  test('and fails again in both halves, fails whole: the store is asked no more than twice again', async () => {
    const names = Array.from({ length: 64 }, (_, index) => `k${index}`)
    const all = Promise.allSettled(names.map((name) => batcher.find(id(name))))
    expect(await answerAllBut(...names)).toBe(3)
    expect(await all).toEqual(names.map(() => ({ status: 'rejected', reason: failure })))
  })

  test('and does not when it is asked again, fails nobody', async () => {
    const all = Promise.all([batcher.find(id('a')), batcher.find(id('b'))])
    await turn()
    store.finds[0]!.fail(failure)
    expect(await answerAllBut()).toBe(3)
    expect((await all).map((record) => record?.id)).toEqual(['a', 'b'])
  })

  test('leaves its lane to those that came after', async () => {
    batcher = new Batcher(store, { lanes: 1 })
    const before = batcher.find(id('before'))
    await turn()
    const after = batcher.find(id('after'))
    store.finds[0]!.fail(failure)
    await expect(before).rejects.toBe(failure)
    await turn()
    store.finds[1]!.answer([recordOf(id('after'))])
    expect(await after).toMatchObject({ id: 'after' })
  })

  test('may fail by a store that throws instead of rejecting', async () => {
    store.find = () => {
      throw failure
    }
    await expect(batcher.find(id('a'))).rejects.toBe(failure)
    await expect(batcher.find(id('a'))).rejects.toBe(failure)
  })
})

describe('a write', () => {
  test('is one of an id in a batch: a second one goes in the next, and takes nobody along', async () => {
    const results = ['a', 'b', 'a', 'c'].map((name) => batcher.write(removal(name)))
    await turn()
    expect(idsWritten()).toEqual([['a', 'b', 'c'], ['a']])
    store.writes[0]!.answer(['done', 'done', 'gone'])
    store.writes[1]!.answer(['gone'])
    expect(await Promise.all(results)).toEqual(['done', 'done', 'gone', 'gone'])
  })

  test('waits for no other id, however many writes that one has', async () => {
    batcher = new Batcher(store, { lanes: 1, largestBatch: 4 })
    const hot = Array.from({ length: 10 }, () => batcher.write(removal('hot')))
    const others = ['a', 'b', 'c', 'd'].map((name) => batcher.write(removal(name)))
    await turn()
    store.writes[0]!.answer(['done', 'done', 'done', 'done'])
    await turn()
    expect(idsWritten()).toEqual([
      ['hot', 'a', 'b', 'c'],
      ['hot', 'd'],
    ])
    store.writes[1]!.answer(['gone', 'gone'])
    for (let batch = 2; batch < 10; batch++) {
      await turn()
      expect(store.writes[batch]!.requests).toEqual([removal('hot')])
      store.writes[batch]!.answer(['gone'])
    }
    expect(await Promise.all(others)).toEqual(['done', 'done', 'done', 'gone'])
    expect(new Set(await Promise.all(hot))).toEqual(new Set(['done', 'gone']))
  })

  test('of a batch that fails is rejected and never sent again, because it may have taken effect', async () => {
    const failing = Promise.allSettled([batcher.write(removal('a')), batcher.write(removal('b'))])
    await turn()
    const fine = batcher.write(removal('c'))
    await turn()
    const failure = new Error('disk full')
    store.writes[0]!.fail(failure)
    store.writes[1]!.answer(['done'])
    expect(await failing).toEqual(Array(2).fill({ status: 'rejected', reason: failure }))
    expect(await fine).toBe('done')
    await turn()
    expect(store.writes).toHaveLength(2)
  })

  test('that the store answers with an Error is rejected alone', async () => {
    const writes = ['a', 'b', 'c'].map((name) => batcher.write(removal(name)))
    const outcomes = Promise.allSettled(writes)
    await turn()
    const failure = new Error('too large')
    store.writes[0]!.answer(['done', failure, 'gone'])
    expect(await outcomes).toEqual([
      { status: 'fulfilled', value: 'done' },
      { status: 'rejected', reason: failure },
      { status: 'fulfilled', value: 'gone' },
    ])
  })

  test('does not wait for finds, nor they for it', async () => {
    await makeBusy()
    void batcher.write(removal('a'))
    await turn()
    expect(store.writes).toHaveLength(1)
  })
})

test('idle comes when all that was asked has been answered', async () => {
  await makeBusy()
  await makeWritesBusy()
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

test('idle waits for what was asked in this very turn', async () => {
  const found = batcher.find(id('a'))
  let isIdle = false
  const idle = batcher.idle().then(() => (isIdle = true))
  await turn()
  expect(isIdle).toBe(false)
  store.finds[0]!.answer([undefined])
  await Promise.all([found, idle])
})
