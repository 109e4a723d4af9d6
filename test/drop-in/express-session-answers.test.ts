import { describe, expect, test } from 'vitest'
import { frameworks } from '../adapters/frameworks.ts'
import type { Handler, SessionOptions, SideRequest, StoredSession } from './express-session-types.ts'
import type { RowStore } from './row-store.ts'
import { assertTold, type Reason, Side, sideNames } from './sides.ts'
import type { Answer } from './visited.ts'

// Every way to answer, after each thing that a handler may do to its session, on stores and frameworks of every kind: the same answers
// and rows by express-session and by coatcheck/express.

type Answering = (...parameters: Parameters<Handler>) => unknown

const answerings: Record<string, Answering> = {
  'end with text': (_, response) => response.end('text'),
  'end with a Buffer': (_, response) => response.end(Buffer.from('bytes')),
  'end with an encoding': (_, response) => response.end('dGV4dA==', 'base64'),
  'end with a callback': (_, response) => response.end('text', () => undefined),
  'end twice': (_, response) => {
    response.end('one')
    response.end('two')
  },
  'end later': (_, response) => void setImmediate(() => response.end('later')),
  'write and end': (_, response) => {
    response.write('one ')
    response.end('two')
  },
  'flushHeaders and end': (_, response) => {
    response.flushHeaders()
    response.end('text')
  },
  redirect: (_, response) => response.writeHead(302, { Location: '/elsewhere' }).end(),
  'writeHead with a reason': (_, response) => response.writeHead(200, 'Fine', { 'X-Other': 'yes' }).end(),
  'writeHead with a list': (_, response) => {
    response.writeHead(200, ['Set-Cookie', 'own=1', 'X-Other', 'yes'] as never).end()
  },
  'Set-Cookie with a list': (_, response) => response.setHeader('Set-Cookie', ['one=1', 'two=2']).end(),
  'a Content-Length': (_, response) => response.setHeader('Content-Length', 4).end('text'),
  'a Content-Length of 0': (_, response) => response.setHeader('Content-Length', 0).end(),
  'no content': (_, response) => response.writeHead(204).end(),
  'not modified': (_, response) => response.writeHead(304).end(),
  'next()': (_request, _response, next) => next(),
  'next(error)': (_request, _response, next) => next(new Error('refused')),
  'a throw': () => {
    throw new Error('thrown')
  },
  'a rejection': () => Promise.reject(new Error('rejected')),
}

const done = (act: (callback: () => void) => unknown) => new Promise<void>((resolve) => void act(resolve))
const acts: Record<string, (request: SideRequest) => unknown> = {
  nothing: () => undefined,
  change: ({ session }) => (session['views'] = Number(session['views'] ?? 0) + 1),
  'save at once': ({ session }) => {
    session['views'] = 5
    session.save()
  },
  touch: ({ session }) => session.touch(),
  unset: (request) => void delete (request as { session?: unknown }).session,
  destroy: ({ session }) => done((callback) => session.destroy(callback)),
  regenerate: async (request) => {
    await done((callback) => request.session.regenerate(callback))
    request.session['user'] = 'ada'
  },
}

/** Stores as people write them. */
const stores: Record<string, (store: RowStore) => unknown> = {
  usual: (store) => store,
  'without touch': (store) => Object.assign(store, { touch: undefined }),
  'that answers at once': (store) =>
    Object.assign(store, {
      get: (id: string, callback: Callback) => callback(null, read(store, id)),
      set: (id: string, session: object, callback?: Callback) => {
        store.rows.set(id, JSON.stringify(session))
        callback?.()
      },
    }),
  'that answers ENOENT': (store) =>
    Object.assign(store, {
      get(id: string, callback: Callback) {
        const session = read(store, id)
        setImmediate(() =>
          session ? callback(null, session) : callback(Object.assign(new Error(), { code: 'ENOENT' })),
        )
      },
    }),
  'that answers with undefined': (store) =>
    Object.assign(store, {
      get: (id: string, callback: Callback) =>
        setImmediate(() => callback(undefined, read(store, id) ?? undefined)),
    }),
}
type Callback = (error?: unknown, session?: unknown) => void
const read = ({ rows }: RowStore, id: string) => JSON.parse(rows.get(id) ?? 'null') as StoredSession | null

const settings: readonly SessionOptions[] = [
  {},
  { rolling: true, cookie: { maxAge: 60_000 } },
  { resave: true, saveUninitialized: true, unset: 'destroy' },
]
/** All answers on the usual store by Express 5, and a few on each other store and by each other framework. */
const all = Object.keys(answerings)
const places = [
  ...settings.map((options) => ({ options, answers: all })),
  { method: 'HEAD', answers: all },
  ...Object.keys(stores).map((store) => ({ store, options: settings[1]!, answers: ['end with text'] })),
  ...frameworks.slice(1).map((framework) => ({
    framework,
    answers: ['write and end', 'redirect', 'next()', 'next(error)', 'a rejection'],
  })),
].map((place) => ({
  framework: frameworks[0]!,
  store: 'usual',
  options: settings[0]!,
  method: 'GET',
  ...place,
}))
const comparedCases = Object.keys(acts).length * places.reduce((sum, { answers }) => sum + answers.length, 0)

const reason: Reason = 'destroy clears the cookie'
assertTold(reason)
const cleared = /"connect\.sid=; Path=\/; Expires=1970; HttpOnly"/

describe(`coatcheck/express beside express-session, by ${comparedCases} answers`, () => {
  for (const { framework, store, options, answers, method } of places) {
    test(`to ${method} by ${framework.name} on a store ${store} under ${JSON.stringify(options)}`, async () => {
      for (const answer of answers) {
        for (const act of Object.keys(acts)) {
          const [theirs, ours] = await Promise.all(sideNames.map((name) => shown(name)))
          expect.soft(ours, `${act}, then ${answer}`).toEqual(theirs)

          async function shown(name: (typeof sideNames)[number]): Promise<unknown> {
            const side = new Side(name)
            const rows = stores[store]!(side.store())
            const handler: Handler = async (request, response, next) => {
              if (request.url === '/act') await acts[act]!(request)
              else request.session['views'] = 1
              return request.url === '/act' ? answerings[answer]!(request, response, next) : response.end()
            }
            const app = await side.serve({ ...options, store: rows }, handler, { framework })
            const cookie: Answer = await app.get('/')
            await app.get('/act', { cookie, method })
            await app.get('/act', { method })
            return withoutClearing(side.visited.all())
          }
        }
      }
    })
  }
})

/** The ids named in the order in which they show; without the header that says that the cookie is cleared, the one difference. */
function withoutClearing(all: unknown): unknown {
  const names = new Map<string, string>()
  const text = JSON.stringify(all).replaceAll(/#\d+/g, (id) => {
    if (!names.has(id)) names.set(id, `#${names.size + 1}`)
    return names.get(id)!
  })
  return JSON.parse(text, (_, value: unknown) =>
    Array.isArray(value) ? value.filter((each) => !cleared.test(JSON.stringify(each))) : value,
  )
}
