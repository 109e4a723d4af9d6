import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bag, memorySessions, storedSession, WatchedStore } from '../core/works.ts'

/** What becomes of a write: it is done; done, but nobody hears; never done; or done later, with or without others before it. */
type Fate = 'done' | 'unheard' | 'lost' | 'late'

class FatefulStore extends WatchedStore {
  readonly fates: Fate[] = []
  readonly late: (() => Promise<unknown>)[] = []

  override async write(writes: Parameters<WatchedStore['write']>[0]) {
    const fate = this.fates.shift() ?? 'done'
    if (fate === 'late') this.late.push(() => super.write(writes))
    if (fate === 'done' || fate === 'unheard') {
      const results = await super.write(writes)
      if (fate === 'done') return results
    }
    throw new Error('connection reset')
  }
}

type Step = {
  work: number
  act: 'set' | 'save' | 'update' | 'rotate' | 'arrive' | 'undo' | 'prove'
  key: number
}

test('whatever answers are lost or come late, nobody loses what was told to be stored', async () => {
  const step = fc.record({
    work: fc.nat(1),
    act: fc.constantFrom<Step['act'][]>('set', 'save', 'save', 'update', 'rotate', 'arrive', 'undo', 'prove'),
    key: fc.nat(1),
  })
  const fates = fc.array(fc.constantFrom<Fate[]>('done', 'done', 'unheard', 'lost', 'late'), {
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), fates, async (steps, given) => {
      const store = new FatefulStore()
      const sessions = memorySessions({ store, rotationGrace: 60_000 } as never)
      sessions.on('storeError', () => undefined)
      const token = await storedSession(sessions, { n: 0 }, 'ada')
      const works = await Promise.all([0, 1].map(() => sessions.load(token)))
      for (const work of works) bag(work)
      store.fates.push(...given)
      /** What each work was told to be stored: of its own keys alone. */
      const known: Record<string, unknown>[] = [{}, {}]
      const counted = [0, 0]
      const perhaps = [0, 0]
      /** What may be stored besides: of that nobody was told. */
      const tried: Record<string, unknown>[][] = [[], []]
      const isGone = [false, false]
      const told = async (index: number, act: () => Promise<unknown> | undefined) => {
        const held = own({ ...bag(works[index]!) }, index)
        try {
          await act()
          known[index] = held
          tried[index] = []
          return true
        } catch (error) {
          // Its token leads nowhere any more: another has rotated twice, or proved who they are.
          if ((error as { code?: string }).code === 'ERR_SESSION_GONE') isGone[index] = true
          else if (!isGone[index]) tried[index]!.push(held)
          return false
        }
      }
      for (const { work: index, act, key } of steps) {
        const work = works[index]!
        const hand = bag(work)
        if (isGone[index]) continue
        const name = `w${index}k${key}`
        if (act === 'set') hand[name] = Number(hand[name] ?? 0) + 1
        else if (act === 'undo') delete hand[name]
        else if (act === 'arrive')
          await store.late
            .shift()?.()
            .catch(() => undefined)
        else if (act === 'rotate') await hand.rotate().catch(() => undefined)
        else if (act === 'prove') {
          const { publicId } = hand
          await hand.signIn('ada').catch(() => undefined)
          // By a former token it begins a session that holds nothing of the other.
          if (hand.publicId !== publicId) {
            perhaps[index]! += counted[index]!
            ;[known[index], tried[index], counted[index]] = [{}, [], 0]
          }
        } else if (act === 'save') await told(index, () => hand.save())
        else {
          const isDone = await told(index, () =>
            hand.update((session) => void ((session as unknown as { n: number }).n += 1)),
          )
          ;(isDone ? counted : perhaps)[index]!++
        }
      }
      store.fates.length = 0
      const isUnsure: boolean[] = []
      for (const [index, work] of works.entries()) isUnsure.push(!(await told(index, () => bag(work).save())))
      for (const arrive of store.late) await arrive().catch(() => undefined)
      // Of two proofs at once one is on a session of its own.
      const isShared = bag(works[0]!).publicId === bag(works[1]!).publicId
      const sum = (numbers: number[]) => numbers.reduce((one, other) => one + other)
      const listed = await sessions.user('ada').list()
      for (const [index, work] of works.entries()) {
        const stored = listed.find(({ publicId }) => publicId === bag(work).publicId)!.data as Data
        const may = [known[index], ...(isGone[index] || isUnsure[index] ? tried[index]! : [])]
        expect(may).toContainEqual(own(stored, index))
        const n = Number(stored['n'] ?? 0)
        expect(n).toBeGreaterThanOrEqual(isShared ? sum(counted) : counted[index]!)
        expect(n).toBeLessThanOrEqual(sum(counted) + sum(perhaps))
      }
    }),
    { numRuns: Number(process.env['RUNS'] ?? 300) },
  )
})

type Data = Record<string, unknown>

function own(data: Data, index: number): Data {
  return Object.fromEntries(Object.entries(data).filter(([name]) => name.startsWith(`w${index}`)))
}
