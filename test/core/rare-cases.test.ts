import { describe, expect, test } from 'vitest'
import {
  committedToken,
  bag,
  failingStore,
  kindOf,
  losing,
  memorySessions,
  readData,
  storedSession,
  WatchedStore,
} from './works.ts'

const unavailable = { code: 'ERR_SESSION_STORE_UNAVAILABLE' }

/** Fails the next write of a kind before it reaches the store. */
function refusing(store: WatchedStore, kind: ReturnType<typeof kindOf>): void {
  const { write } = store
  store.write = async (writes) => {
    if (kindOf(writes[0]!) !== kind) return write.call(store, writes)
    store.write = write
    throw new Error('connection reset')
  }
}

describe('a request with a token from before a rotation', () => {
  test('whose data names no user any more is stored as often as it saves', async () => {
    const sessions = memorySessions({ userOf: 'user' })
    const token = await storedSession(sessions, { user: 'ada' })
    const rotating = await sessions.load(token)
    await bag(rotating).rotate()
    await rotating.commit()
    const late = await sessions.load(token)
    delete bag(late).user
    await bag(late).save()
    bag(late).n = 1
    await bag(late).save()
    expect(await readData(sessions, rotating.id)).toEqual({ n: 1 })
  })

  test('that ended the session after a signIn ends its own, and leaves the other', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: 1 })
    const rotating = await sessions.load(token)
    await bag(rotating).rotate()
    await rotating.commit()
    const late = await sessions.load(token)
    await bag(late).signIn('ada')
    await bag(late).save()
    await bag(late).destroy()
    expect([late.outcome.action, await sessions.user('ada').list()]).toEqual(['clear', []])
    expect(await readData(sessions, rotating.id)).toEqual({ cart: 1 })
  })
})

describe('a write whose answer is lost', () => {
  test('and that was not carried out does not stand for a later one of the same content', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).a = 5
    refusing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject(unavailable)
    const other = await sessions.load(token)
    bag(other).a = 5
    await other.commit()
    bag(work).a = 1
    bag(work).mine = true
    await work.commit()
    // The handler took its change back, so that of the other stands.
    expect(await readData(sessions, token)).toEqual({ a: 5, mine: true })
    expect({ ...bag(work) }).toEqual({ a: 5, mine: true })
  })

  test('of a rotation that a sign-in has followed hands out no dead token', async () => {
    const { store, sessions, token } = await failingStore()
    const [first, second] = [await sessions.load(token), await sessions.load(token)]
    await bag(first).rotate()
    losing(store, 'rotate')
    await expect(first.commit()).rejects.toMatchObject(unavailable)
    await bag(second).signIn('ada')
    await second.commit()
    await first.commit()
    expect((await sessions.load(second.id)).userId).toBe('ada')
    expect(first.outcome.action).toBe('keep')
  })

  test('of a sign-in that another has followed: both hand out a token that leads to the user', async () => {
    const { store, sessions, token } = await failingStore()
    const [first, second] = [await sessions.load(token), await sessions.load(token)]
    await bag(first).signIn('ada')
    losing(store, 'rotate')
    await expect(first.commit()).rejects.toMatchObject(unavailable)
    await bag(second).signIn('ada')
    const two = await committedToken(second)
    const one = await committedToken(first)
    expect(
      (await Promise.all([one, two].map((each) => sessions.load(each)))).map(({ userId }) => userId),
    ).toEqual(['ada', 'ada'])
  })

  test('of a sign-in beside a session that was rotated keeps what the visitor had', async () => {
    const { store, sessions } = await failingStore()
    const token = await storedSession(sessions, { cart: ['coat'] })
    const rotating = await sessions.load(token)
    const work = await sessions.load(token)
    await bag(rotating).rotate()
    await rotating.commit()
    await bag(work).signIn('bob', { keep: ['cart'] })
    refusing(store, 'insert')
    await expect(work.commit()).rejects.toMatchObject(unavailable)
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ cart: ['coat'] })
  })

  test('while the handler destroys the session: both come to their end', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).n = 1
    losing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject(unavailable)
    const saving = bag(work).update((session) => void ((session as { n?: number }).n = 2))
    const destroying = bag(work).destroy()
    await Promise.allSettled([saving, destroying])
    await expect(destroying).resolves.toBeUndefined()
    expect([work.session, (await sessions.load(token)).isNew]).toEqual([undefined, true])
  })
})

test('a sign-in that is stored, and then cannot be checked, is no second session when it is tried again', async () => {
  const { store, sessions } = await failingStore()
  const work = sessions.begin()
  await bag(work).signIn('bob')
  const { find } = store
  store.find = async () => {
    store.find = find
    throw Object.assign(new Error('too busy'), { code: 'ERR_SESSION_STORE_BUSY' })
  }
  await expect(work.commit()).rejects.toMatchObject({ status: 503 })
  await work.commit()
  expect(await sessions.user('bob').list()).toHaveLength(1)
  expect((await sessions.load(work.id)).userId).toBe('bob')
})

test('revokeAll spares no row that was anonymous to the request, and is another request’s sign-in by now', async () => {
  const sessions = memorySessions()
  const token = await storedSession(sessions, { cart: 1 })
  const [mine, other] = [await sessions.load(token), await sessions.load(token)]
  expect(bag(mine).userId).toBeUndefined()
  await bag(other).signIn('ada')
  await other.commit()
  await sessions.user('ada').revokeAll({ except: bag(mine) })
  expect((await sessions.load(other.id)).userId).toBeUndefined()
})

test('a sign-in that is refused brings back no session that the handler has destroyed', async () => {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  const work = sessions.begin()
  await bag(work).signIn('bob')
  await sessions.user('bob').revokeAll()
  const saving = bag(work).save()
  const destroying = bag(work).destroy()
  await expect(saving).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
  await destroying
  expect(work.session).toBeUndefined()
  expect(await sessions.user('bob').list()).toEqual([])
})

test('a session with a getter that fails is never taken for unchanged', async () => {
  const sessions = memorySessions()
  const work = sessions.begin()
  Object.defineProperty(bag(work), 'bad', {
    get: () => {
      throw new Error('of the app')
    },
    enumerable: true,
    configurable: true,
  })
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_DATA' })
  expect([work.wasRefused, work.isAsRefused]).toEqual([true, false])
  delete bag(work).bad
  bag(work).n = 1
  await work.commit()
  expect(await readData(sessions, work.id)).toEqual({ n: 1 })
})
