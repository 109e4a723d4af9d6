import { SessionError, type UnitOfWork } from 'coatcheck'
import { describe, expect, test, vi } from 'vitest'
import { idOf } from '../../dist/core/token.js'
import { bag, failingStore, memorySessions, readData, type WatchedStore } from './works.ts'

const unavailable = { code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 }

/** Fails the next write of this kind, which is not carried out. */
function failNext(store: WatchedStore, type: string): void {
  store.beforeWrite = async ([write]) => {
    if (write!.type !== type) return
    store.beforeWrite = undefined
    throw new Error('connection refused')
  }
}

describe('what a handler did not wait for and failed fails the commit', () => {
  test('also a sign-out with a save after it', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    failNext(store, 'remove')
    void bag(work).signOut()
    void bag(work).save()
    await expect(work.commit()).rejects.toMatchObject(unavailable)
    await work.commit()
    expect((await sessions.load(token)).isNew).toBe(true)
  })

  test('also the first of two changes', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    failNext(store, 'update')
    void bag(work).update((session) => void Object.assign(session, { first: 1 }))
    void bag(work).update((session) => void Object.assign(session, { second: 1 }))
    await expect(work.commit()).rejects.toMatchObject(unavailable)
    expect(await readData(sessions, token)).toEqual({ a: 1, second: 1 })
  })

  test('also an ending in a request that began while the store was away', async () => {
    for (const end of ['destroy', 'signOut', 'regenerate'] as const) {
      const work = memorySessions().begin(
        new SessionError(unavailable.code as 'ERR_SESSION_STORE_UNAVAILABLE', 'down', unavailable),
      )
      void bag(work)[end]()
      await Promise.resolve()
      await expect(work.commit(), end).rejects.toMatchObject(unavailable)
    }
  })
})

/** Lets every promise go on that can. */
const turn = () => new Promise((resolve) => void setImmediate(resolve))

describe('a call that failed before the commit, and that no commit does again,', () => {
  const failing = {
    signIn: (work: UnitOfWork) => bag(work).signIn(undefined as never),
    update: (work: UnitOfWork) =>
      bag(work).update(() => {
        throw new TypeError('no')
      }),
    rotate: (work: UnitOfWork) => bag(work).rotate(),
  }
  const errors = {
    signIn: { code: 'ERR_SESSION_USER_ID' },
    update: { message: 'no' },
    rotate: unavailable,
  }
  const names = ['signIn', 'update', 'rotate'] as const
  /** A rotation alone fails only where the store was away. */
  const begin = (name: (typeof names)[number]) =>
    name === 'rotate'
      ? memorySessions().begin(
          new SessionError(unavailable.code as 'ERR_SESSION_STORE_UNAVAILABLE', 'down', unavailable),
        )
      : memorySessions().begin()

  test.each(names)('fails the commit, once, if nobody waits for it: %s', async (name) => {
    const work = begin(name)
    void failing[name](work)
    await turn()
    await expect(work.commit()).rejects.toMatchObject(errors[name])
    expect(work.isAsRefused).toBe(true)
    expect(work.commit()).toBeUndefined()
  })

  test.each(names)('fails the commit once if that waits for it: %s', async (name) => {
    const work = begin(name)
    void failing[name](work)
    await expect(work.commit()).rejects.toMatchObject(errors[name])
    await turn()
    expect(work.commit()).toBeUndefined()
  })

  test.each(names)('fails no commit if somebody waits for it, in whatever way: %s', async (name) => {
    const waits: ((promise: Promise<unknown>) => unknown)[] = [
      (promise) => promise.catch(() => undefined),
      (promise) => promise.then(undefined, () => undefined),
      (promise) => Promise.allSettled([promise]),
      (promise) => promise.finally(() => undefined).catch(() => undefined),
      async (promise) => {
        try {
          await promise
        } catch {
          // as a handler that answers 422
        }
      },
    ]
    for (const wait of waits) {
      const work = begin(name)
      const promise = failing[name](work)
      await turn()
      await wait(promise)
      expect(work.commit()).toBeUndefined()
    }
  })

  test.each([undefined, null, 'route'])(
    'fails the commit with an error, whatever was thrown: %s',
    async (thrown) => {
      const work = memorySessions().begin()
      void bag(work).update(() => {
        throw thrown
      })
      await turn()
      await expect(work.commit()).rejects.toMatchObject({
        message: 'A call on req.session failed without an error.',
      })
      expect(work.commit()).toBeUndefined()
    },
  )

  test('is the first of many; those that somebody waited for do not count', async () => {
    const work = memorySessions().begin()
    const fail = (message: string) =>
      bag(work).update(() => {
        throw new TypeError(message)
      })
    for (let count = 0; count < 100; count++) await fail('awaited').catch(() => undefined)
    void fail('first')
    await turn()
    void fail('second')
    await turn()
    await expect(work.commit()).rejects.toThrow('first')
  })

  test('is warned of if the response had begun', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const work = memorySessions().begin()
    work.closeHeaders()
    await expect(bag(work).signIn('ada')).rejects.toMatchObject({ code: 'ERR_SESSION_HEADERS_SENT' })
    await turn()
    expect(warn).not.toHaveBeenCalled()
    for (let round = 0; round < 2; round++) void bag(work).signIn('ada')
    await turn()
    await turn()
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^req\.session\.signIn\(\) failed with ERR_SESSION_HEADERS_SENT after/),
      { code: 'COATCHECK_NOT_AWAITED' },
    )
    warn.mockRestore()
  })
})

test('a sign-in that nobody waited for is stored although the ending before it failed at first', async () => {
  const { store, sessions, token } = await failingStore()
  const work = await sessions.load(token)
  failNext(store, 'remove')
  await expect(bag(work).regenerate()).rejects.toMatchObject(unavailable)
  void bag(work).signIn('bob')
  await work.commit()
  expect(work.outcome.action).toBe('issue')
  expect((await sessions.load(work.id)).userId).toBe('bob')
  expect((await sessions.load(token)).isNew).toBe(true)
})

describe('a session that begins in place of one whose ending', () => {
  test.each(['failed', 'nobody waited for'])('%s does not let that live', async (how) => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    failNext(store, 'remove')
    const failures: unknown[] = []
    const ending = bag(work)
      .destroy()
      .catch((error: unknown) => failures.push(error))
    if (how === 'failed') await ending
    work.startNew()
    bag(work).flash = 'signed out'
    if (how === 'nobody waited for') await work.commit()!.catch((error: unknown) => failures.push(error))
    expect(failures).toContainEqual(expect.objectContaining(unavailable))
    await work.commit()
    expect((await sessions.load(token)).isNew).toBe(true)
    expect(work.outcome.action).toBe('issue')
    expect(await readData(sessions, work.id)).toEqual({ flash: 'signed out' })
  })

  test.each(['goes on', 'ends'])(
    '%s: a save of the other that merges meanwhile leaves it alone',
    async (how) => {
      const { store, sessions, token } = await failingStore()
      const work = await sessions.load(token)
      const other = await sessions.load(token)
      bag(other).theirs = 'private to ada'
      await other.commit()
      bag(work).mine = 1
      void bag(work).save()
      if (how === 'ends') void bag(work).destroy()
      work.startNew()
      bag(work).guest = true
      await work.commit()
      const fresh = await sessions.load(work.id)
      expect([work.outcome.action, fresh.userId, { ...bag(fresh) }]).toEqual([
        'issue',
        undefined,
        { guest: true },
      ])
      const [left] = await store.find([idOf(token)])
      expect(left === undefined).toBe(how === 'ends')
      expect(await sessions.user('ada').list()).toHaveLength(how === 'ends' ? 0 : 1)
    },
  )

  test('nobody waited for is not stored once more by a save that comes before it begins', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    void bag(work).regenerate()
    void bag(work).save()
    await work.commit()
    expect((await store.list({ limit: 10, data: true })).items).toEqual([])
  })

  test('ends with a sign-in that is being stored leaves nothing of that', async () => {
    const { sessions } = await failingStore()
    const work = sessions.begin()
    await bag(work).signIn('bob')
    void bag(work).save()
    void bag(work).destroy()
    work.startNew()
    await work.commit()
    expect(await sessions.user('bob').list()).toEqual([])
  })

  test.each(['ada', 'bob'])('ends what a sign-in as %s began that nobody waited for', async (user) => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    void bag(work).signIn(user)
    void bag(work).destroy()
    work.startNew()
    await work.commit()
    expect((await store.list({ limit: 10, data: false })).items).toEqual([])
    expect(work.outcome.action).toBe('clear')
  })

  test('failed, and that fails to end too: the commit ends both', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    for (let count = 0; count < 2; count++) {
      await bag(work).save()
      failNext(store, 'remove')
      await expect(bag(work).destroy()).rejects.toMatchObject(unavailable)
      work.startNew()
      bag(work).n = count
    }
    await bag(work).save()
    work.end()
    await work.commit()
    expect((await store.list({ limit: 10, data: true })).items).toEqual([])
    expect(work.outcome.action).toBe('clear')
  })

  test('waits for its turn ends that, and is stored', async () => {
    const { sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).late = 1
    void bag(work).save()
    void bag(work).destroy()
    work.startNew()
    bag(work).flash = 'signed out'
    await work.commit()
    expect((await sessions.load(token)).isNew).toBe(true)
    expect(await readData(sessions, work.id)).toEqual({ flash: 'signed out' })
  })
})
