import type { MergeConflict, Sessions, SessionsOptions, UnitOfWork } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { idOf } from '../../dist/core/token.js'
import {
  bag,
  committedToken,
  losing,
  memorySessions,
  readData,
  storedSession,
  WatchedStore,
} from './works.ts'

/** Sessions on a store that fails when the test says so. */
function watched(options: Partial<SessionsOptions> = {}) {
  const store = new WatchedStore()
  const sessions = memorySessions({ store, ...options }).on('storeError', () => undefined)
  return { store, sessions }
}

async function rotated(work: UnitOfWork): Promise<string> {
  await bag(work).rotate()
  return committedToken(work)
}

// "revokeAll({ except: req.session }) first replaces the spared row's secret, whatever its version or secret is by then, and clears its
// former part. A sign-in as the row's own user wins over a rotation by whoever else holds the old token in the same way."
describe('an owner who changes the password while a thief with the same token rotates', () => {
  const changes: Record<string, (sessions: Sessions, work: UnitOfWork) => Promise<unknown>> = {
    'by revokeAll': (sessions, work) => sessions.user('ada').revokeAll({ except: bag(work) }),
    'by revokeAll, then signIn': async (sessions, work) => {
      await sessions.user('ada').revokeAll({ except: bag(work) })
      await bag(work).signIn('ada')
    },
    'by signIn, then revokeAll': async (sessions, work) => {
      await bag(work).signIn('ada')
      await sessions.user('ada').revokeAll({ except: bag(work) })
    },
  }

  async function assertOwned(sessions: Sessions, owner: UnitOfWork, others: readonly string[]) {
    const token = await committedToken(owner)
    expect(owner.outcome).toEqual({ action: 'issue', token })
    const read = await sessions.load(token)
    expect([read.userId, read.isFormer, { ...bag(read) }]).toEqual(['ada', false, { n: 1 }])
    const seen = await Promise.all(others.map((other) => sessions.load(other)))
    expect(seen.map(({ isNew }) => isNew)).toEqual(others.map(() => true))
    expect(await sessions.user('ada').list()).toHaveLength(1)
  }

  for (const [how, change] of Object.entries(changes)) {
    for (const times of [1, 2, 3]) {
      test(`${how}, is in, and the thief is out, who was faster (${times} rotations)`, async () => {
        const sessions = memorySessions()
        const token = await storedSession(sessions, { n: 1 }, 'ada')
        const owner = await sessions.load(token)
        const stolen = [token]
        for (let count = 0; count < times; count++)
          stolen.push(await rotated(await sessions.load(stolen.at(-1)!)))
        await change(sessions, owner)
        await assertOwned(sessions, owner, stolen)
      })
    }

    test(`${how}, gets no token by a former one, and the thief is out, who was so much faster`, async () => {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { n: 1 }, 'ada')
      const stolen = await rotated(await sessions.load(token))
      const owner = await sessions.load(token)
      // The request that signs in first goes on by that proof, on a session of its own. Else nobody can tell the owner from the thief.
      const isProved = how === 'by signIn, then revokeAll'
      await change(sessions, owner)
      const refused = await Promise.resolve(owner.commit()).then(
        () => undefined,
        (error: { code?: string }) => error.code,
      )
      expect(refused).toBe(how === 'by revokeAll, then signIn' ? 'ERR_SESSION_REVOKED' : undefined)
      for (const each of [token, stolen]) expect((await sessions.load(each)).isNew).toBe(true)
      expect(owner.outcome.action).toBe(isProved ? 'issue' : 'keep')
      expect(await sessions.user('ada').list()).toMatchObject(isProved ? [{ data: {} }] : [])
    })

    test(`${how}, is in, and the thief is out, who was slower`, async () => {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { n: 1 }, 'ada')
      const [owner, thief] = [await sessions.load(token), await sessions.load(token)]
      await bag(thief).rotate()
      bag(thief).evil = 1
      await change(sessions, owner)
      await thief.commit()
      expect(thief.outcome.action).toBe('keep')
      await assertOwned(sessions, owner, [token])
    })
  }

  test('and who proves again who they are: a thief who came before that does not get the session by revokeAll', async () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    try {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { n: 1 }, 'ada')
      const [owner, thief] = [await sessions.load(token), await sessions.load(token)]
      vi.advanceTimersByTime(1)
      await bag(owner).signIn('ada')
      await owner.commit()
      await sessions.user('ada').revokeAll({ except: bag(thief) })
      await thief.commit()
      expect(thief.outcome.action).toBe('keep')
      expect(await sessions.user('ada').list()).toEqual([])
    } finally {
      vi.useRealTimers()
    }
  })

  test('and whose session was lost to a save before: the thief is out', async () => {
    const sessions = memorySessions({ rotationGrace: false })
    const token = await storedSession(sessions, { n: 1 }, 'ada')
    const owner = await sessions.load(token)
    const stolen = await rotated(await sessions.load(token))
    bag(owner).n = 2
    await expect(bag(owner).save()).rejects.toMatchObject({ code: 'ERR_SESSION_GONE' })
    await sessions.user('ada').revokeAll({ except: bag(owner) })
    expect((await sessions.load(stolen)).isNew).toBe(true)
  })
})

// "A touch names the hash that it was found by. So a late touch never sets an old token again."
test('a touch by a request from before a rotation changes nothing, and its response sets no cookie', async () => {
  const { store, sessions } = watched()
  const token = await storedSession(sessions, { n: 1 })
  const late = await sessions.load(token)
  const next = await rotated(await sessions.load(token))
  const [before] = await store.find([idOf(token)])
  bag(late).touch()
  await late.commit()
  expect(store.writes.at(-1)).toMatchObject({ type: 'touch' })
  expect([late.outcome, late.isFormer]).toEqual([{ action: 'keep', token }, true])
  expect(await store.find([idOf(token)])).toMatchObject([
    { hash: before!.hash, expiresAt: before!.expiresAt },
  ])
  expect([(await sessions.load(next)).isFormer, (await sessions.load(token)).isFormer]).toEqual([false, true])
})

// "A remove names the user that it found. So an anonymous destroy never ends a sign-in that came meanwhile, and endings follow
// anonymous rotations without limit."
describe('an ending of an anonymous session', () => {
  const endings = ['destroy', 'signOut', 'regenerate', 'end'] as const

  function end(work: UnitOfWork, how: (typeof endings)[number]): Promise<void> | undefined {
    if (how !== 'end') return bag(work)[how]()
    work.end()
    return work.commit()
  }

  test.each(endings)('leaves the sign-in that came meanwhile as it is (%s)', async (how) => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 1 })
    const [anonymous, login] = [await sessions.load(token), await sessions.load(token)]
    await bag(login).signIn('ada', { keep: true })
    await login.commit()
    await end(anonymous, how)
    await anonymous.commit()
    expect(anonymous.outcome.action).toBe('keep')
    const read = await sessions.load(login.id)
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', { n: 1 }])
  })

  test.each(endings)(
    'and a sign-in that comes after it: that stands, on a session of its own (%s)',
    async (how) => {
      const sessions = memorySessions()
      const token = await storedSession(sessions, { n: 1 })
      const [anonymous, login] = [await sessions.load(token), await sessions.load(token)]
      await bag(login).signIn('ada')
      await end(anonymous, how)
      await login.commit()
      const read = await sessions.load(login.id)
      expect([read.userId, read.publicId === anonymous.publicId, { ...bag(read) }]).toEqual([
        'ada',
        false,
        {},
      ])
    },
  )

  test.each(endings)('follows it through any number of rotations (%s)', async (how) => {
    const sessions = memorySessions()
    let token = await storedSession(sessions, { n: 1 })
    const anonymous = await sessions.load(token)
    for (let count = 0; count < 5; count++) token = await rotated(await sessions.load(token))
    await end(anonymous, how)
    expect((await sessions.load(token)).isNew).toBe(true)
  })
})

// "keep of a sign-in filters base and theirs at every merge, not only what is in hand (else what a planter stores between load and commit
// is merged in)."
describe('whoever planted the token that somebody signs in with', () => {
  async function plant(sessions: Sessions, token: string): Promise<void> {
    const planter = await sessions.load(token)
    Object.assign(bag(planter), { evil: 1, cart: { mine: 1, planted: 1 } })
    await planter.commit()
  }

  async function visitor() {
    const { store, sessions } = watched()
    const token = await storedSession(sessions, { cart: { mine: 1 }, planted: 1 })
    const work = await sessions.load(token)
    expect(bag(work).planted).toBe(1)
    return { store, sessions, token, work }
  }

  test.each([
    { keep: [], kept: {} },
    { keep: ['cart'], kept: { cart: { mine: 1, planted: 1 } } },
  ])('leaves nothing in it but what is kept: $keep', async ({ keep, kept }) => {
    const { sessions, token, work } = await visitor()
    await work.signIn('ada', { keep })
    await plant(sessions, token)
    bag(work).own = 1
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ ...kept, own: 1 })
    await plant(sessions, token)
    bag(work).own = 2
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ ...kept, own: 2 })
  })

  test('nor by an update(fn)', async () => {
    const { sessions, token, work } = await visitor()
    await work.signIn('ada')
    await plant(sessions, token)
    await bag(work).update((session) => void Object.assign(session, { own: 1 }))
    expect(await readData(sessions, work.id)).toEqual({ own: 1 })
  })

  test.each(['carried out', 'not carried out'])(
    'nor where the answer is lost, and it was %s',
    async (fate) => {
      const { store, sessions, token, work } = await visitor()
      await work.signIn('ada')
      await plant(sessions, token)
      if (fate === 'carried out') losing(store, 'rotate')
      else
        store.beforeWrite = async ([write]) => {
          if (write?.type !== 'update' || !write.secret) return
          store.beforeWrite = undefined
          await plant(sessions, token)
          throw new Error('connection refused')
        }
      bag(work).own = 1
      await expect(work.commit()).rejects.toMatchObject({ status: 503 })
      await plant(sessions, token)
      bag(work).own = 2
      await work.commit()
      expect(await readData(sessions, work.id)).toEqual({ own: 2 })
    },
  )
})

// "A write whose mark is among them was carried out, whatever came after; beyond four versions it is a typed 503."
describe('a change whose write was carried out, and whose answer was lost', () => {
  /** Adds up what each has added: to merge a change twice is seen in the sum. */
  const merge = ({ base, mine, theirs }: MergeConflict): unknown =>
    (theirs as number) + (mine as number) - ((base as number | undefined) ?? 0)

  async function lost(others: number) {
    const { store, sessions } = watched({ merge })
    const token = await storedSession(sessions, { sum: 0 })
    const work = await sessions.load(token)
    bag(work).sum = 1
    losing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    for (let count = 0; count < others; count++) {
      const other = await sessions.load(token)
      bag(other).sum = Number(bag(other).sum) + 10
      await other.commit()
    }
    return { sessions, token, work }
  }

  test.each([0, 1, 2, 3])('is there once, after %i others and another save', async (others) => {
    const { sessions, token, work } = await lost(others)
    await bag(work).save()
    expect(await readData(sessions, token)).toEqual({ sum: 1 + 10 * others })
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ sum: 1 + 10 * others })
  })

  test.each([0, 1, 2, 3])('is there once, after %i others and a further change', async (others) => {
    const { sessions, token, work } = await lost(others)
    bag(work).sum = Number(bag(work).sum) + 100
    await bag(work).save()
    expect(await readData(sessions, token)).toEqual({ sum: 101 + 10 * others })
    expect(bag(work).sum).toBe(101 + 10 * others)
  })

  test.each([4, 5])('cannot be told any more after %i others', async (others) => {
    const { sessions, token, work } = await lost(others)
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_CONFLICT', status: 503 })
    expect(await readData(sessions, token)).toEqual({ sum: 1 + 10 * others })
  })

  test('also twice in a row: each is there once', async () => {
    const { store, sessions } = watched({ merge })
    const token = await storedSession(sessions, { sum: 0 })
    const work = await sessions.load(token)
    for (const added of [1, 100]) {
      bag(work).sum = Number(bag(work).sum) + added
      losing(store, 'update')
      await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      const other = await sessions.load(token)
      bag(other).sum = Number(bag(other).sum) + 10
      await other.commit()
    }
    await bag(work).save()
    expect(await readData(sessions, token)).toEqual({ sum: 121 })
  })
})

// "A former state never writes except onto a row just read, and its base is never that row."
describe.each(['before', 'after'])(
  'a request with the token from before a rotation, loaded %s that, of whose save the answer is lost',
  (when) => {
    async function lost(saves = 0) {
      const { store, sessions } = watched()
      const token = await storedSession(sessions, { a: 1 })
      const early = await sessions.load(token)
      const other = await sessions.load(token)
      bag(other).admin = true
      const next = await rotated(other)
      const work = when === 'before' ? early : await sessions.load(token)
      for (let count = 0; count < saves; count++) {
        bag(work)[`saved${count}`] = 1
        await bag(work).save()
      }
      bag(work).b = 1
      losing(store, 'update')
      await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      return { sessions, work, next }
    }

    /** Stores once more, and then again, as the next commit may. */
    async function expectStored(how: 'save' | 'commit', held: object, stored: object, from = lost()) {
      const { sessions, work, next } = await from
      for (let count = 0; count < 2; count++) {
        await (how === 'save' ? bag(work).save() : work.commit())
        expect(await readData(sessions, next)).toEqual(stored)
        expect({ ...bag(work) }).toEqual(held)
      }
    }

    test.each(['save', 'commit'] as const)('loses nothing by a %s after it', async (how) => {
      await expectStored(how, { a: 1, b: 1 }, { a: 1, b: 1, admin: true })
    })

    test.each(['save', 'commit'] as const)('loses nothing by a further change and a %s', async (how) => {
      const begun = await lost()
      Object.assign(bag(begun.work), { a: 2, c: 1 })
      await expectStored(how, { a: 2, b: 1, c: 1 }, { a: 2, b: 1, c: 1, admin: true }, Promise.resolve(begun))
    })

    test.each(['save', 'commit'] as const)(
      'takes back by a %s what it has undone, and nothing else',
      async (how) => {
        const begun = await lost()
        delete bag(begun.work).b
        await expectStored(how, { a: 1 }, { a: 1, admin: true }, Promise.resolve(begun))
      },
    )

    test.each(['save', 'commit'] as const)(
      'loses nothing by a %s after it, though it has saved before',
      async (how) => {
        const held = { a: 1, saved0: 1, saved1: 1, b: 1 }
        await expectStored(how, held, { ...held, admin: true }, lost(2))
      },
    )

    test('loses nothing that others stored since', async () => {
      const begun = await lost()
      const other = await begun.sessions.load(begun.next)
      bag(other).later = 1
      await other.commit()
      await expectStored(
        'save',
        { a: 1, b: 1 },
        { a: 1, b: 1, admin: true, later: 1 },
        Promise.resolve(begun),
      )
    })

    test('loses nothing by an update(fn) after it', async () => {
      const { sessions, work, next } = await lost()
      await bag(work).update((session) => void Object.assign(session, { c: 1 }))
      expect(await readData(sessions, next)).toEqual({ a: 1, b: 1, c: 1, admin: true })
      expect({ ...bag(work) }).toEqual({ a: 1, b: 1, c: 1 })
    })
  },
)
