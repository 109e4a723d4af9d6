import { MemoryStore, type SessionId, type SessionStore } from 'coatcheck'

/** How far the second clock is ahead, in milliseconds. */
const ahead = 600_000

type Times = Partial<Record<(typeof names)[number], number | undefined>>
const names = ['createdAt', 'seenAt', 'expiresAt', 'authenticatedAt', 'readAt'] as const

/** A store whose records are on two servers, by their ids, and whose clocks differ by ten minutes. */
export function twoClocksStore(): SessionStore {
  const store = new MemoryStore()
  return {
    clocks: 'several',
    find: async (ids) => (await store.find(ids)).map((record) => record && byItsClock(record)),
    alive: (ids) => store.alive(ids),
    write: (writes) => store.write(writes),
    list: async (query) => {
      const { items, next } = await store.list(query)
      return { items: items.map(byItsClock), next }
    },
    removeByUser: (userId, except) => store.removeByUser(userId, except),
    removeExpired: (limit) => store.removeExpired(limit),
    close: () => store.close(),
  }
}

function byItsClock<Read extends Times & { readonly id: SessionId; readonly former?: Times | undefined }>(
  record: Read,
): Read {
  if (Buffer.from(record.id, 'base64url').at(-1)! % 2 === 0) return record
  const { former } = record
  return { ...record, ...later(record), ...(former && { former: { ...former, ...later(former) } }) }
}

function later(record: Times): Times {
  const times: Times = {}
  for (const name of names) if (record[name] !== undefined) times[name] = record[name] + ahead
  return times
}
