import { createSessions, MemoryStore, type Sessions } from 'coatcheck'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'
import { MySQLStore } from 'coatcheck/mysql'
import { SQLiteStore } from 'coatcheck/sqlite'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { incumbent } from '../express-session/incumbent.ts'

const secret = 'a secret of the tests alone, of some length'
const store = new MemoryStore()
const sessions = createSessions({ store, secret, sweep: false })
const oldStore = new session.MemoryStore()

/** What `call` throws at start-up. */
function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

function refusal(message: RegExp): object {
  return { code: 'ERR_SESSION_OPTION', message: expect.stringMatching(message) as string }
}

/** A program in JavaScript may pass anything. */
const call = (f: unknown, ...args: unknown[]): unknown => (f as (...args: unknown[]) => unknown)(...args)

const both = /session\(createSessions\(\{ store, secret \}\)\).*session\(\{ store, secret \}\)/

describe('session() says what to write when it is given', () => {
  test.each<[string, unknown, RegExp]>([
    ['a store', store, /given a store/],
    ["a store of express-session's kind", oldStore, /given a store/],
    ["a store of express-session's own", new incumbent.MemoryStore(), /given a store/],
    ['createSessions itself', createSessions, /given a function/],
    ['a promise of sessions', Promise.resolve(sessions), /given a promise/],
    ['a secret', secret, /given a text/],
    ['a list', [store, secret], /given an array/],
    ['a Map', new Map([['secret', secret]]), /given a Map/],
    ['a Date', new Date(), /given a Date/],
    ['sessions of another copy of this package', { loadAs() {} }, /given sessions.*another copy/],
  ])('%s', (_name, given, what) => {
    const error = thrownBy(() => call(session, given))
    expect(error).toMatchObject(refusal(what))
    expect(error).toMatchObject(refusal(both))
    expect((error as Error).message).not.toContain(secret)
  })

  test.each(['sites', 'csrf', 'sessionsPerUser', 'rotationGrace', 'merge', 'codec', 'sweep', 'storeLimits'])(
    'the option %s, which createSessions alone has',
    (name) => {
      const error = thrownBy(() => call(session, { store, secret, [name]: {} }))
      expect(error).toMatchObject(refusal(new RegExp(`${name}.*session\\(createSessions\\(`)))
    },
  )

  test('several such options, all at once', () => {
    const error = thrownBy(() => call(session, { sites: [], csrf: {} }))
    expect(error).toMatchObject(
      refusal(/sites, csrf; .*createSessions\(\{ store, secret, sites, csrf \}\).* leave them out/),
    )
  })

  test('sessions within an object', () => {
    const error = thrownBy(() => call(session, { sessions, secret }))
    expect(error).toMatchObject(refusal(/its "sessions"\. Write session\(sessions\)/))
  })

  test.each<[string, unknown, RegExp]>([
    ['the class of a store', MemoryStore, /store is a function.*new/],
    ['a promise of a store', Promise.resolve(store), /store is a promise.*await/],
    ['sessions', sessions, /store is sessions/],
    ['a URL', 'mysql://app:hunter2@localhost/shop', /store is a text/],
  ])('%s as the store', (_name, given, message) => {
    for (const make of [
      () => call(session, { store: given, secret }),
      () => call(createSessions, { store: given, secret }),
    ]) {
      const error = thrownBy(make)
      expect(error).toMatchObject(refusal(message))
      expect((error as Error).message).not.toContain('hunter2')
    }
  })
})

test.each<[string, unknown]>([
  ['a number', 5],
  ['null', null],
  ['a Map', new Map()],
  ['a function', () => true],
])('session(sessions, options) says what it takes when it is given %s for options', (what, given) => {
  const error = thrownBy(() => call(session, sessions, given))
  expect(error).toMatchObject(refusal(new RegExp(`session was given ${what}.*skip, whenUnavailable, proxy`)))
})

describe('createSessions() says what to write when it is given', () => {
  test.each<[string, unknown, RegExp]>([
    ['a store', store, /given a store/],
    ['nothing', undefined, /given nothing/],
    ['sessions', sessions, /given sessions/],
    ['a URL', 'mysql://app:hunter2@localhost/shop', /given a text/],
  ])('%s', (_name, given, what) => {
    const error = thrownBy(() => call(createSessions, given))
    expect(error).toMatchObject(refusal(what))
    expect(error).toMatchObject(refusal(/createSessions\(\{ store, secret \}\)/))
    expect((error as Error).message).not.toContain('hunter2')
  })

  test("a store of express-session's kind", () => {
    const error = thrownBy(() => call(createSessions, { store: oldStore, secret }))
    expect(error).toMatchObject(
      refusal(/express-session's kind.*session\(\{ store, secret \}\).*coatcheck\/express/),
    )
  })
})

describe('cors() says what to write when it is given', () => {
  test.each<[string, unknown, RegExp]>([
    ['a store', store, /given a store/],
    ["a store of express-session's kind", oldStore, /given a store/],
    ['createSessions itself', createSessions, /given createSessions itself/],
    ['sessions of another copy of this package', { loadAs() {} }, /given sessions/],
  ])('%s', (_name, given, what) => {
    const error = thrownBy(() => call(cors, given))
    expect(error).toMatchObject(refusal(what))
    expect(error).toMatchObject(refusal(/object of options, like \{ origin:.*cors\(sessions\)/))
  })
})

describe('a store says at start-up what to write when it is given', () => {
  test.each<[string, unknown]>([
    ['nothing, as of an unset environment variable', undefined],
    ['null', null],
    ['an empty text', ''],
    ['options', { filename: 'sessions.db' }],
    ['a promise', Promise.resolve('sessions.db')],
    ['a number', 1],
  ])('SQLiteStore, %s in place of a path', (_name, given) => {
    expect(thrownBy(() => new SQLiteStore(given as string))).toMatchObject(
      refusal(/path of a file.*sessions\.db/),
    )
  })

  test.each<[string, unknown]>([
    ['nothing, as of an unset environment variable', undefined],
    ['null', null],
    ['an empty text', ''],
    ['a number', 1],
    ['a promise', Promise.resolve('mysql://localhost/shop')],
  ])('MySQLStore, %s in place of a URL', (_name, given) => {
    expect(thrownBy(() => new MySQLStore(given as string))).toMatchObject(refusal(/mysql:\/\/|pool/))
  })

  test.each<[string, unknown]>([
    ['a text', 'sessions.db'],
    ['a number', 1],
    ['null', null],
  ])('MemoryStore, SQLiteStore and MySQLStore, %s in place of options', (_name, given) => {
    for (const make of [
      () => new MemoryStore(given as object),
      () => new SQLiteStore(':memory:', given as object),
      () => new MySQLStore('mysql://localhost/shop', given as object),
    ]) {
      expect(thrownBy(make)).toMatchObject({ code: 'ERR_SESSION_OPTION' })
    }
  })
})

describe('what is made of session() says what to write when', () => {
  test('express-mysql-session is given options in place of session()', () => {
    const error = thrownBy(() => call(expressMySQLSession, { host: 'localhost' }))
    expect(error).toMatchObject(refusal(/expressMySQLSession\(session\).*new MySQLStore\(options\)/))
    expect(thrownBy(() => call(expressMySQLSession))).toMatchObject(refusal(/expressMySQLSession\(session\)/))
  })

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ["a store of express-session's kind", oldStore],
    ['the class of a store', MemoryStore],
  ])('ExpressStore is given %s', (_name, given) => {
    const error = thrownBy(() => new session.ExpressStore(given as MemoryStore))
    expect(error).toMatchObject(refusal(/store/))
  })
})

test('session(undefined) is taken, as express-session takes it, with a warning; without req.secret each request fails', () => {
  const warned = watchWarnings()
  const failures = [incumbent, session].map((make) => {
    const next = vi.fn<(error: Error) => void>()
    call(call(make, undefined), { headers: {}, url: '/' }, {}, next)
    return next.mock.calls[0]?.[0].message
  })
  expect(failures).toEqual(Array(2).fill('secret option required for sessions'))
  expect(warned).toHaveBeenCalledWith(expect.stringMatching(both), { code: 'COATCHECK_SECRET' })
})

function watchWarnings() {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  onTestFinished(() => warned.mockRestore())
  return warned
}

describe('session(options) with nothing but what createSessions takes too', () => {
  const otherForm = /form of express-session.*session\(createSessions\(\{ store, secret \}\)\).*resave: false/

  test.each<[string, object]>([
    ['an option of express-session', { resave: false }],
    ['the attributes of the cookie', { cookie: {} }],
    ['an attribute in the wrong place', { maxAge: 60_000 }],
    ["a store of express-session's kind", { store: oldStore }],
    [
      "a store in express-session's layout",
      { store: new MySQLStore('mysql://localhost/shop', { layout: 'express-mysql-session' }) },
    ],
  ])('is meant if it has %s: no warning', (_name, options) => {
    const warned = watchWarnings()
    call(session, { store, secret, ...options })
    const texts = warned.mock.calls.map(([text]) => text)
    expect(texts).not.toContainEqual(expect.stringMatching(otherForm))
  })

  // After the others: a message comes once in a process.
  test('works, and warns of the other form', () => {
    const warned = watchWarnings()
    expect(call(session, { store, secret, lifetime: { idle: '30m' } })).toBeTypeOf('function')
    expect(warned).toHaveBeenCalledWith(expect.stringMatching(otherForm), { code: 'COATCHECK_OPTION' })
  })
})

test('what can work is taken', async () => {
  const made: Sessions = createSessions({ store: new MemoryStore(), secret })
  for (const given of [made, { store, secret }, { store: oldStore, secret }, {}, undefined, null]) {
    expect(call(session, given)).toBeTypeOf('function')
  }
  await made.close()
})
