import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bag, memorySessions, readData, storedSession, WatchedStore } from './works.ts'

describe('requests in parallel on one session', () => {
  test('that set different keys both survive', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { base: 1 })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    bag(one).one = 1
    bag(other).other = 2
    await Promise.all([one.commit(), other.commit()])
    expect(await readData(sessions, token)).toEqual({ base: 1, one: 1, other: 2 })
  })

  test('that set different keys of a nested object both survive', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: { items: { coat: 1 } } })
    const works = await Promise.all(['hat', 'scarf', 'coat'].map(() => sessions.load(token)))
    const carts = works.map((work) => (bag(work).cart as { items: Record<string, number> }).items)
    carts[0]!.hat = 1
    carts[1]!.scarf = 2
    delete carts[2]!.coat
    await Promise.all(works.map(async (work) => work.commit()))
    expect(await readData(sessions, token)).toEqual({ cart: { items: { hat: 1, scarf: 2 } } })
  })

  test('that set one key each: 50 requests, 50 keys', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { base: 1 })
    const names = Array.from({ length: 50 }, (_, index) => `k${index}`)
    await Promise.all(
      names.map(async (name) => {
        const work = await sessions.load(token)
        bag(work)[name] = name
        await work.commit()
      }),
    )
    expect(await readData(sessions, token)).toEqual({
      base: 1,
      ...Object.fromEntries(names.map((name) => [name, name])),
    })
  })

  test('of two apps that share a store lose nothing of each other', async () => {
    const store = new WatchedStore()
    const apps = [memorySessions({ store }), memorySessions({ store })]
    const token = await storedSession(apps[0]!, { base: 1 })
    const names = Array.from({ length: 40 }, (_, index) => `k${index}`)
    await Promise.all(
      names.map(async (name, index) => {
        const work = await apps[index % 2]!.load(token)
        bag(work)[name] = index
        await work.commit()
      }),
    )
    expect(Object.keys(await readData(apps[1]!, token)).toSorted()).toEqual(['base', ...names].toSorted())
  })

  test('that set the same key: the later commit stands', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { n: 0 })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    bag(one).n = 1
    bag(other).n = 2
    await one.commit()
    await other.commit()
    expect(await readData(sessions, token)).toEqual({ n: 2 })
  })

  test('that change one place leave it to the app, where it gives a merge of its own', async () => {
    const asked: unknown[] = []
    const sessions = memorySessions({
      merge: (conflict) => {
        asked.push(conflict)
        const { base, mine, theirs } = conflict as unknown as Record<string, number | undefined>
        return conflict.path.at(-1) === 'dropped' ? undefined : (base ?? 0) + (mine ?? 0) + (theirs ?? 0)
      },
    })
    const token = await storedSession(sessions, { a: { n: 1, dropped: 1 }, same: 1, one: 1, other: 1 })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    Object.assign(bag(one), { a: { n: 10, dropped: 2 }, same: 2, fresh: 5, one: 2 })
    Object.assign(bag(other), { a: { n: 100, dropped: 3 }, same: 2, fresh: 6, other: 3 })
    await one.commit()
    await other.commit()
    expect(await readData(sessions, token)).toEqual({ a: { n: 111 }, same: 2, fresh: 11, one: 2, other: 3 })
    expect(asked).toEqual([
      { path: ['a', 'n'], base: 1, mine: 100, theirs: 10 },
      { path: ['a', 'dropped'], base: 1, mine: 3, theirs: 2 },
      { path: ['fresh'], base: undefined, mine: 6, theirs: 5 },
    ])
  })

  test('fail with what the merge of the app throws, and store nothing', async () => {
    const failure = new Error('no way to merge this')
    const sessions = memorySessions({
      merge: () => {
        throw failure
      },
    })
    const token = await storedSession(sessions, { n: 0 })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    bag(one).n = 1
    bag(other).n = 2
    await one.commit()
    await expect(other.commit()).rejects.toBe(failure)
    expect(await readData(sessions, token)).toEqual({ n: 1 })
    expect(() => memorySessions({ merge: 'mine' as never })).toThrow(/merge must be a function/)
  })

  test('see what others stored after their own commit, and references in hand stay good', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { cart: { coat: 1 }, other: { n: 1 } })
    const [one, other] = [await sessions.load(token), await sessions.load(token)]
    const { cart } = bag(one) as { cart?: Record<string, number> }
    ;(bag(other).cart as Record<string, number>).hat = 1
    await other.commit()
    bag(one).mine = 1
    await bag(one).save()
    expect(bag(one).cart).toBe(cart)
    cart!.scarf = 1
    await one.commit()
    expect(await readData(sessions, token)).toEqual({
      cart: { coat: 1, hat: 1, scarf: 1 },
      other: { n: 1 },
      mine: 1,
    })
  })

  test('with a Date in hand do not take it for a change', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    bag(work).at = new Date(0)
    await bag(work).save()
    const other = await sessions.load(work.id)
    bag(other).at = 'another day'
    await other.commit()
    bag(work).mine = 1
    await work.commit()
    expect(await readData(sessions, work.id)).toEqual({ at: 'another day', mine: 1 })
  })

  test('while one signs in: it gets the changes of the others, and they do not sign it out', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { base: 1 })
    const [login, other] = [await sessions.load(token), await sessions.load(token)]
    bag(other).theirs = 1
    await bag(login).signIn('ada', { keep: true })
    await other.commit()
    await login.commit()
    const read = await sessions.load(login.id)
    expect([read.userId, { ...bag(read) }]).toEqual(['ada', { base: 1, theirs: 1 }])
  })

  test('of which one signed in before: the later commit under the old token stores nothing', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, { base: 1 })
    const [login, late] = [await sessions.load(token), await sessions.load(token)]
    await bag(login).signIn('ada', { keep: true })
    await login.commit()
    bag(late).attacker = 1
    await late.commit()
    expect(late.outcome.action).toBe('keep')
    expect(await readData(sessions, login.id)).toEqual({ base: 1 })
    expect(await readData(sessions, token)).toEqual({ base: 1 })
  })

  test('whose session ended meanwhile store nothing', async () => {
    const store = new WatchedStore()
    const sessions = memorySessions({ store })
    const token = await storedSession(sessions, { base: 1 })
    const late = await sessions.load(token)
    bag(late).late = 1
    await bag(await sessions.load(token)).destroy()
    store.writes.length = 0
    await late.commit()
    bag(late).later = 1
    await late.commit()
    expect(store.writes.map(({ type }) => type)).toEqual(['update'])
    expect(await readData(sessions, token)).toEqual({})
  })
})

test('a session that others change without end is a conflict in the end, with a status to try again', async () => {
  const store = new WatchedStore()
  const sessions = memorySessions({ store })
  const token = await storedSession(sessions, { n: 0 })
  const work = await sessions.load(token)
  bag(work).mine = 1
  // Before each write of ours, another app changes the session.
  const rival = memorySessions({ store })
  let n = 0
  let rivals = 0
  store.beforeWrite = async () => {
    if (rivals > 0) return
    rivals++
    const theirs = await rival.load(token)
    bag(theirs).n = ++n
    await theirs.commit()
    rivals--
  }
  await expect(work.commit()).rejects.toMatchObject({ code: 'ERR_SESSION_CONFLICT', status: 503 })
  store.beforeWrite = undefined
  expect(await readData(sessions, token)).toEqual({ n })
})

test('whatever requests do to different keys, in whatever order they commit, all of it survives', async () => {
  const change = fc.record({
    action: fc.constantFrom('set', 'delete', 'nest' as const),
    commitLast: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 2, maxLength: 8 }), async (changes) => {
      const sessions = memorySessions()
      const start = Object.fromEntries(changes.map((_, index) => [`k${index}`, { start: index }]))
      const token = await storedSession(sessions, { ...start, untouched: true })
      const works = await Promise.all(changes.map(() => sessions.load(token)))
      const expected: Record<string, unknown> = { ...start, untouched: true }
      changes.forEach(({ action }, index) => {
        const [name, data] = [`k${index}`, bag(works[index]!) as Record<string, unknown>]
        if (action === 'set') expected[name] = data[name] = index
        else if (action === 'nest') {
          ;(data[name] as Record<string, number>).added = index
          expected[name] = { start: index, added: index }
        } else {
          delete data[name]
          delete expected[name]
        }
      })
      const inOrder = works.toSorted(
        (one, other) =>
          Number(changes[works.indexOf(one)]!.commitLast) - Number(changes[works.indexOf(other)]!.commitLast),
      )
      await Promise.all(inOrder.map(async (work) => work.commit()))
      expect(await readData(sessions, token)).toEqual(expected)
    }),
    { numRuns: 50 },
  )
})
