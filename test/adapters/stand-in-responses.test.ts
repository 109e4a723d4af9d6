import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import fc from 'fast-check'
import { createSessions } from 'coatcheck'
import session, { ExpressStore, type SessionMiddleware } from 'coatcheck/express'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import type { SessionBag } from './frameworks.ts'
import { secret, settle } from './serve.ts'

const forms: Record<string, (store: CommandedStore) => SessionMiddleware> = {
  'session(sessions)': (store) => {
    const sessions = createSessions({ store, secret, sweep: false })
    sessions.on('storeError', () => undefined)
    return session(sessions)
  },
  'session(options)': (store) =>
    session({ store: new ExpressStore(store), secret, resave: false, saveUninitialized: false }),
}

type Calls = ('writeHead' | 'write' | 'end' | 'flushHeaders')[]
type Members = Record<string, 'there' | 'missing' | 'throwing'>

const members = (states: Members[string][]): fc.Arbitrary<Members> => {
  const state = fc.constantFrom(...states)
  const names = [...Object.keys(methodsOf()), ...Object.keys(valuesOf())]
  return fc.record(Object.fromEntries(names.map((name) => [name, state])))
}
const calls = fc.array(fc.constantFrom('writeHead', 'write', 'end', 'flushHeaders'), {
  maxLength: 5,
}) as fc.Arbitrary<Calls>

/** All that a response has and a middleware may use. */
function methodsOf(
  headers = new Map<string, unknown>(),
): Record<string, (...parameters: never[]) => unknown> {
  const emitter = new EventEmitter()
  return {
    setHeader: (name: string, value: unknown) => headers.set(name.toLowerCase(), value),
    getHeader: (name: string) => headers.get(name.toLowerCase()),
    hasHeader: (name: string) => headers.has(name.toLowerCase()),
    removeHeader: (name: string) => headers.delete(name.toLowerCase()),
    appendHeader: (name: string, value: unknown) => headers.set(name.toLowerCase(), value),
    writeHead: () => undefined,
    write: () => true,
    end: () => undefined,
    flushHeaders: () => undefined,
    destroy: () => undefined,
    on: emitter.on.bind(emitter),
    once: emitter.once.bind(emitter),
    emit: emitter.emit.bind(emitter),
    rawListeners: emitter.rawListeners.bind(emitter),
  }
}

function valuesOf(): Record<string, unknown> {
  return { statusCode: 200, statusMessage: '', headersSent: false, writableEnded: false, destroyed: false }
}

function standIn(states: Members): ServerResponse {
  const response = {}
  for (const [name, value] of Object.entries({ ...methodsOf(), ...valuesOf() })) {
    if (states[name] === 'missing') continue
    const refuse = (): never => {
      throw new Error(`${name} was called`)
    }
    if (states[name] !== 'throwing') Object.assign(response, { [name]: value })
    else if (typeof value === 'function') Object.assign(response, { [name]: refuse })
    else Object.defineProperty(response, name, { get: refuse, configurable: true })
  }
  return response as ServerResponse
}

const uncaught: unknown[] = []
const note = (error: unknown): void => void uncaught.push(error)

beforeAll(() => {
  // Of what the store refuses, and of what a handshake fails with: thousands of lines.
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  process.on('uncaughtException', note).on('unhandledRejection', note)
})
afterAll(() => {
  vi.restoreAllMocks()
  process.off('uncaughtException', note).off('unhandledRejection', note)
})

describe.each(Object.entries(forms))('with %s, a stand-in for a response', (_form, makeSession) => {
  interface Visit {
    readonly response: ServerResponse
    readonly made: Calls
    readonly upgrade: boolean
    readonly down: boolean
  }

  /** Lets a middleware handle a request whose handler changes the session and makes these calls on the response. */
  async function visit({ response, made, upgrade, down }: Visit) {
    uncaught.length = 0
    const store = new CommandedStore()
    if (down) store.down.add('write')
    const request = { headers: {}, url: '/', method: 'GET', upgrade } as unknown as IncomingMessage
    const nexts: unknown[] = []
    const thrown: unknown[] = []
    makeSession(store)(request, response, (error) => {
      nexts.push(error)
      if (nexts.length > 1 || error !== undefined) return
      ;(request as unknown as { session: SessionBag }).session.seen = 'yes'
      for (const name of made) {
        try {
          if (name === 'writeHead') response.writeHead(401)
          else if (name === 'flushHeaders') response.flushHeaders()
          else response[name]('text')
        } catch (error) {
          thrown.push(error)
        }
      }
    })
    await settle()
    return { nexts, thrown, stored: await store.stored() }
  }

  test('that lacks any of its members is answered once, and its session is stored', async () => {
    await fc.assert(
      fc.asyncProperty(members(['there', 'missing']), calls, fc.boolean(), async (states, made, upgrade) => {
        const { nexts, thrown, stored } = await visit({
          response: standIn(states),
          made,
          upgrade,
          down: false,
        })
        expect(uncaught).toEqual([])
        expect(nexts).toEqual([undefined])
        // As of Node's: a head is not written twice.
        expect(
          thrown.filter((error) => (error as { code?: string }).code !== 'ERR_HTTP_HEADERS_SENT'),
        ).toEqual([])
        expect(stored).toHaveLength(made.length > 0 ? 1 : 0)
      }),
      { numRuns: 300 },
    )
  })

  test('that lacks any of its members is told once of a store that fails', async () => {
    await fc.assert(
      fc.asyncProperty(members(['there', 'missing']), calls, fc.boolean(), async (states, made, upgrade) => {
        const { nexts } = await visit({ response: standIn(states), made, upgrade, down: true })
        expect(uncaught).toEqual([])
        // Nobody where nothing is answered, so that nothing is stored; nor by `next` in a handshake, which that would begin again.
        const isTold = made.length > 0 && !upgrade
        const unavailable = expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE' }) as unknown
        expect(nexts).toEqual(isTold ? [undefined, unavailable] : [undefined])
      }),
      { numRuns: 300 },
    )
  })

  test('whose members throw fails its own request, and not the process', async () => {
    const any = members(['there', 'missing', 'throwing'])
    await fc.assert(
      fc.asyncProperty(any, calls, fc.boolean(), fc.boolean(), async (states, made, upgrade, down) => {
        const { nexts } = await visit({ response: standIn(states), made, upgrade, down })
        expect(uncaught).toEqual([])
        expect(nexts.filter((error) => error === undefined).length).toBeLessThanOrEqual(1)
        expect(nexts.length).toBeLessThanOrEqual(2)
      }),
      { numRuns: 300 },
    )
  })

  test.each<[string, () => unknown]>([
    ['that is frozen', () => Object.freeze(standIn({}))],
    ['that is sealed', () => Object.seal({})],
    ['without a prototype', () => Object.assign(Object.create(null) as object, methodsOf(), valuesOf())],
    ['that is none', () => undefined],
  ])('%s ends no process either', async (_, make) => {
    const { nexts } = await visit({
      response: make() as ServerResponse,
      made: ['write', 'end'],
      upgrade: false,
      down: false,
    })
    expect(uncaught).toEqual([])
    expect(nexts).toHaveLength(1)
  })
})

test.each([
  ['before it is saved', false],
  ['after it was saved', true],
])(
  'a handshake whose session has a cookie that cannot be made ends its connection alone: %s',
  async (_when, save) => {
    uncaught.length = 0
    const response = standIn({})
    const destroyed = vi.spyOn(response, 'destroy')
    const request = { headers: {}, url: '/', method: 'GET', upgrade: true } as unknown as IncomingMessage
    const store = new ExpressStore(new CommandedStore())
    const cookie = () => ({ domain: 'a;b' })
    const nexts: unknown[] = []
    session({ store, secret, cookie })(request, response, (error) => {
      nexts.push(error)
      const bag = (request as unknown as { session: SessionBag }).session
      bag.seen = 'yes'
      const open = () => void response.writeHead(101)
      if (save) bag.save(open)
      else open()
    })
    await settle()
    expect({ uncaught, nexts }).toEqual({ uncaught: [], nexts: [undefined] })
    expect(destroyed).toHaveBeenCalledOnce()
  },
)
