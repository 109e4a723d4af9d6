import { MemoryStore } from 'coatcheck'
import { describe } from 'vitest'
import type { Handler, SessionOptions } from './express-session-types.ts'
import { type Side, sideBySide } from './sides.ts'
import { routes } from './visited.ts'

// What a slow request does to a session that another changes meanwhile, where coatcheck has one of its own stores to say so.

const month = 30 * 86_400_000

interface Gate {
  readonly slow: Handler
  arrived(): Promise<void>
  open(): void
}

/** A handler that does `first`, waits until the test opens the gate, does `then`, and answers. */
function gate(first: Handler, then: Handler = () => undefined): Gate {
  const [arrived, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const slow: Handler = async (request, response, next) => {
    await first(request, response, next)
    arrived.resolve()
    await opened.promise
    await then(request, response, next)
    response.end()
  }
  return { slow, arrived: () => arrived.promise, open: opened.resolve }
}

function storeFor(side: Side): SessionOptions['store'] {
  return side.name === 'coatcheck/express'
    ? (new MemoryStore() as unknown as SessionOptions['store'])
    : side.store()
}

const handlers: Record<string, Handler> = {
  '/': (request, response) => {
    request.session['views'] = 1
    response.end()
  },
  '/regenerate': (request, response) => request.session.regenerate(() => response.end()),
  '/remember': (request, response) => {
    request.session.cookie.maxAge = month
    response.end()
  },
  '/max-age': (request, response) => response.end(String(request.session.cookie.originalMaxAge)),
}

/** The cookies of a slow answer, while another request regenerates the session. */
async function slowCookies(side: Side, slowly: Gate, options: SessionOptions): Promise<unknown> {
  const app = await side.serve(
    { store: storeFor(side), ...options },
    routes({ ...handlers, '/slow': slowly.slow }),
  )
  const first = await app.get('/')
  const slow = app.get('/slow', { cookie: first })
  await slowly.arrived()
  await app.get('/regenerate', { cookie: first })
  slowly.open()
  return (await slow).cookies
}

describe('a slow answer beside one that regenerates the session sets no cookie of the ended one', () => {
  const nothing: Handler = () => undefined
  const saves: Handler = (request) => {
    request.session['draft'] = 'half a letter'
    return new Promise<void>((resolve) => request.session.save(() => resolve()))
  }
  const differs = { ours: [], reason: 'ended sessions never come back' } as const

  sideBySide('where `rolling` is set', (side) => slowCookies(side, gate(nothing), { rolling: true }), {
    theirs: ['connect.sid=#1; Path=/; HttpOnly'],
    ...differs,
  })

  sideBySide(
    'where `rolling` is set, and reading need not move the expiry',
    (side) => slowCookies(side, gate(nothing), { rolling: true, touchAfter: '1h' } as SessionOptions),
    { theirs: ['connect.sid=#1; Path=/; HttpOnly'], ...differs },
  )

  sideBySide(
    'where it was saved before, with a cookie that expires',
    (side) => slowCookies(side, gate(saves), { cookie: { maxAge: 600_000 } }),
    { theirs: ['connect.sid=#1; Path=/; Expires=in 600 s; HttpOnly'], ...differs },
  )
})

sideBySide(
  'a slow answer leaves a session the new `maxAge` that another has given it',
  async (side) => {
    const slowly = gate(
      () => undefined,
      (request) => void (request.session['draft'] = 'half a letter'),
    )
    const app = await side.serve({ store: storeFor(side) }, routes({ ...handlers, '/slow': slowly.slow }))
    const first = await app.get('/')
    const slow = app.get('/slow', { cookie: first })
    await slowly.arrived()
    await app.get('/remember', { cookie: first })
    slowly.open()
    await slow
    return (await app.get('/max-age', { cookie: first })).body
  },
  { theirs: 'null', ours: String(month), reason: 'concurrent updates are merged' },
)

sideBySide(
  'a new session whose save was carried out, but not answered, is one session',
  async (side) => {
    const store = side.store()
    const set = store.set.bind(store)
    store.set = (id, session, done) =>
      set(id, session, () => {
        store.set = set
        done?.(new Error('the answer was lost'))
      })
    const handler: Handler = (request, response) => {
      request.session['views'] = 1
      request.session.save(() => response.end())
    }
    const app = await side.serve({ store }, handler)
    return [(await app.get('/')).cookies.length, store.rows.size]
  },
  { both: [1, 1] },
)
