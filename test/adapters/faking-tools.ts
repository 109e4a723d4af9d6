import { mock } from 'node:test'
import { createSessions, type Session, type SessionStore } from 'coatcheck'
import session, { ExpressStore, type SessionMiddleware } from 'coatcheck/express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { express5Framework, type Middleware } from './frameworks.ts'
import { answerWithError, listen, secret, Wire } from './serve.ts'

/** What puts fakes that stand still in place of the global functions. Not of `process.nextTick`: Node's own http waits for that. */
export const tools: Record<string, { fake(): void; restore(): void }> = {
  'vi.useFakeTimers': {
    fake: () => {
      vi.useFakeTimers({
        toFake: [
          'setTimeout',
          'clearTimeout',
          'setInterval',
          'clearInterval',
          'setImmediate',
          'clearImmediate',
          'queueMicrotask',
          'performance',
          'hrtime',
          'Date',
        ],
      })
    },
    restore: () => void vi.useRealTimers(),
  },
  "node:test's mock.timers": {
    fake: () =>
      mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'setImmediate', 'Date'], now: Date.now() }),
    restore: () => mock.timers.reset(),
  },
}

const forms: Record<string, (store: SessionStore) => SessionMiddleware> = {
  'session(sessions)': (store) => session(createSessions({ store, secret, sweep: false })),
  'session(options)': (store) =>
    session({ store: new ExpressStore(store), secret, resave: false, saveUninitialized: false }),
}

type Counting = Session & { views?: number }

/** Requests are answered, and what they changed is stored, whatever is faked. */
export function answersUnderFakes(openStore: () => SessionStore | Promise<SessionStore>): void {
  describe.each(Object.entries(tools))('while %s has the timers,', (_tool, { fake, restore }) => {
    describe.each(Object.entries(forms))('%s', (form, makeSession) => {
      /** A server that counts views, and does something before it answers. */
      async function counting(beforeAnswer: () => void = () => undefined) {
        const store = await openStore()
        onTestFinished(restore)
        const handler: Middleware = (request, response) => {
          const bag = request.session as unknown as Counting
          bag.views = (bag.views ?? 0) + 1
          beforeAnswer()
          response.end(`views: ${bag.views};`)
        }
        const middleware = makeSession(store) as unknown as Middleware
        return listen(express5Framework.listener([middleware, handler], answerWithError))
      }

      async function ask(port: number, cookie?: string): Promise<string> {
        const wire = new Wire(port)
        wire.send('GET', '/', { Connection: 'close', ...(cookie === undefined ? {} : { Cookie: cookie }) })
        await wire.closed
        return wire.received
      }

      const cookieIn = (answer: string) => /^Set-Cookie: ([^;]+)/im.exec(answer)![1]!

      test('answers requests that come after they were faked', async () => {
        const { port } = await counting()
        fake()
        const cookie = cookieIn(await ask(port))
        expect(await ask(port, cookie)).toContain('views: 2;')
        const several = await Promise.all([1, 2, 3, 4].map(() => ask(port, cookie)))
        for (const answer of several) expect(answer).toMatch(/views: \d;/)
      })

      test('answers a request during which they are faked', async () => {
        let fakes = false
        const { port } = await counting(() => {
          if (fakes) fake()
        })
        const cookie = cookieIn(await ask(port))
        fakes = true
        expect(await ask(port, cookie)).toContain('views: 2;')
        fakes = false
        restore()
        expect(await ask(port, cookie)).toContain('views: 3;')
      })

      test.runIf(form === 'session(sessions)')('loses none of the changes that are tried again', async () => {
        const store = await openStore()
        onTestFinished(restore)
        const middleware = makeSession(store) as unknown as Middleware
        const handler: Middleware = async (request, response) => {
          const views = await request.session.update((bag) => {
            const counts = bag as Counting
            return (counts.views = (counts.views ?? 0) + 1)
          })
          response.end(`views: ${views};`)
        }
        const { port } = await listen(express5Framework.listener([middleware, handler], answerWithError))
        fake()
        const cookie = cookieIn(await ask(port))
        const answers = await Promise.all([2, 3, 4, 5, 6].map(() => ask(port, cookie)))
        expect(
          answers.map((answer) => Number(/views: (\d+);/.exec(answer)?.[1])).toSorted((a, b) => a - b),
        ).toEqual([2, 3, 4, 5, 6])
      })
    })
  })
}
