import { isDeepStrictEqual } from 'node:util'
import { type MergeConflict, SessionError, type SessionWrite, type UnitOfWork } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { bag, failingStore, losing, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

describe('an answer that is lost on its way back', () => {
  test('to a rotation: the next attempt gives the browser the token that was stored', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).b = 2
    await bag(work).rotate()
    losing(store, 'rotate')
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    bag(work).flash = 'try again'
    await work.commit()
    expect(work.outcome.action).toBe('issue')
    const read = await sessions.load(work.id)
    expect([read.isFormer, { ...bag(read) }]).toEqual([false, { a: 1, b: 2, flash: 'try again' }])
  })

  test('to a sign-in: it is one session, that keeps what it was', async () => {
    for (const existing of [true, false]) {
      const { store, sessions } = await failingStore()
      const work = existing
        ? await sessions.load(await storedSession(sessions, { cart: 1 }))
        : sessions.begin()
      bag(work).cart = 1
      await bag(work).signIn('bob', { keep: true })
      losing(store, existing ? 'rotate' : 'insert')
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      await work.commit()
      expect((await sessions.user('bob').list()).map(({ data }) => data)).toEqual([{ cart: 1 }])
      expect(await readData(sessions, work.id)).toEqual({ cart: 1 })
    }
  })

  test('to a sign-in that was revoked meanwhile: it is refused all the same', async () => {
    const { store, sessions } = await failingStore()
    const work = sessions.begin()
    await bag(work).signIn('bob')
    losing(store, 'insert')
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    await sessions.user('bob').revokeAll()
    await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_REVOKED' })
    expect(await sessions.user('bob').list()).toEqual([])
  })

  test('to an update(fn): the commit that follows takes back no increment of others', async () => {
    const { store, sessions, token } = await failingStore()
    const increment = (session: object) => void ((session as { a: number }).a += 1)
    const work = await sessions.load(token)
    losing(store, 'update')
    await expect(bag(work).update(increment)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    for (let count = 0; count < 3; count++) await bag(await sessions.load(token)).update(increment)
    bag(work).flash = 'try again'
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ a: 5, flash: 'try again' })
  })

  test('to a write that never arrived: it is sent again as it was, under the same mark', async () => {
    for (const existing of [true, false]) {
      const { store, sessions, token } = await failingStore()
      const work = existing ? await sessions.load(token) : sessions.begin()
      bag(work).b = 2
      const sent: SessionWrite[] = []
      store.beforeWrite = async (writes) => {
        sent.push(...writes)
        if (sent.length === 1) throw new Error('connection reset')
      }
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      await work.commit()
      expect(sent).toHaveLength(2)
      // An insert may be late, or its session have ended: what is in hand begins anew.
      expect(isDeepStrictEqual(sent[1], sent[0])).toBe(existing)
      expect(sent[1]!.id === sent[0]!.id).toBe(existing)
    }
  })

  test('is not looked for where the store was too busy to be asked', async () => {
    for (const existing of [true, false]) {
      const { store, sessions, token } = await failingStore()
      const work = existing ? await sessions.load(token) : sessions.begin()
      bag(work).b = 2
      const { id } = work
      store.finds.length = 0
      store.beforeWrite = async () => {
        store.beforeWrite = undefined
        throw new SessionError('ERR_SESSION_STORE_BUSY', 'too many calls wait', { status: 503 })
      }
      await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_BUSY' })
      await work.commit()
      expect([work.id, store.finds]).toEqual([id, []])
    }
  })

  test('to a first save: the ending that follows leaves nothing', async () => {
    const { store, sessions } = await failingStore()
    const work = sessions.begin()
    bag(work).b = 2
    losing(store, 'insert')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    const { id } = work
    await bag(work).destroy()
    expect((await sessions.load(id)).isNew).toBe(true)
  })

  test('to a save: what the handler undoes then is undone in the store', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    Object.assign(bag(work), { a: 2, added: true })
    losing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    bag(work).a = 1
    delete bag(work).added
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ a: 1 })
  })

  test('to a save of a sign-in: what the handler undoes then is undone in the store', async () => {
    const { store, sessions } = await failingStore()
    const work = await sessions.load(await storedSession(sessions, { n: 0 }))
    await bag(work).signIn('bob')
    Object.assign(bag(work), { n: 1, flash: 'welcome' })
    losing(store, 'rotate')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    bag(work).n = 0
    delete bag(work).flash
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ n: 0 })
  })

  test('to a save: no merge of the app takes it for what another has stored', async () => {
    const store = new WatchedStore()
    const merge = ({ base, mine, theirs }: MergeConflict) => Number(mine) + Number(theirs) - Number(base)
    const sessions = memorySessions({ store, merge })
    sessions.on('storeError', () => undefined)
    const token = await storedSession(sessions, { n: 0 })
    const work = await sessions.load(token)
    bag(work).n = 1
    losing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    bag(work).n = 2
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ n: 2 })
  })

  test('to a save that others have changed since: their change stays', async () => {
    const { store, sessions, token } = await failingStore()
    const work = await sessions.load(token)
    bag(work).mine = 1
    losing(store, 'update')
    await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    const other = await sessions.load(token)
    bag(other).theirs = 1
    await other.commit()
    await work.commit()
    expect(await readData(sessions, token)).toEqual({ a: 1, mine: 1, theirs: 1 })
  })

  describe.each(['rotate', 'signIn'] as const)('to a save after %s', (how) => {
    const act = (work: UnitOfWork) => (how === 'rotate' ? bag(work).rotate() : bag(work).signIn('ada'))

    async function lost() {
      const { store, sessions, token } = await failingStore()
      const work = await sessions.load(token)
      await act(work)
      losing(store, 'rotate')
      await expect(bag(work).save()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      return { store, sessions, work }
    }

    test('and the same again: it is one session, under the token that the browser gets', async () => {
      const { sessions, work } = await lost()
      await act(work)
      await work.commit()
      expect(work.outcome.action).toBe('issue')
      expect((await sessions.load(work.id)).isFormer).toBe(false)
      expect((await sessions.user('ada').list()).map(({ data }) => data)).toEqual([{ a: 1 }])
    })

    test('and a sign-out: nothing is left', async () => {
      const { sessions, work } = await lost()
      await bag(work).signOut()
      await work.commit()
      expect(await sessions.user('ada').list()).toEqual([])
    })

    test('and a sign-out that fails first: the commit leaves nothing', async () => {
      const { store, sessions, work } = await lost()
      store.down = new Error('connection refused')
      await expect(bag(work).signOut()).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
      store.down = undefined
      await work.commit()
      expect(await sessions.user('ada').list()).toEqual([])
    })
  })
})
