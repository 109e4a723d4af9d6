import '../faked-timers.ts'
import { MemoryStore } from 'coatcheck'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Handler } from './express-session-types.ts'
import { Side } from './sides.ts'

const minute = 60_000

const count: Handler = (request, response) => {
  if (request.url === '/read') return response.end(`views: ${Number(request.session['views'] ?? 0)}`)
  if (request.url === '/rotate') {
    return void (request.session as unknown as { rotate(): Promise<void> })
      .rotate()
      .then(() => response.end('rotated'))
  }
  request.session['views'] = Number(request.session['views'] ?? 0) + 1
  return response.end(`views: ${String(request.session['views'])}`)
}

/** The stores whose clock a test can move. Those of MySQL have the suite of stores for it. */
const stores: Record<string, (side: Side) => unknown> = {
  'no store given': () => undefined,
  'a store written for express-session': (side) => side.store(),
  MemoryStore: () => new MemoryStore(),
}

describe.each(Object.entries(stores))('lifetime.absolute of session(options), with %s,', (_name, make) => {
  const side = new Side('coatcheck/express')

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 29) })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  /** How a visitor fares who comes every ten minutes: each visit's body. */
  async function visits(paths: readonly string[], lifetime: object | undefined): Promise<string[]> {
    const app = await side.serve({ store: make(side), lifetime }, count)
    let cookie = ''
    const seen: string[] = []
    for (const path of paths) {
      const { body, jar } = await app.get(path, { cookie })
      cookie = jar || cookie
      seen.push(body)
      vi.setSystemTime(Date.now() + 10 * minute)
    }
    return seen
  }

  test('ends a session that is changed all the time', async () => {
    const paths = Array<string>(8).fill('/')
    expect(await visits(paths, { idle: '20m', absolute: '1h' })).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((views) => `views: ${views}`),
      'views: 1',
      'views: 2',
    ])
    expect((await visits(paths, { idle: '20m', absolute: false })).at(-1)).toBe('views: 8')
    expect((await visits(paths, undefined)).at(-1)).toBe('views: 8')
  })

  test('ends a session that is only read, or rotated', async () => {
    const paths = ['/', '/read', '/read', '/rotate', '/read', '/read', '/read', '/read']
    expect(await visits(paths, { idle: '20m', absolute: '1h' })).toEqual([
      'views: 1',
      'views: 1',
      'views: 1',
      'rotated',
      'views: 1',
      'views: 1',
      'views: 0',
      'views: 0',
    ])
  })
})
