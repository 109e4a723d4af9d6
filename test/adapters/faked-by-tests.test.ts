import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import { SQLiteStore } from 'coatcheck/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { answersUnderFakes, tools } from './faking-tools.ts'
import { express5Framework, type Middleware } from './frameworks.ts'
import { answerWithError, cookieOf, listen, secret } from './serve.ts'
import { loadAnew } from '../load-anew.ts'

describe('MemoryStore:', () => {
  answersUnderFakes(() => new MemoryStore())
})

describe('SQLiteStore:', () => {
  answersUnderFakes(() => {
    const store = new SQLiteStore(':memory:')
    onTestFinished(() => store.close())
    return store
  })
})

test('a faked process.nextTick keeps no request from its handler', async () => {
  const store = new MemoryStore()
  const sessions = createSessions({ store, secret, sweep: false })
  const middleware = session(sessions)
  const { url } = await listen(
    express5Framework.listener(
      [
        middleware as unknown as Middleware,
        (request, response) => {
          request.session.seen = 'yes'
          response.end()
        },
      ],
      answerWithError,
    ),
  )
  const cookie = cookieOf(await fetch(url))
  // Stand-ins, because Node's own http needs it.
  const request = { headers: { cookie }, url: '/', method: 'GET' } as unknown as IncomingMessage
  const response = { end: () => undefined } as unknown as ServerResponse
  vi.useFakeTimers({ toFake: ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] })
  onTestFinished(() => void vi.useRealTimers())
  await new Promise((resolve) => middleware(request, response, resolve))
  expect((request as unknown as { session: object }).session).toMatchObject({ seen: 'yes' })
})

test('timers that were faked before the package is loaded are not taken', async () => {
  tools['vi.useFakeTimers']!.fake()
  onTestFinished(() => void vi.useRealTimers())
  // Another copy of the module, because the package is loaded already.
  const late = loadAnew('core/scheduling.js') as typeof import('../../dist/core/scheduling.js')
  const over = new Promise((resolve) =>
    late.setImmediate(() => late.setTimeout(() => late.nextTick(resolve, 'over'), 1)),
  )
  await late.wait(1)
  expect(await over).toBe('over')
})

describe('a date that a test sets', () => {
  const day = 86_400_000

  /** Whether a session is still there once the date was set to three days from now. */
  async function livesOn(middleware: Middleware): Promise<boolean> {
    const { url } = await listen(
      express5Framework.listener(
        [
          middleware,
          (request, response) => {
            const before = request.session.seen
            request.session.seen = 'yes'
            response.end(String(before))
          },
        ],
        answerWithError,
      ),
    )
    const cookie = cookieOf(await fetch(url))
    // Without the functions that fetch itself waits for.
    vi.useFakeTimers({ toFake: ['Date'] })
    onTestFinished(() => void vi.useRealTimers())
    vi.setSystemTime(Date.now() + 3 * day)
    return (await (await fetch(url, { headers: { cookie } })).text()) === 'yes'
  }

  test.each<[string, () => Middleware, boolean]>([
    [
      'moves the expiry of MemoryStore',
      () =>
        session(
          createSessions({ store: new MemoryStore(), secret, lifetime: { idle: '2d' }, sweep: false }),
        ) as unknown as Middleware,
      false,
    ],
    [
      'moves the expiry of session(options)',
      () =>
        session({
          secret,
          resave: false,
          saveUninitialized: false,
          cookie: { maxAge: 2 * day },
        }) as unknown as Middleware,
      false,
    ],
    [
      'moves none in a database, which tells the time itself',
      () =>
        session(
          createSessions({
            store: new SQLiteStore(':memory:'),
            secret,
            lifetime: { idle: '2d' },
            sweep: false,
          }),
        ) as unknown as Middleware,
      true,
    ],
  ])('%s', async (_, make, lives) => {
    expect(await livesOn(make())).toBe(lives)
  })
})
