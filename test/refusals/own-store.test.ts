import { MemoryStore, type SessionWrite } from 'coatcheck'
import { ExpressStore } from 'coatcheck/express'
import { expect, it } from 'vitest'
import { serveDropIn, serveSessions, Visitor } from './visitors.ts'

const canary = 'canary7f'

/** A store of an app's own, whose errors are of no kind that coatcheck knows. */
class PickyStore extends MemoryStore {
  override async write(writes: readonly SessionWrite[]) {
    if (writes.some((write) => 'data' in write && write.data && Buffer.from(write.data).includes(canary)))
      throw new Error(`${canary} is refused`)
    return super.write(writes)
  }
}

it.each([
  ['session(sessions)', () => serveSessions(new PickyStore())],
  ['session({ store })', () => serveDropIn(new PickyStore())],
  ['session({ store }) on an ExpressStore', () => serveDropIn(new ExpressStore(new PickyStore()))],
])("an error of an app's own store by one visitor shuts out no other: %s", async (_name, serve) => {
  const app = await serve()
  const others = Array.from({ length: 3 }, () => new Visitor(app))
  for (const other of others) expect(await other.say('first')).toBe('first')
  for (let tries = 0; tries < 12; tries++) {
    expect(await new Visitor(app).say(canary)).toBe('503 ERR_SESSION_STORE_UNAVAILABLE')
  }
  for (const other of others) expect(await other.say('second')).toBe('second')
  for (const error of app.errors) expect(error.message).not.toContain(canary)
})
