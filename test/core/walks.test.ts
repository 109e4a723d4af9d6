import { afterEach, expect, test, vi } from 'vitest'
import { bag, memorySessions, storedSession } from './works.ts'

// How often a request goes through all that its session holds: what time it takes is a matter of this, and of no clock.

afterEach(() => {
  vi.restoreAllMocks()
})

/** Counts how often the names of `user` are asked for, in sessions that are parsed from now on. */
function countedWalks(): { count: number } {
  const walks = { count: 0 }
  const parse = JSON.parse.bind(JSON)
  vi.spyOn(JSON, 'parse').mockImplementation((text: string) => {
    const data = parse(text) as { user: object }
    const ownKeys = (user: object): ArrayLike<string | symbol> => {
      walks.count++
      return Reflect.ownKeys(user)
    }
    data.user = new Proxy(data.user, { ownKeys })
    return data
  })
  return walks
}

async function stored() {
  const sessions = memorySessions()
  return { sessions, token: await storedSession(sessions, { user: { name: 'Ada' }, views: 0 }) }
}

test('a session that is not opened is not walked', async () => {
  const { sessions, token } = await stored()
  const walks = countedWalks()
  const work = await sessions.load(token)
  await work.commit()
  expect(walks.count).toBe(0)
})

// Once as it is parsed, once before it is written out, and once by JSON.stringify.
test.each([
  ['read', 0],
  ['changed', 1],
])('one that is %s is walked three times', async (_what, views) => {
  const { sessions, token } = await stored()
  const walks = countedWalks()
  const work = await sessions.load(token)
  bag(work).views = views
  await work.commit()
  expect(walks.count).toBe(3)
})
