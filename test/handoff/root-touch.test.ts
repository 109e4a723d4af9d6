import {
  MemoryStore,
  type Sessions,
  type SessionsOptions,
  type SessionWrite,
  type UnitOfWork,
  type WriteResult,
} from 'coatcheck'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { bag, memorySessions, readData, storedSession } from '../core/works.ts'
import { issuedCode, redeemAtOnce } from './codes.ts'

const minute = 60_000
const options = { lifetime: { idle: '1h', absolute: '8h' }, touchAfter: '6m' } as const

/** A store that notes what is written. Where the test says so, touches of a session fail, and nothing else does. */
class TouchedStore extends MemoryStore {
  readonly touched: string[] = []
  refused: string | undefined
  /** Called before anything is written. */
  before: (() => Promise<unknown>) | undefined

  override async write(writes: readonly SessionWrite[]): Promise<(WriteResult | Error)[]> {
    const act = this.before
    this.before = undefined
    await act?.()
    for (const { type, id } of writes) if (type === 'touch') this.touched.push(id)
    const isRefused = ({ type, id }: SessionWrite): boolean => type === 'touch' && id === this.refused
    const results = await super.write(writes.filter((write) => !isRefused(write)))
    return writes.map((write) => (isRefused(write) ? new Error('the disk is full') : results.shift()!))
  }
}

async function atSite(more: Partial<SessionsOptions> = {}) {
  const store = new TouchedStore()
  const hub = memorySessions({ store, ...options, ...more })
  const shop = memorySessions({ store, clientId: 'shop', ...options, ...more })
  const root = await storedSession(hub, { name: 'Ada', hidden: 'of the hub' }, 'ada')
  const [result] = await redeemAtOnce(shop, await issuedCode(hub, root, ['name']), 1)
  if (result?.is !== 'child') throw new Error('no child')
  const { token, record } = result.found
  return { store, hub, shop, root, child: token, rootId: record.rootId!, childId: record.id }
}

async function use(sessions: Sessions, token: string, times = 1): Promise<UnitOfWork> {
  const works = await Promise.all(Array.from({ length: times }, () => sessions.load(token)))
  for (const work of works) await work.commit()
  return works[0]!
}

function pass(minutes: number): void {
  vi.setSystemTime(Date.now() + minutes * minute)
}

async function expiryOf(store: MemoryStore, id: string): Promise<number> {
  const { items } = await store.list({ limit: 10, data: false })
  return items.find((record) => record.id === id)!.expiresAt
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
})

describe('use of a site is use of the session at the hub', () => {
  it('whose expiry moves once in touchAfter at most', async () => {
    const { store, shop, child, rootId, childId } = await atSite()
    pass(5)
    await use(shop, child)
    expect(store.touched).toEqual([])
    pass(2)
    const work = await use(shop, child)
    await work.commit()
    expect(store.touched.toSorted()).toEqual([rootId, childId].toSorted())
    expect(await expiryOf(store, rootId)).toBe(Date.now() + 60 * minute)
    await use(shop, child, 3)
    pass(5)
    await use(shop, child, 3)
    expect(store.touched).toHaveLength(2)
  })

  it('which so goes on as long as it may, and no longer', async () => {
    const { hub, shop, root, child } = await atSite()
    for (let passed = 0; passed < 450; passed += 30) {
      expect((await use(shop, child)).userId, `${passed} minutes`).toBe('ada')
      pass(30)
    }
    expect((await hub.load(root)).userId).toBe('ada')
    pass(30)
    expect([(await use(shop, child)).userId, (await hub.load(root)).userId]).toEqual([undefined, undefined])
  })

  it('and a visitor of the site has none to move', async () => {
    const { store, shop } = await atSite()
    const visitor = await storedSession(shop, { cart: [] })
    pass(10)
    await use(shop, visitor)
    expect(store.touched).toHaveLength(1)
  })

  it('and a change at the site moves it too, in the same call of the store', async () => {
    const { store, shop, child, rootId } = await atSite()
    pass(10)
    const calls = vi.spyOn(store, 'write')
    const work = await shop.load(child)
    bag(work).cart = ['coat']
    await work.commit()
    expect(calls).toHaveBeenCalledOnce()
    expect(store.touched).toEqual([rootId])
  })

  it('but a sign-out does not', async () => {
    const { store, shop, child } = await atSite()
    pass(10)
    const work = await shop.load(child)
    await bag(work).signOut()
    await work.commit()
    expect(store.touched).toEqual([])
  })
})

describe('a touch of the root', () => {
  it('that fails does not fail the request, which stores what it changed', async () => {
    const { store, shop, child, rootId } = await atSite()
    const failed = vi.fn<() => void>()
    shop.on('storeError', failed)
    const before = await expiryOf(store, rootId)
    pass(10)
    store.refused = rootId
    const work = await shop.load(child)
    bag(work).cart = ['coat']
    await work.commit()
    expect(work.outcome).toEqual({ action: 'keep', token: child })
    expect(failed).toHaveBeenCalledOnce()
    expect(await expiryOf(store, rootId)).toBe(before)
    expect(await readData(shop, child)).toEqual({ cart: ['coat'] })
    store.refused = undefined
    await use(shop, child)
    expect(await expiryOf(store, rootId)).toBe(Date.now() + 60 * minute)
  })

  it('does nothing if the root gets another token meanwhile', async () => {
    const { store, hub, shop, root, child } = await atSite()
    pass(10)
    const work = await shop.load(child)
    store.before = async () => {
      const rotating = await hub.load(root)
      await bag(rotating).rotate()
      await rotating.commit()
    }
    await work.commit()
    expect((await shop.load(child)).userId).toBe('ada')
  })

  it('does not bring the root back if that ends meanwhile', async () => {
    const { store, hub, shop, root, child } = await atSite()
    pass(10)
    const work = await shop.load(child)
    store.before = async () => bag(await hub.load(root)).signOut()
    await work.commit()
    expect([(await hub.load(root)).userId, (await shop.load(child)).userId]).toEqual([undefined, undefined])
  })
})

it('a site reads what the hub shares where sessions are encrypted too, and stores them readably for the hub', async () => {
  for (const userOf of [
    undefined,
    ({ name }: Record<string, unknown>) => (name === 'Ada' ? 'ada' : undefined),
  ]) {
    const encryption = Buffer.alloc(32, 7)
    const { hub, shop, root, child, store } = await atSite({ encryption, userOf })
    pass(10)
    const work = await use(shop, child)
    expect(work.root?.data).toEqual({ name: 'Ada' })
    expect(await readData(hub, root)).toEqual({ name: 'Ada', hidden: 'of the hub' })
    const { items } = await store.list({ limit: 10, data: true })
    expect(items.map(({ data }) => Buffer.from(data!).includes('Ada'))).toEqual([false, false])
  }
})
