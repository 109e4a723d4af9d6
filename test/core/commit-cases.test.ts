import { deserialize, serialize } from 'node:v8'
import { describe, expect, test } from 'vitest'
import type { SessionId, SessionWrite, UnitOfWork } from 'coatcheck'
import { randomBytes } from 'node:crypto'
import { bag, committedToken, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

type Data = Record<string, unknown>

const v8Codec = { encode: serialize, decode: (bytes: Uint8Array) => deserialize(bytes) as Data }

/** Sessions, one of them stored, two requests that have found it, and what tells of failures. */
async function two(data: Data, options: Parameters<typeof memorySessions>[0] = {}, userId?: string) {
  const store = new WatchedStore()
  const sessions = memorySessions({ store, ...options })
  sessions.on('storeError', () => undefined)

  const token = await storedSession(sessions, data, userId)
  const [work, other] = [await sessions.load(token), await sessions.load(token)]
  const { session } = work
  expect(session).toBeDefined()
  return { store, sessions, token, work, other, hand: bag(work) }
}

async function change(work: UnitOfWork, data: Data): Promise<void> {
  Object.assign(bag(work), data)
  await work.commit()
}

/** The next write fails, and is carried out when the test says so. */
function delaying(store: WatchedStore): () => Promise<void> {
  const { write } = store
  let late: readonly SessionWrite[] | undefined
  store.write = async (writes) => {
    if (late) return write.call(store, writes)
    late = writes
    throw new Error('connection reset')
  }
  return async () => void (await write.call(store, late!))
}

const unavailable = { code: 'ERR_SESSION_STORE_UNAVAILABLE' }

describe('a save that failed, and was not carried out,', () => {
  test('does not pass for the rotation that follows', async () => {
    const { store, sessions, token, work, hand } = await two({ n: 0 }, {}, 'ada')
    hand.n = 1
    delaying(store)
    await expect(hand.save()).rejects.toMatchObject(unavailable)
    await hand.rotate()
    await work.commit()
    expect(work.outcome.action).toBe('issue')
    expect((await sessions.load(token)).isFormer).toBe(true)
  })

  test('does not pass for the fresh proof of a user that follows', async () => {
    const { store, work, hand } = await two({ n: 0 }, {}, 'ada')
    hand.n = 1
    delaying(store)
    await expect(hand.save()).rejects.toMatchObject(unavailable)
    await hand.signIn('ada')
    await work.commit()
    expect(work.outcome.action).toBe('issue')
  })
})

describe('a save that failed, and is carried out late,', () => {
  test.each(['signIn', 'rotate'] as const)('takes nothing from a %s after it', async (how) => {
    const { store, sessions, token, work, hand } = await two({ n: 0 })
    hand.n = 1
    const arrives = delaying(store)
    await expect(hand.save()).rejects.toMatchObject(unavailable)
    await (how === 'signIn' ? hand.signIn('ada', { keep: true }) : hand.rotate())
    await arrives()
    await work.commit()
    expect([work.outcome.action, work.userId]).toEqual(['issue', how === 'signIn' ? 'ada' : undefined])
    expect((await sessions.load(token)).isFormer).toBe(true)
    expect(await readData(sessions, work.id)).toEqual({ n: 1 })
  })
})

test.each(['signOut', 'destroy'] as const)(
  '%s ends a session that another has rotated since, whatever was to be stored before',
  async (how) => {
    const { store, sessions, work, other, hand } = await two({ n: 0 })
    hand.n = 1
    delaying(store)
    await expect(hand.save()).rejects.toMatchObject(unavailable)
    await hand.signIn('ada')
    await bag(other).rotate()
    const now = await committedToken(other)
    await hand[how]()
    expect((await sessions.load(now)).isNew).toBe(true)
    await work.commit()
    expect(work.outcome.action).toBe('clear')
  },
)

test.each(['signOut', 'destroy'] as const)(
  '%s ends no session beside which a sign-in by its former token was to begin',
  async (how) => {
    const { sessions, token, other } = await two({ n: 0 })
    await bag(other).rotate()
    const now = await committedToken(other)
    const late = await sessions.load(token)
    await bag(late).signIn('ada')
    await bag(late)[how]()
    await late.commit()
    expect(await readData(sessions, now)).toEqual({ n: 0 })
    expect(await sessions.user('ada').list()).toEqual([])
  },
)

describe('a hand that takes no changes', () => {
  test.each<[string, (hand: Data) => void]>([
    ['holds a frozen object', (hand) => void Object.freeze(hand.cart)],
    ['holds an object that takes no new names', (hand) => void Object.preventExtensions(hand.cart)],
    ['is frozen', (hand) => void Object.freeze(hand)],
    ['is sealed', (hand) => void Object.seal(hand)],
    ['takes no new names', (hand) => void Object.preventExtensions(hand)],
    [
      'has an accessor',
      (hand) => {
        const { a } = hand
        Object.defineProperty(hand, 'a', { get: () => a, enumerable: true })
      },
    ],
    [
      'has an accessor that refuses',
      (hand) => {
        const { a } = hand
        const set = () => {
          throw new Error('no')
        }
        Object.defineProperty(hand, 'a', { get: () => a, set, enumerable: true, configurable: true })
      },
    ],
    [
      'holds a proxy that refuses',
      (hand) => {
        const refuse = () => {
          throw new Error('no')
        }
        hand.cart = new Proxy(hand.cart as Data, {
          set: refuse,
          deleteProperty: refuse,
          defineProperty: refuse,
        })
      },
    ],
  ])('because it %s fails no commit, and loses nothing of others', async (_name, spoil) => {
    const { sessions, token, work, other, hand } = await two({ a: 1, cart: { x: 1, y: 1 }, z: 1, mine: 0 })
    hand.mine = 1
    spoil(hand)
    await change(other, { a: 2, cart: { y: 2, x: 1, t: 1 }, theirs: 1, z: undefined })
    await work.commit()
    const after = { a: 2, cart: { x: 1, y: 2, t: 1 }, theirs: 1, mine: 1 }
    expect(await readData(sessions, token)).toEqual(after)
    await change(await sessions.load(token), { a: 3, cart: { x: 3, y: 3, t: 3 }, theirs: 3 })
    await bag(work).save()
    const last = { a: 3, cart: { x: 3, y: 3, t: 3 }, theirs: 3, mine: 1 }
    expect(await readData(sessions, token)).toEqual(last)
  })

  test.each<[string, (hand: Data) => void]>([
    ['is frozen', (hand) => void Object.freeze(hand)],
    ['takes no new names', (hand) => void Object.preventExtensions(hand)],
  ])('because it %s gives way to another when it is to hold something else', async (_name, spoil) => {
    const { sessions, token, work, other, hand } = await two({ n: 1 }, {}, 'ada')
    spoil(hand)
    await change(other, { n: 2, more: 1 })
    await hand.reload()
    expect({ ...bag(work) }).toEqual({ n: 2, more: 1 })
    expect(work.commit()).toBeUndefined()
    spoil(bag(work))
    await bag(work).signOut()
    expect({ ...bag(work) }).toEqual({})
    expect([work.commit(), (await sessions.load(token)).isNew]).toEqual([undefined, true])
    const refused = sessions.begin()
    bag(refused).secret = 1
    await bag(refused).signIn('ada')
    spoil(bag(refused))
    await sessions.user('ada').revokeAll()
    await expect(refused.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect([{ ...bag(refused) }, refused.commit(), await sessions.user('ada').list()]).toEqual([
      {},
      undefined,
      [],
    ])
  })

  test('loses nothing of an update(fn), nor does a request with a former token', async () => {
    for (const isFormer of [false, true]) {
      const { sessions, token, work, other, hand } = await two({ cart: { n: 1 } }, {}, 'ada')
      Object.freeze(hand)
      Object.freeze(hand.cart)
      if (isFormer) await bag(other).rotate()
      const now = isFormer ? await committedToken(other) : token
      await hand.update((session) => void (session as unknown as { cart: { n: number } }).cart.n++)
      expect(await readData(sessions, now)).toEqual({ cart: { n: 2 } })
      await work.commit()
      expect(await readData(sessions, now)).toEqual({ cart: { n: 2 } })
    }
  })
})

describe('update(fn)', () => {
  test('keeps two places apart that share an object, where others changed the one', async () => {
    const { sessions, token, other, hand } = await two({ saved: { a: 1 }, draft: { a: 1 }, n: 0 })
    hand.saved = hand.draft
    await change(other, { draft: { a: 2 } })
    await hand.update((session) => void ((session as unknown as Data).n = 1))
    expect(await readData(sessions, token)).toEqual({ saved: { a: 1 }, draft: { a: 2 }, n: 1 })
  })

  test('has Maps and Sets of its own in the draft, where the codec keeps them', async () => {
    const data = { map: new Map([['a', { n: 1 }]]), set: new Set([1]) }
    const { sessions, token, work, hand } = await two(data, { codec: v8Codec })
    const { map, set } = hand as unknown as typeof data
    await hand.update((session) => {
      const draft = session as unknown as typeof data
      draft.map.set('b', { n: 2 })
      draft.map.get('a')!.n = 3
      draft.set.add(2)
    })
    const expected = { map: new Map([['a', { n: 3 }], ['b', { n: 2 }]]), set: new Set([1, 2]) } // prettier-ignore
    expect(await readData(sessions, token)).toEqual(expected)
    expect({ ...hand }).toEqual(expected)
    map.delete('a')
    set.delete(1)
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ map: new Map([['b', { n: 2 }]]), set: new Set([2]) })
  })

  test('leaves references to the items of an array good', async () => {
    const { sessions, token, work, hand } = await two({ items: [{ n: 1 }] })
    const [item] = hand.items as [{ n: number }]
    await hand.update((session) => void (session as unknown as { items: unknown[] }).items.push({ n: 2 }))
    item.n = 5
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ items: [{ n: 5 }, { n: 2 }] })
  })

  test('gives what it returns detached and frozen, be it the draft', async () => {
    const { hand } = await two({ cart: { a: 1 } })
    const cart = await hand.update((session) => (session as unknown as { cart: Data }).cart)
    const whole = (await hand.update((session) => Object.assign(session, { n: 1 }))) as unknown as Data
    expect([cart, { ...whole }, { ...hand }]).toEqual([
      { a: 1 },
      { cart: { a: 1 }, n: 1 },
      { cart: { a: 1 }, n: 1 },
    ])
    for (const each of [cart, whole, whole.cart]) expect(Object.isFrozen(each)).toBe(true)
    expect(hand.cart).not.toBe(cart)
    expect(Object.isFrozen(hand.cart)).toBe(false)
  })

  test('stores nothing if what it returns cannot be copied', async () => {
    const { store, work, hand } = await two({ n: 1 })
    store.writes.length = 0
    const failure = new Error('no')
    const returned = {
      get x(): never {
        throw failure
      },
    }
    const update = hand.update((session) => {
      Object.assign(session, { n: 2 })
      return returned
    })
    await expect(update).rejects.toBe(failure)
    expect([work.commit(), store.writes, { ...hand }]).toEqual([undefined, [], { n: 1 }])
  })

  test.each<[string, unknown]>([
    ['what is stored', 2],
    ['what JSON has no word for', 1n],
  ])('that puts %s into req.session is a TypeError, and changes nothing', async (_name, value) => {
    const { store, work, hand } = await two({ n: 1, cart: { a: 1 } })
    const { cart } = hand
    store.writes.length = 0
    await expect(hand.update(() => void (hand.n = value))).rejects.toThrow(
      /changes the session that it is handed/,
    )
    expect([work.commit(), store.writes, { ...hand }]).toEqual([undefined, [], { n: 1, cart: { a: 1 } }])
    // What cannot be encoded cannot be told from the rest either: then all is read anew.
    expect(hand.cart === cart).toBe(typeof value === 'number')
  })

  test('that is async and changes req.session changes nothing', async () => {
    const { work, hand } = await two({ n: 1 })
    const change = async () => void (hand.n = 2)
    await expect(hand.update(change as unknown as () => void)).rejects.toThrow(/must not be async/)
    expect([work.commit(), { ...hand }]).toEqual([undefined, { n: 1 }])
  })

  test('that throws after it changed req.session, be it by what JSON has no word for, changes nothing', async () => {
    const { work, hand } = await two({ n: 1 })
    const failure = new Error('the app failed')
    const update = hand.update(() => {
      hand.n = 1n
      throw failure
    })
    await expect(update).rejects.toBe(failure)
    expect([work.commit(), { ...hand }]).toEqual([undefined, { n: 1 }])
  })

  test.each(['signIn', 'signOut', 'rotate', 'regenerate', 'destroy', 'reload', 'save', 'update'] as const)(
    'refuses %s of the draft, and tells who it is',
    async (method) => {
      const { work, hand } = await two({ n: 1 }, {}, 'ada')
      let refused: Promise<unknown> | undefined
      const told = await hand.update((session) => {
        const call = session[method] as unknown as (value?: unknown) => Promise<unknown>
        refused = method === 'update' ? call.call(session, () => undefined) : call.call(session)
        return [session.id, session.publicId, session.userId]
      })
      await expect(refused).rejects.toMatchObject({ code: 'ERR_SESSION_REPLACED' })
      expect(told).toEqual([hand.id, hand.publicId, 'ada'])
      expect(work.commit()).toBeUndefined()
    },
  )

  test('leaves what others changed meanwhile under a name that is part of every session', async () => {
    const { store, sessions, hand, token } = await two({ n: 0 })
    const planted = async (n: number) => {
      const [record] = await store.find([hand.publicId as SessionId])
      const data = Buffer.from(JSON.stringify({ n: 0, userId: n }))
      const { id, version, userId } = record!
      const write = { type: 'update', id, version, userId, data, format: 1, mark: randomBytes(8) } as const
      expect(await store.write([{ ...write, lifetime: { idle: 60_000, absolute: undefined } }])).toEqual([
        'done',
      ])
    }
    await planted(1)
    const work = await sessions.load(token)
    bag(work).n = 1
    await planted(2)
    await bag(work).update((session) => void ((session as unknown as Data).n = 2))
    const [record] = await store.find([hand.publicId as SessionId])
    expect(JSON.parse(Buffer.from(record!.data).toString())).toEqual({ n: 2, userId: 2 })
  })

  test('by a former token keeps references good, and shows nothing of what came after', async () => {
    const { sessions, other, hand } = await two({ cart: { n: 1 } }, {}, 'ada')
    Object.assign(bag(other), { cart: { n: 10, secret: 1 } })
    await bag(other).rotate()
    const now = await committedToken(other)
    const { cart } = hand
    await hand.update((session) => void (session as unknown as { cart: { n: number } }).cart.n++)
    expect(hand.cart).toBe(cart)
    expect({ ...hand }).toEqual({ cart: { n: 2 } })
    expect(await readData(sessions, now)).toEqual({ cart: { n: 11, secret: 1 } })
  })

  test('shares an instance of a class with the draft, whatever it leads to', async () => {
    class Price {
      readonly owner: Price = this
      readonly cents: number
      constructor(cents: number) {
        this.cents = cents
      }
      toJSON = () => this.cents
    }
    const { sessions, token, other, hand } = await two({ n: 0 })
    const price = new Price(5)
    hand.price = price
    await change(other, { theirs: 1 })
    await hand.update((session) => {
      const draft = session as unknown as { price: Price; twice: Price }
      expect(draft.price).toBe(price)
      draft.twice = new Price(draft.price.cents * 2)
    })
    expect([hand.price, hand.twice instanceof Price]).toEqual([price, true])
    expect(await readData(sessions, token)).toEqual({ n: 0, price: 5, twice: 10, theirs: 1 })
  })

  test('has a Date in the draft where there is one in hand, and puts one there', async () => {
    const { sessions, token, other, hand } = await two({ n: 0 })
    hand.at = new Date(0)
    await change(other, { theirs: 1 })
    await hand.update((session) => {
      const draft = session as unknown as { at: Date; later: Date }
      draft.later = new Date(draft.at.getTime() + 1)
    })
    expect([hand.at, hand.later]).toEqual([new Date(0), new Date(1)])
    const [at, later] = [new Date(0).toISOString(), new Date(1).toISOString()]
    expect(await readData(sessions, token)).toEqual({ n: 0, at, later, theirs: 1 })
  })
})

describe('a record that a later build has stored', () => {
  test('is left alone by a merge', async () => {
    const { store, sessions, token, work, other, hand } = await two({ n: 1 })
    hand.n = 2
    store.beforeWrite = async (writes) => {
      store.beforeWrite = undefined
      for (const write of writes) Object.assign(write, { format: 2 })
    }
    await change(other, { theirs: 1 })
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_CONFLICT', status: 503 })
    const [record] = await store.find([hand.publicId as SessionId])
    expect([record!.format, record!.version]).toEqual([2, 2])
    expect((await sessions.load(token)).session).toEqual({})
  })
})

describe('a hand that moves on while a write flies', () => {
  /** Does this when the next write has been sent, before it is carried out. */
  const during = (store: WatchedStore, act: () => unknown) => {
    store.beforeWrite = async () => {
      store.beforeWrite = undefined
      await act()
    }
  }

  test('keeps what the handler pushed, and has it stored by the next commit', async () => {
    const { store, sessions, token, work, hand } = await two({ cart: ['coat'], n: 0 })
    const cart = hand.cart as string[]
    hand.n = 1
    during(store, () => cart.push('hat'))
    await hand.save()
    expect(await readData(sessions, token)).toEqual({ cart: ['coat'], n: 1 })
    expect(hand.cart).toBe(cart)
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ cart: ['coat', 'hat'], n: 1 })
  })

  test('keeps it where the write was a merge', async () => {
    const { store, sessions, token, work, other, hand } = await two({ cart: ['coat'], left: { a: 1 }, n: 0 })
    const { cart, left } = hand as unknown as { cart: string[]; left: Data }
    await change(other, { theirs: 1, left: { a: 1, b: 2 }, n: 5 })
    hand.mine = 1
    // The first write finds it stale.
    during(store, () => during(store, () => (cart.push('hat'), (left.c = 3), (hand.n = 9))))
    await hand.save()
    expect({ ...hand }).toEqual({
      cart: ['coat', 'hat'],
      left: { a: 1, b: 2, c: 3 },
      n: 9,
      mine: 1,
      theirs: 1,
    })
    expect([hand.cart, hand.left]).toEqual([cart, left])
    expect([hand.cart === cart, hand.left === left]).toEqual([true, true])
    await change(await sessions.load(token), { n: 6, left: { a: 1, b: 3 } })
    await work.commit()
    const expected = { cart: ['coat', 'hat'], left: { a: 1, b: 3, c: 3 }, n: 9, mine: 1, theirs: 1 }
    expect(await readData(sessions, token)).toEqual(expected)
  })

  test('keeps it where the write was an update(fn)', async () => {
    const { store, sessions, token, work, hand } = await two({ cart: ['coat'], n: 0 })
    const cart = hand.cart as string[]
    during(store, () => cart.push('hat'))
    await hand.update((session) => void ((session as unknown as { n: number }).n = 1))
    expect({ ...hand }).toEqual({ cart: ['coat', 'hat'], n: 1 })
    expect(hand.cart).toBe(cart)
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ cart: ['coat', 'hat'], n: 1 })
  })

  test('keeps what no codec takes, for the next commit to refuse, and loses nothing of others', async () => {
    const { store, sessions, token, work, other, hand } = await two({ n: 0 })
    await change(other, { theirs: 1 })
    hand.n = 1
    during(store, () => during(store, () => (hand.bad = 1n)))
    await hand.save()
    expect(await readData(sessions, token)).toEqual({ n: 1, theirs: 1 })
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
    delete hand.bad
    hand.n = 2
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ n: 2, theirs: 1 })
  })
})

test('a merge over the limit is refused, and what is taken out then is stored', async () => {
  const { sessions, token, work, other, hand } = await two({ n: 0 }, { sizeLimit: 1_000 })
  await change(other, { theirs: 'x'.repeat(600) })
  Object.assign(hand, { mine: 'y'.repeat(600), n: 1 })
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_TOO_LARGE' })
  expect({ ...hand }).toEqual({ n: 1, mine: 'y'.repeat(600) })
  expect(await readData(sessions, token)).toEqual({ n: 0, theirs: 'x'.repeat(600) })
  delete hand.mine
  await work.commit()
  expect(await readData(sessions, token)).toEqual({ n: 1, theirs: 'x'.repeat(600) })
})

test('a conflict after the headers is merged like any other, and tells the browser nothing', async () => {
  const { sessions, token, work, other, hand } = await two({ n: 0 })
  work.closeHeaders()
  await change(other, { theirs: 1 })
  hand.n = 1
  await work.commit()
  expect([work.outcome.action, await readData(sessions, token)]).toEqual(['keep', { n: 1, theirs: 1 }])
  await bag(other).rotate()
  const now = await committedToken(other)
  hand.n = 2
  await work.commit()
  expect([work.outcome.action, await readData(sessions, now)]).toEqual(['keep', { n: 2, theirs: 1 }])
  await bag(await sessions.load(now)).destroy()
  hand.n = 3
  await work.commit()
  expect([work.outcome.action, (await sessions.load(now)).isNew]).toEqual(['keep', true])
})

test.each([
  ['was revoked meanwhile', 'ERR_SESSION_REVOKED', {}],
  ['is one too many', 'ERR_SESSION_LIMIT', { sessionsPerUser: { most: 1, whenFull: 'refuse' } }],
] as const)(
  'after a sign-in that %s, a flash message begins a session that holds nothing else',
  async (_name, code, options) => {
    const { sessions, token, work, hand } = await two({ cart: 1 }, options)
    await hand.signIn('ada')
    hand.secret = 1
    if (code === 'ERR_SESSION_REVOKED') await sessions.user('ada').revokeAll()
    else await storedSession(sessions, {}, 'ada')
    await expect(work.commit()).rejects.toMatchObject({ code })
    expect([{ ...bag(work) }, bag(work).userId, (await sessions.load(token)).isNew]).toEqual([
      {},
      undefined,
      true,
    ])
    bag(work).flash = 'try again'
    const fresh = await committedToken(work)
    expect(work.outcome.action).toBe('issue')
    const read = await sessions.load(fresh)
    expect([{ ...bag(read) }, bag(read).userId]).toEqual([{ flash: 'try again' }, undefined])
  },
)

test('two saves by a former token store each its own, and see nothing of what came after', async () => {
  const { sessions, work, other, hand } = await two({ a: 1, b: 1 }, {}, 'ada')
  bag(other).admin = true
  await bag(other).rotate()
  const now = await committedToken(other)
  hand.a = 2
  await hand.save()
  await change(await sessions.load(now), { a: 3 })
  hand.b = 2
  await hand.save()
  expect([{ ...hand }, work.isFormer]).toEqual([{ a: 2, b: 2 }, true])
  expect(await readData(sessions, now)).toEqual({ a: 3, b: 2, admin: true })
})

describe('a sign-in that keeps the cart alone', () => {
  const keep = ['cart']

  test('takes nothing else over, whatever others store meanwhile and however often', async () => {
    const { store, sessions, token, work, hand } = await two({ cart: { coat: 1 }, planted: 1 })
    await work.signIn('ada', { keep })
    expect({ ...hand }).toEqual({ cart: { coat: 1 } })
    hand.name = 'Ada'
    let count = 0
    store.beforeWrite = async (writes) => {
      const [write] = writes
      if (count > 2 || write?.type !== 'update' || !write.secret) return
      const n = ++count
      await change(await sessions.load(token), { planted: n + 1, more: n, cart: { coat: 1, hat: n } })
    }
    await work.commit()
    expect(count).toBe(3)
    expect(await readData(sessions, work.id)).toEqual({ cart: { coat: 1, hat: 3 }, name: 'Ada' })
    expect({ ...hand }).toEqual({ cart: { coat: 1, hat: 3 }, name: 'Ada' })
  })

  test('takes nothing else over where the session has ended, or was rotated meanwhile', async () => {
    for (const how of ['destroy', 'rotate'] as const) {
      const { sessions, work, other, hand } = await two({ cart: { coat: 1 }, planted: 1 })
      bag(other).more = 1
      await bag(other)[how]()
      await other.commit()
      await work.signIn('ada', { keep })
      hand.name = 'Ada'
      const token = await committedToken(work)
      const cart = how === 'rotate' ? { cart: { coat: 1 } } : {}
      expect(await readData(sessions, token)).toEqual({ ...cart, name: 'Ada' })
    }
  })

  test('takes nothing else over in an update(fn)', async () => {
    const { sessions, work, other, hand } = await two({ cart: { coat: 1 }, planted: 1 })
    await work.signIn('ada', { keep })
    await change(other, { planted: 2, cart: { coat: 2 } })
    const seen: unknown[] = []
    await hand.update((session) => {
      seen.push({ ...session })
      Object.assign(session, { n: 1 })
    })
    expect(seen).toEqual([{ cart: { coat: 1 } }, { cart: { coat: 2 } }])
    expect(await readData(sessions, work.id)).toEqual({ cart: { coat: 2 }, n: 1 })
  })

  test('takes nothing else over from a former token, or after a lost save', async () => {
    const { store, sessions, token, work, hand } = await two({ cart: { coat: 1 } })
    hand.planted = 1
    const arrives = delaying(store)
    await expect(hand.save()).rejects.toMatchObject(unavailable)
    await work.signIn('ada', { keep })
    await arrives()
    await change(await sessions.load(token), { more: 1, cart: { coat: 2 } })
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ cart: { coat: 2 } })
  })

  test('keeps what the handler puts under a name that it did not keep, be it the same again', async () => {
    const { sessions, work, other, hand } = await two({ cart: 1, theme: 'dark', list: { a: 1 } })
    await work.signIn('ada', { keep })
    Object.assign(hand, { theme: 'dark', list: { a: 1, b: 2 } })
    await change(other, { cart: 2 })
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ cart: 2, theme: 'dark', list: { a: 1, b: 2 } })
  })

  test('does not hold for what comes after it', async () => {
    const { sessions, work, hand } = await two({ cart: 1, planted: 1 })
    await work.signIn('ada', { keep })
    const token = await committedToken(work)
    await change(await sessions.load(token), { theirs: 1 })
    hand.mine = 1
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ cart: 1, theirs: 1, mine: 1 })
  })
})

describe('what is nested', () => {
  const nested = (levels: number): Data => {
    let data: Data = { leaf: 1 }
    for (let level = 2; level < levels; level++) data = { a: data }
    return data
  }
  const levelsOf = (data: unknown): number => {
    let levels = 1
    for (let at = data as Data | undefined; at; at = at.a as Data | undefined) levels++
    return levels
  }
  /** Reads and writes any depth, without the stack. */
  const codec = {
    encode: ({ deep, ...rest }: Data) => Buffer.from(JSON.stringify({ ...rest, levels: levelsOf(deep) })),
    decode: (bytes: Uint8Array) => {
      const { levels, ...rest } = JSON.parse(Buffer.from(bytes).toString()) as { levels: number }
      return { ...rest, ...(levels > 1 && { deep: nested(levels) }) } as Data
    },
  }
  const tooDeep = { code: 'ERR_SESSION_DATA', message: /1,000 levels/ }

  test('1,000 levels deep is merged, and updated, with any codec', async () => {
    for (const each of [undefined, v8Codec, codec]) {
      const data = { deep: nested(1_000), n: 0 }
      const { sessions, token, work, other, hand } = await two(data, each && { codec: each })
      const { deep } = hand
      await change(other, { theirs: 1 })
      hand.mine = 1
      await work.commit()
      expect(hand.deep).toBe(deep)
      const returned = await hand.update((session) => {
        Object.assign(session, { n: 1 })
        return (session as unknown as Data).deep
      })
      expect(levelsOf(returned)).toBe(1_000)
      const { deep: stored, ...rest } = await readData(sessions, token)
      expect([levelsOf(stored), rest]).toEqual([1_000, { n: 1, theirs: 1, mine: 1 }])
    }
  })

  test('deeper than that is stored where a codec takes it, and refused by a merge', async () => {
    const { sessions, token, work, other, hand } = await two({ deep: nested(20_000) }, { codec })
    await change(other, { theirs: 1 })
    hand.mine = 1
    await expect(work.commit()).rejects.toMatchObject(tooDeep)
    delete hand.deep
    await expect(work.commit()).rejects.toMatchObject(tooDeep)
    const fresh = await sessions.load(token)
    delete bag(fresh).deep
    await fresh.commit()
    expect(await readData(sessions, token)).toEqual({ theirs: 1 })
  })

  test('deeper than that is refused by an update(fn), wherever it comes from', async () => {
    const { work, hand } = await two({ n: 0 }, { codec })
    await expect(hand.update(() => nested(20_000))).rejects.toMatchObject(tooDeep)
    const put = (session: object) => void Object.assign(session, { deep: nested(20_000) })
    await expect(hand.update(put)).rejects.toMatchObject(tooDeep)
    expect([{ ...hand }, work.commit()]).toEqual([{ n: 0 }, undefined])
    hand.deep = nested(20_000)
    await expect(hand.update(() => undefined)).rejects.toMatchObject(tooDeep)
    await work.commit()
  })

  test('in itself is refused likewise, where a codec takes it', async () => {
    const ring: Data = {}
    ring.self = ring
    const { work, other, hand } = await two({ ring }, { codec: v8Codec })
    await change(other, { theirs: 1 })
    hand.mine = 1
    await expect(work.commit()).rejects.toMatchObject(tooDeep)
  })
})
