import { createSessions, MemoryStore, type Session as CoreSession, type SignInOptions } from 'coatcheck'
import session from 'coatcheck/express'
import { SQLiteStore } from 'coatcheck/sqlite'
import express from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listen } from '../adapters/serve.ts'
import { Browser } from '../shared/browser.ts'
import { bag, committedToken, memorySessions, readData, secret, storedSession } from './works.ts'

// Whoever plants a session in a visitor's browser can put data there, which must not be the user's after the sign-in.

const planted = { csrf: 'known to the planter', returnTo: 'https://evil.example', cart: ['coat'] }

describe('of what a visitor had, a sign-in', () => {
  test.each<[what: string, options: SignInOptions | undefined, left: Record<string, unknown>]>([
    ['keeps nothing', undefined, {}],
    ['keeps nothing, with no options', {}, {}],
    ['keeps nothing, with keep undefined', { keep: undefined }, {}],
    ['keeps nothing where none is named', { keep: [] }, {}],
    ['keeps what is named', { keep: ['cart'] }, { cart: ['coat'] }],
    [
      'keeps what is named and there',
      { keep: ['cart', 'theme', '__proto__', 'toString'] },
      { cart: ['coat'] },
    ],
    ['keeps all', { keep: true }, planted],
  ])('%s', async (_what, options, left) => {
    for (const isOpened of [true, false]) {
      const sessions = memorySessions()
      const work = await sessions.load(await storedSession(sessions, planted))
      expect(isOpened ? { ...bag(work) } : planted).toEqual(planted)
      await work.signIn('ada', options)
      expect({ ...bag(work) }).toEqual(left)
      bag(work).own = 1
      expect(await readData(sessions, await committedToken(work))).toEqual({ ...left, own: 1 })
    }
  })

  test('keeps nothing that this request put there before it', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, planted))
    bag(work).before = 1
    await bag(work).save()
    bag(work).unsaved = 1
    await bag(work).signIn('ada', { keep: ['cart'] })
    bag(work).after = 1
    expect(await readData(sessions, await committedToken(work))).toEqual({ cart: ['coat'], after: 1 })
  })

  test('keeps nothing of a session that never was stored either', async () => {
    const sessions = memorySessions()
    const work = sessions.begin()
    Object.assign(bag(work), planted)
    await bag(work).signIn('ada')
    expect(await readData(sessions, await committedToken(work))).toEqual({})
  })

  test('keeps nothing under the name of a member that another app has stored', async () => {
    const store = new MemoryStore()
    const old = express()
    old.use(session({ store, secret, resave: false, saveUninitialized: false }))
    old.get('/', (req, res) => {
      Object.assign(req.session, { publicId: 'planted' })
      res.end()
    })
    const browser = new Browser()
    await browser.get((await listen(old)).url, '/')
    const { id } = (await store.list({ limit: 1, data: false })).items[0]!
    const sessions = createSessions({ store, secret, sweep: false })
    const [cookie] = browser.cookies.values()
    const work = await sessions.load(decodeURIComponent(cookie!).slice(2).split('.', 1)[0]!)
    await work.signIn('ada')
    await work.commit()
    expect(String((await store.find([id]))[0]!.data)).not.toContain('planted')
  })

  test.each<[string, unknown]>([
    ['an unknown option', { kep: ['cart'] }],
    ['a text', { keep: 'cart' }],
    ['false', { keep: false }],
    ['a name that is no text', { keep: ['cart', 7] }],
    ['a hole', { keep: [, 'cart'] }], // eslint-disable-line no-sparse-arrays
    ['a list in place of options', ['cart']],
  ])('refuses %s, and nothing is done', async (_what, options) => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, planted)
    const work = await sessions.load(token)
    await expect(bag(work).signIn('ada', options as SignInOptions)).rejects.toMatchObject({
      code: 'ERR_SESSION_OPTION',
    })
    await work.commit()
    const read = await sessions.load(token)
    expect([read.userId, { ...bag(read) }]).toEqual([undefined, planted])
  })
})

describe('a sign-in of the same user', () => {
  test('keeps everything: it is theirs already', async () => {
    const sessions = memorySessions()
    const work = await sessions.load(await storedSession(sessions, planted, 'ada'))
    await bag(work).signIn('ada', { keep: [] })
    expect(await readData(sessions, await committedToken(work))).toEqual(planted)
  })

  test('keeps what the one before in the same request has left, and brings back nothing', async () => {
    const sessions = memorySessions()
    const token = await storedSession(sessions, planted)
    const work = await sessions.load(token)
    await bag(work).signIn('ada')
    bag(work).own = 1
    await bag(work).signIn('ada', { keep: true })
    const planter = await sessions.load(token)
    Object.assign(bag(planter), { csrf: 'known to the planter, and new', more: 1 })
    await planter.commit()
    expect(await readData(sessions, await committedToken(work))).toEqual({ own: 1 })
  })
})

test('with express-session’s ways, a sign-in keeps the cookie, and of the rest what is named', async () => {
  const store = new MemoryStore()
  const app = express()
  app.use(session({ store, secret, resave: false, saveUninitialized: false, cookie: { maxAge: 60_000 } }))
  type Bound = CoreSession & { cookie: { originalMaxAge: number; maxAge: number } }
  app.get('/plant', (req, res) => {
    Object.assign(req.session, planted)
    ;(req.session as unknown as Bound).cookie.maxAge = 30_000
    res.end()
  })
  app.get('/sign-in', async (req, res) => {
    await (req.session as unknown as Bound).signIn('ada', { keep: ['cart'] })
    res.end()
  })
  app.get('/', (req, res) => {
    res.json({ ...req.session, maxAge: (req.session as unknown as Bound).cookie.originalMaxAge })
  })
  const { url } = await listen(app)
  const browser = new Browser()
  await browser.get(url, '/plant')
  await browser.get(url, '/sign-in')
  const { body } = await browser.get(url, '/')
  expect({ ...body, cookie: undefined }).toEqual({ cart: ['coat'], maxAge: 30_000, cookie: undefined })
})

describe.each([
  ['memory', () => new MemoryStore()],
  ['SQLite', () => new SQLiteStore(':memory:')],
])('over HTTP, on %s', (_name, open) => {
  test.each<[string, SignInOptions | undefined, Record<string, unknown>]>([
    ['nothing', undefined, {}],
    ['the cart', { keep: ['cart'] }, { cart: ['coat', 'and what the planter added'] }],
  ])(
    'what somebody plants is gone after a sign-in that keeps %s, also what they store while it is under way',
    async (_what, options, left) => {
      const store = open()
      onTestFinished(() => store.close())
      const sessions = createSessions({ store, secret, sweep: false })
      const app = express()
      app.use(express.json())
      app.use(session(sessions))
      app.post('/plant', (req, res) => {
        Object.assign(req.session, planted)
        res.end()
      })
      app.post('/plant-more', (req, res) => {
        Object.assign(req.session, {
          csrf: 'newer',
          theme: 'dark',
          cart: ['coat', 'and what the planter added'],
        })
        res.end()
      })
      let meanwhile = async (): Promise<unknown> => undefined
      app.post('/sign-in', async (req, res) => {
        await req.session.signIn('ada', options)
        await meanwhile()
        res.end()
      })
      app.get('/', (req, res) => void res.json({ user: req.session.userId, ...req.session }))
      const { url } = await listen(app)
      const planter = new Browser()
      await planter.post(url, '/plant')
      const victim = planter.clone()
      meanwhile = () => planter.post(url, '/plant-more')
      await victim.post(url, '/sign-in')
      expect((await victim.get(url, '/')).body).toEqual({ user: 'ada', ...left })
      await planter.post(url, '/plant-more')
      expect((await victim.get(url, '/')).body).toEqual({ user: 'ada', ...left })
      expect((await planter.get(url, '/')).body['user']).toBeUndefined()
    },
  )
})
