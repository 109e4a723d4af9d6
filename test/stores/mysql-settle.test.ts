import { MemoryStore, type SessionId, type SessionStore, type SessionWrite } from 'coatcheck'
import { beforeEach, describe, expect, it } from 'vitest'
import { LostStatement } from '../../dist/stores/sql/lost-statement.js'
import { mysqlJudgement } from '../../dist/stores/mysql/judgement.js'
import { settle } from '../../dist/stores/sql/settle.js'
import { insert, newId, removal, rotation, stored, touch, update } from './mysql-subject.ts'

// What became of writes by the records alone, which any store that keeps marks holds alike.

let store: SessionStore
let id: SessionId

beforeEach(async () => {
  store = new MemoryStore()
  id = await stored(store)
})

async function arrives(write: SessionWrite): Promise<void> {
  expect(await store.write([write])).toEqual(['done'])
}

/** Others change the session so many times. */
async function othersChange(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const [record] = await store.find([id])
    await arrives(update(id, record!.version))
  }
}

const { failsAllAlike } = mysqlJudgement
const lost = new LostStatement({})
const reading = { keyedBy: undefined, find: (ids: readonly SessionId[]) => store.find(ids) }

async function settled(write: SessionWrite): Promise<unknown> {
  const [result] = await settle(
    { ...reading, write: (writes) => store.write(writes) },
    [write],
    [lost],
    failsAllAlike,
  )
  return result === lost ? 'unknown' : result
}

async function version(): Promise<number | undefined> {
  return (await store.find([id]))[0]?.version
}

describe('a change whose answer was lost', () => {
  const changes: [string, () => SessionWrite][] = [
    ['an update', () => update(id, 1)],
    ['an update with a new secret', () => rotation(id, 1)],
  ]
  describe.each(changes)('%s', (_, changeOf) => {
    it.each([0, 1, 2, 3])('is known by its mark under %d later changes', async (times) => {
      const change = changeOf()
      await arrives(change)
      await othersChange(times)
      expect(await settled(change)).toBe('done')
      expect(await version()).toBe(2 + times)
    })

    it('is unknown under four later changes', async () => {
      const change = changeOf()
      await arrives(change)
      await othersChange(4)
      expect(await settled(change)).toBe('unknown')
    })

    it('that did not arrive is carried out', async () => {
      expect(await settled(changeOf())).toBe('done')
      expect(await version()).toBe(2)
    })

    it.each([1, 4])('that did not arrive is stale after %d changes of others', async (times) => {
      const change = changeOf()
      await othersChange(times)
      expect(await settled(change)).toBe('stale')
    })

    it('is unknown after five changes, of which its own may be the first', async () => {
      const change = changeOf()
      await othersChange(5)
      expect(await settled(change)).toBe('unknown')
    })

    it('is gone where the session is', async () => {
      const change = changeOf()
      await arrives(change)
      await arrives(removal(id))
      expect(await settled(change)).toBe('gone')
    })
  })
})

describe('an insert whose answer was lost', () => {
  it('is known by its mark', async () => {
    const write = insert(newId())
    await arrives(write)
    await arrives(update(write.id, 1))
    expect(await settled(write)).toBe('done')
  })

  it('is not sent again', async () => {
    const write = insert(newId())
    expect(await settled(write)).toBe('unknown')
    expect(await store.find([write.id])).toEqual([undefined])
  })

  it('is unknown where the id is taken by another', async () => {
    expect(await settled(insert(id))).toBe('unknown')
  })
})

describe('a touch and a removal whose answers were lost', () => {
  it('are carried out', async () => {
    expect(await settled(touch(id))).toBe('done')
    expect(await settled(removal(id))).toBe('done')
    expect(await settled(touch(id))).toBe('gone')
    expect(await settled(removal(id))).toBe('gone')
  })

  it('find that the session has moved', async () => {
    await arrives({ ...rotation(id, 1), userId: 'ada' })
    expect(await settled(touch(id))).toBe('moved')
    expect(await settled(removal(id))).toBe('moved')
    expect(await version()).toBe(2)
  })
})

describe('writes that are lost twice', () => {
  /** Settles with a database that loses what is sent once more. */
  async function settledOnce(writes: readonly SessionWrite[], failure: Error, arrive: boolean) {
    const first = new LostStatement({})
    let looks = 0
    const layout = {
      keyedBy: undefined,
      find: (ids: readonly SessionId[]) => {
        looks++
        return store.find(ids)
      },
      write: async (again: readonly SessionWrite[]) => {
        if (arrive) await store.write(again)
        return again.map(() => failure)
      },
    }
    const results = await settle(
      layout,
      writes,
      writes.map(() => first),
      failsAllAlike,
    )
    return { results: results.map((result) => (result === first ? 'unknown' : result)), first, looks }
  }

  it('are known by what the records tell, and are no outage', async () => {
    const other = await stored(store)
    const writes = [update(id, 1), touch(other)]
    const { results, first } = await settledOnce(writes, new LostStatement({}), true)
    expect(results).toEqual(['done', 'unknown'])
    expect(first.answeredSince).toBe(true)
  })

  it('are unknown as long as they may still arrive', async () => {
    const { results } = await settledOnce([update(id, 1)], new LostStatement({}), false)
    expect(results).toEqual(['unknown'])
  })

  it('are not looked for where there is no way to the database', async () => {
    const noWay = Object.assign(new Error(), { code: 'ECONNREFUSED', syscall: 'connect' })
    const { results, first, looks } = await settledOnce([update(id, 1)], noWay, false)
    expect({ results, looks, answered: first.answeredSince }).toEqual({
      results: ['unknown'],
      looks: 0,
      answered: false,
    })
  })
})
