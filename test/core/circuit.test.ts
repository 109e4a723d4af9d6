import '../faked-timers.ts'
import { SessionError } from 'coatcheck'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Batcher, type BatchSettings } from '../../dist/core/store/batcher.js'
import { HandDrivenStore, id, recordOf, removal, turn } from './hand-driven-store.ts'

const rest = 1_000
const deadline = 10_000
const away = { code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 }
const down = new SessionError('ERR_SESSION_STORE_UNAVAILABLE', 'connection refused', { status: 503 })

let store: HandDrivenStore
let faults: unknown[]
let batcher: Batcher

function begin(settings: Partial<BatchSettings> = {}): void {
  batcher = new Batcher(store, { deadline, rest, failuresToOpen: 3, ...settings }, (_doing, cause) => {
    faults.push(cause)
    return cause
  })
}

beforeEach(() => {
  store = new HandDrivenStore()
  faults = []
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  begin()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Asks for one session; `failed` holds why there was no answer. */
function find(name: string): { readonly failed: Promise<unknown> } {
  return {
    failed: batcher.find(id(name)).then(
      () => undefined,
      (error: unknown) => error,
    ),
  }
}

async function failFind(name: string, cause: unknown = down): Promise<void> {
  const { failed } = find(name)
  await turn()
  store.finds.at(-1)!.fail(cause)
  expect(await failed).toBe(cause)
}

async function failThree(cause: unknown = down): Promise<void> {
  for (const name of ['a', 'b', 'c']) await failFind(name, cause)
}

describe('a store that failed several times in a row', () => {
  test.each([
    ['ECONNREFUSED', { code: 'ECONNREFUSED', syscall: 'connect' }],
    ['ENOSPC', { code: 'ENOSPC' }],
    ["PostgreSQL's shutdown", { code: '57P01' }],
    ["mysql2's lost connection", { errno: 1053, sqlState: '08S01' }],
  ])("is away by %s too, from a store of the app's", async (_name, properties) => {
    await failThree(Object.assign(new Error('failed'), properties))
    expect(await find('d').failed).toMatchObject(away)
  })

  test('is not asked: calls are refused at once, by an error that says so', async () => {
    await failThree()
    await expect(batcher.find(id('d'))).rejects.toMatchObject({
      ...away,
      message: expect.stringMatching(/failed 3 times in a row.*refused at once/) as string,
      cause: down,
    })
    await turn()
    expect(store.finds).toHaveLength(3)
  })

  test('said what it said of one session, and not of those that are refused', async () => {
    await failThree(new SessionError('ERR_SESSION_STORE_UNAVAILABLE', "cannot read Ada's session"))
    const refusal = (await find('d').failed) as Error
    expect(refusal.message).not.toContain('Ada')
    expect(refusal.cause).toMatchObject({ message: "cannot read Ada's session" })
  })

  test('is one fault more, however many calls are refused', async () => {
    await failThree()
    const refused = await Promise.all(Array.from({ length: 50 }, (_, index) => find(`r${index}`).failed))
    expect(new Set(refused).size).toBe(1)
    expect(faults).toEqual([down, down, refused[0], down])
  })

  test('lets those go at once that wait already', async () => {
    begin({ lanes: 1, largestBatch: 1 })
    const calls = ['a', 'b', 'c', 'd', 'e'].map(find)
    for (let sent = 0; sent < 3; sent++) {
      await turn()
      store.finds[sent]!.fail(down)
    }
    const [, , , fourth, fifth] = await Promise.all(calls.map(({ failed }) => failed))
    expect(fourth).toMatchObject({ message: expect.stringContaining('in a row') as string })
    expect(fifth).toBe(fourth)
    expect(store.finds).toHaveLength(3)
  })

  test('is tried by one batch after a rest, and asked again as soon as that is answered', async () => {
    await failThree()
    vi.advanceTimersByTime(rest)
    const trying = [batcher.find(id('d')), batcher.find(id('e'))]
    await turn()
    expect(store.finds.map(({ requests }) => requests).slice(3)).toEqual([['d', 'e']])
    expect(await find('f').failed).toMatchObject(away)
    store.finds[3]!.answer([recordOf(id('d')), undefined])
    expect((await Promise.all(trying)).map((record) => record?.id)).toEqual(['d', undefined])
    const after = batcher.find(id('f'))
    await turn()
    store.finds[4]!.answer([recordOf(id('f'))])
    expect(await after).toMatchObject({ id: 'f' })
    // It is as before: one failure is not several.
    await failFind('a')
    const next = batcher.find(id('g'))
    await turn()
    store.finds.at(-1)!.answer([recordOf(id('g'))])
    expect(await next).toMatchObject({ id: 'g' })
  })

  test('is left alone for another rest if that batch fails, which is one fault', async () => {
    await failThree()
    await find('refused').failed
    faults = []
    vi.advanceTimersByTime(rest)
    await failFind('d')
    expect(faults).toEqual([down])
    expect(await find('e').failed).toMatchObject(away)
    vi.advanceTimersByTime(rest - 1)
    expect(await find('f').failed).toMatchObject(away)
    vi.advanceTimersByTime(1)
    const tried = batcher.find(id('g'))
    await turn()
    store.finds.at(-1)!.answer([recordOf(id('g'))])
    expect(await tried).toMatchObject({ id: 'g' })
  })

  test('is away for those that hang too: nobody waits out the deadline a second time', async () => {
    begin({ lanes: 3, largestBatch: 1 })
    const hung = ['a', 'b', 'c', 'd'].map(find)
    await turn()
    vi.advanceTimersByTime(deadline * 1.1)
    const failures = await Promise.all(hung.map(({ failed }) => failed))
    expect(failures).toMatchObject(Array(4).fill({ code: 'ERR_SESSION_STORE_TIMEOUT' }))
    expect(await find('e').failed).toMatchObject(away)
    vi.advanceTimersByTime(rest)
    const tried = batcher.find(id('f'))
    await turn()
    store.finds.at(-1)!.answer([recordOf(id('f'))])
    expect(await tried).toMatchObject({ id: 'f' })
  })

  test('is away for changes too, where each of a batch is answered with an Error', async () => {
    for (const name of ['a', 'b', 'c']) {
      const written = batcher.write(removal(name)).catch((error: unknown) => error)
      await turn()
      store.writes.at(-1)!.answer([down])
      expect(await written).toBe(down)
    }
    await expect(batcher.write(removal('d'))).rejects.toMatchObject(away)
    // Reading is apart: a database may take no changes and still be read.
    const found = batcher.find(id('d'))
    await turn()
    store.finds[0]!.answer([undefined])
    expect(await found).toBeUndefined()
  })

  test('keeps no timer once it is well', async () => {
    await failThree()
    expect(vi.getTimerCount()).toBeGreaterThan(0)
    vi.advanceTimersByTime(rest)
    const tried = batcher.find(id('d'))
    await turn()
    store.finds.at(-1)!.answer([undefined])
    await tried
    await turn()
    vi.advanceTimersByTime(deadline)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a store is not taken to be away', () => {
  /** Whether the store is asked for a session, and answers. */
  async function asks(): Promise<boolean> {
    const asked = store.finds.length
    const found = batcher.find(id('anyone')).catch(() => undefined)
    await turn()
    store.finds[asked]?.answer([recordOf(id('anyone'))])
    return (await found) !== undefined
  }

  test('for one session that fails again and again', async () => {
    for (let tries = 0; tries < 10; tries++) await failFind('locked')
    expect(await asks()).toBe(true)
  })

  test('for failures between which it answers', async () => {
    for (let round = 0; round < 5; round++) {
      await failFind('a')
      await failFind('b')
      expect(await asks()).toBe(true)
    }
  })

  test.each([
    'ERR_SESSION_TOO_LARGE',
    'ERR_SESSION_DATA',
    'ERR_SESSION_DATA_REFUSED',
    'ERR_SESSION_STORE_BUSY',
    'ERR_SESSION_STORE_CONFIGURATION',
    'ERR_SESSION_MISSING_TABLE',
  ] as const)('for %s, which says nothing of the store as a whole', async (code) => {
    await failThree(new SessionError(code, 'a reason'))
    await failThree(new SessionError(code, 'a reason'))
    expect(await asks()).toBe(true)
  })

  test.each<[string, Error]>([
    ['an error that says nothing of its kind', new Error('invalid input')],
    ['what a database refuses of one session', Object.assign(new Error('invalid'), { code: '22P05' })],
    ['the same by mysql2', Object.assign(new Error('invalid'), { errno: 1406, sqlState: '22001' })],
    ['a lock that others hold', Object.assign(new Error('locked'), { code: '40P01' })],
    ['a right that the app lacks', Object.assign(new Error('denied'), { code: '42501' })],
  ])("for %s, in a store of the app's", async (_name, cause) => {
    for (let round = 0; round < 5; round++) await failThree(cause)
    expect(await asks()).toBe(true)
  })

  test('for a batch of changes in which one was refused for what it holds', async () => {
    const refused = new SessionError('ERR_SESSION_DATA_REFUSED', 'a reason')
    for (let round = 0; round < 5; round++) {
      const written = ['a', 'b'].map((name) => batcher.write(removal(name + round)).catch(() => undefined))
      await turn()
      store.writes.at(-1)!.answer([down, refused])
      await Promise.all(written)
    }
    const written = batcher.write(removal('c'))
    await turn()
    store.writes.at(-1)!.answer(['done'])
    expect(await written).toBe('done')
  })

  test('for calls that its queue has no room for', async () => {
    begin({ lanes: 1, longestQueue: 1 })
    const first = batcher.find(id('a'))
    await turn()
    const waiting = batcher.find(id('b'))
    for (let tries = 0; tries < 10; tries++) await find(`refused ${tries}`).failed
    store.finds[0]!.answer([undefined])
    await first
    await turn()
    store.finds[1]!.answer([undefined])
    expect(await waiting).toBeUndefined()
    expect(await asks()).toBe(true)
  })

  test('for a batch and its halves, which are one failure', async () => {
    for (let round = 0; round < 2; round++) {
      const calls = [find(`a ${round}`), find(`b ${round}`)]
      await turn()
      for (let sent = store.finds.length - 1; sent < store.finds.length; sent++) {
        store.finds[sent]!.fail(down)
        await turn()
      }
      await Promise.all(calls.map(({ failed }) => failed))
    }
    expect(await asks()).toBe(true)
  })

  test('for a damaged row that fails whatever shares a batch with it', async () => {
    for (let round = 0; round < 5; round++) {
      const good = batcher.find(id(`good ${round}`))
      const bad = find(`bad ${round}`)
      await turn()
      const batch = store.finds.length
      store.finds[batch - 1]!.fail(new Error('damaged'))
      await turn()
      store.finds[batch]!.answer([undefined])
      store.finds[batch + 1]!.fail(new Error('damaged'))
      expect(await good).toBeUndefined()
      await bad.failed
    }
    expect(await asks()).toBe(true)
  })
})
