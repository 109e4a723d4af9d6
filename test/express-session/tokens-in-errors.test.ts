import { once } from 'node:events'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { SessionId } from '../../dist/core/store/record.js'
import { type ExpressSessionStore, ForeignStore } from '../../dist/express-session/foreign/foreign-store.js'
import type { SessionModule, StoreObject } from '../drop-in/express-session-types.ts'

const require = createRequire(import.meta.url)
const secret = 'the secret of the app'

/** The kind of error that a store's driver has. */
class DriverError extends Error {
  override readonly name = 'DriverError'
  readonly code = 'ELOOP'
  readonly path: string
  readonly command: object

  constructor(token: string) {
    super(`ELOOP: too many symbolic links encountered, open '/sessions/${token}.json'`, {
      cause: new Error(`GET /sessions/${encodeURIComponent(token)}`),
    })
    this.path = `/sessions/${token}.json`
    this.command = { name: 'get', args: [`sess:${token}`], answers: { [token]: null } }
    // As drivers do that tell of a retry.
    ;(this.cause as Error).cause = this
  }
}

/** What a store fails with, once it is told to. */
class FailingStore extends session.MemoryStore {
  failWith: ((token: string) => unknown) | undefined

  override get(...[token, callback]: Parameters<session.MemoryStore['get']>): void {
    if (this.failWith) setImmediate(callback, this.failWith(token))
    else super.get(token, callback)
  }
}

interface Failing {
  readonly store: ExpressSessionStore
  /** Makes it fail for each session that it has. */
  fail(): unknown
}

const stores: Record<string, () => Promise<Failing>> = {
  'a store of the app': async () => {
    const store = new FailingStore()
    return { store, fail: () => (store.failWith = (token) => new DriverError(token)) }
  },
  'session-file-store': async () => {
    const path = await mkdtemp(join(tmpdir(), 'coatcheck-files-'))
    onTestFinished(() => rm(path, { recursive: true, force: true }))
    const make = require('session-file-store') as (
      session: SessionModule,
    ) => new (options: object) => StoreObject
    const Store = make(require('coatcheck/express') as SessionModule)
    const store = new Store({ path, ttl: 600, retries: 0, reapInterval: -1, logFn: () => undefined })
    const fail = async () => {
      for (const name of await readdir(path)) {
        await rm(join(path, name))
        await symlink(name, join(path, name))
      }
    }
    return { store: store as unknown as ExpressSessionStore, fail }
  },
}

describe.each(Object.entries(stores))('%s whose errors name the session', (_name, open) => {
  test('shows its token to nobody: not in an answer, an error or a warning', async () => {
    const { store, fail } = await open()
    const warnings: unknown[] = []
    const note = (warning: unknown): void => void warnings.push(warning)
    process.on('warning', note)
    onTestFinished(() => void process.off('warning', note))
    const visit = await serve(store)
    const visitors = await Promise.all(Array.from({ length: 8 }, () => visit('')))
    await fail()
    const answers = []
    for (const { cookie } of visitors) answers.push(await visit(cookie))
    await new Promise((resolve) => setImmediate(resolve)) // warnings come in a turn of their own

    const told = [...answers.map(({ body }) => body), inspect(warnings, { depth: 10, showHidden: true })]
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503))
    expect(told[0]).toContain('ELOOP')
    expect(told[0]).toContain('….json')
    expect(told.at(-1)).toContain('ELOOP')
    for (const { token } of visitors) {
      for (const what of told) expect(what).not.toContain(token)
    }
  })

  test('has no token in its events either', async () => {
    const { store, fail } = await open()
    const sessions = createSessions({ store: new ForeignStore(store), secret, sweep: false })
    const events: unknown[] = []
    sessions.on('storeError', (error) => events.push(error))
    const tokens = []
    for (let visitor = 0; visitor < 8; visitor++) {
      const work = sessions.begin()
      Object.assign(work.session!, { visitor })
      await work.commit()
      tokens.push(work.id)
    }
    await fail()
    for (const token of tokens) {
      await expect(sessions.load(token)).rejects.toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    }
    const told = inspect(events, { depth: 10, showHidden: true })
    expect(told).toContain('ELOOP')
    for (const token of tokens) expect(told).not.toContain(token)
  })
})

describe('an error of the app’s store', () => {
  const token = 'a/token'
  const errorOf = async (failure: unknown): Promise<unknown> => {
    const store = new FailingStore()
    store.failWith = () => failure
    return new ForeignStore(store).find([token as SessionId]).catch((error: unknown) => error)
  }

  test('that does not name the token is passed on as it is', async () => {
    const failure = new DriverError('of another')
    expect(await errorOf(failure)).toBe(failure)
  })

  test('that does is another one of its class, with all that it says but the token', async () => {
    const failure = new DriverError(token)
    const error = (await errorOf(failure)) as DriverError & { cause: Error }
    expect(error).toBeInstanceOf(DriverError)
    const printed = (what: Error): string => inspect(what, { compact: false })
    expect(printed(error)).toBe(printed(failure).replaceAll(token, '…').replaceAll('a%2Ftoken', '…'))
    expect(error).toMatchObject({
      code: 'ELOOP',
      path: '/sessions/….json',
      command: { args: ['sess:…'], answers: { '…': null } },
      cause: { message: 'GET /sessions/…', cause: error },
    })
    expect(failure.path).toContain(token)
  })

  test.each([
    ['a text', `no ${token}`, 'no …'],
    ['an object', { code: 5, key: token }, { code: 5, key: '…' }],
    ['several at once', new AggregateError([new Error(token)]), { errors: [{ message: '…' }] }],
  ])('that is %s names the token no more either', async (_what, failure, expected) => {
    const error = await errorOf(failure)
    expect({ error }).toMatchObject({ error: expected })
    expect(inspect(error)).not.toContain(token)
  })
})

/** @returns visits with a cookie, or none, to an app that shows its errors */
async function serve(store: ExpressSessionStore) {
  const handle = session({ store, secret, resave: false, saveUninitialized: true })
  const server = createServer((request, response) => {
    handle(request, response, (error) => {
      const { status = 500 } = (error ?? { status: 200 }) as { status?: number }
      response.writeHead(status).end(inspect(error, { depth: 10, showHidden: true }))
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return async (cookie: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
    const [set = cookie] = response.headers.getSetCookie()
    const token = /s:(.*)\./.exec(decodeURIComponent(set))?.[1] ?? ''
    return { status: response.status, body: await response.text(), cookie: set.split(';', 1)[0]!, token }
  }
}
