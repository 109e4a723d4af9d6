import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { inherits, isDeepStrictEqual } from 'node:util'
import { createPool as createCallbackPool } from 'mysql2'
import { createConnection, createPool, type Connection, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { freshDatabase, onEachServer } from '../servers/databases.ts'

// The same calls on express-mysql-session and on coatcheck/express-mysql-session, one by one, and what came of each: promises,
// callbacks, errors, and the rows that lie in the table afterwards.

const require = createRequire(import.meta.url)
const oneDay = 86_400
/** A moment that both sides are told, so that the second in the row must be the same one. */
const inAnHour = Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000

type Method = (...given: unknown[]) => Promise<unknown>
/** The store, as an app without types has it. */
type StoreObject = Record<
  | 'onReady' | 'get' | 'set' | 'touch' | 'destroy' | 'all' | 'length' | 'clear' | 'close' | 'query' | 'createDatabaseTable'
  | 'setOptions' | 'createPool' | 'setExpirationInterval' | 'clearExpirationInterval' | 'clearExpiredSessions',
  Method
> & { state: string; options: unknown; connection: unknown; createSession(request: object, data: unknown): object } // prettier-ignore
interface StoreClass {
  new (options?: object | null, connection?: unknown): StoreObject
  call(store: unknown, options?: object | null, connection?: unknown): void
  readonly prototype: StoreObject
}

const packages = {
  theirs: ['express-mysql-session', 'express-session'],
  ours: ['coatcheck/express-mysql-session', 'coatcheck/express'],
} as const

/** One of the two packages, and the store under test on a database of its own. */
class Side {
  readonly MySQLStore: StoreClass
  readonly session: { readonly Store: new () => object }
  readonly url: string
  readonly isOurs: boolean
  readonly store: StoreObject
  readonly database: Connection

  constructor(name: keyof typeof packages, url: string, database: Connection) {
    const [store, session] = packages[name]
    this.session = require(session) as Side['session']
    this.MySQLStore = (require(store) as (session: unknown) => StoreClass)(this.session)
    this.url = url
    this.isOurs = name === 'ours'
    this.database = database
    this.store = new this.MySQLStore(this.where)
  }

  get where(): object {
    const { hostname, port, username, password, pathname } = new URL(this.url)
    return { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
  }

  /** Another store, closed after the test. */
  make(options?: object | null, connection?: unknown): StoreObject {
    const store = new this.MySQLStore(connection ? options : { ...this.where, ...options }, connection)
    onTestFinished(async () => void (await store.close().catch(() => undefined)))
    return store
  }

  async sql(text: string, values: unknown[] = []): Promise<RowDataPacket[]> {
    return (await this.database.query<RowDataPacket[]>(text, values))[0]
  }

  /** What lies in the table. An expiry that is a day from now is told as that: the two sides were asked a moment apart. */
  async rows(): Promise<unknown[]> {
    const rows = await this.sql(
      'SELECT session_id AS id, data, expires, CAST(expires AS SIGNED) - UNIX_TIMESTAMP() AS left_over FROM sessions ORDER BY 1',
    )
    return rows.map(({ id, data, expires, left_over }) => {
      const near = (seconds: number) => Math.abs(Number(left_over) - seconds) <= 5
      const lasts = near(oneDay) ? 'a day' : near(0) ? 'now' : (expires as number)
      return [id, shortened(data), lasts] as const
    })
  }

  async empty(): Promise<void> {
    await this.sql('DELETE FROM sessions')
  }
}

/** What is long or deep, by its hash. */
function shortened(value: unknown): unknown {
  const json = JSON.stringify(value) ?? ''
  return json.length > 5_000 ? hash('sha256', json) : value
}

/** What came of a call: its value, or the error of the driver, or what kind of error JavaScript has for it. */
async function outcome(act: () => unknown): Promise<unknown> {
  try {
    return told(await act())
  } catch (error) {
    return failure(error)
  }
}

/** What the server says there, of a statement that is not even sent here. */
const refusedByServer: Readonly<Record<string, string>> = {
  ERR_SESSION_DATA: 'ER_BAD_FIELD_ERROR', // a cookie.expires that is no moment
  ERR_SESSION_OPTION: 'ER_DATA_TOO_LONG', // an id that is too long
}

/** Ours carry the driver's error as their cause. */
function failure(error: unknown): unknown {
  const { cause } = error as { cause?: unknown }
  const { code, name } = (cause ?? error) as { code?: string; name: string }
  return `fails: ${(code && refusedByServer[code]) ?? code ?? name}`
}

/** As it is, but for what depends on the driver's version. */
function told(value: unknown): unknown {
  if (!Array.isArray(value) || !isHeader(value[0])) return shortened(value)
  const { affectedRows, insertId, warningStatus } = value[0]
  return [{ affectedRows, insertId, warningStatus }, ...(value.slice(1) as unknown[])]
}

function isHeader(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && 'affectedRows' in value
}

/** All that a call of a method makes: what it calls back with, each time, and what its promise comes to. */
async function called(act: (callback: (...given: unknown[]) => unknown) => unknown): Promise<unknown[]> {
  const calls: unknown[] = []
  const value = await outcome(() =>
    act((...given) => {
      calls.push(given.map((one) => (one instanceof Error ? failure(one) : told(one))))
      return 'what the callback gave'
    }),
  )
  return [...calls, value]
}

type Script = (store: StoreObject, side: Side) => Promise<unknown>
/** Deliberately otherwise here: what comes of it on both sides. Told in docs/migrating.md. */
interface Difference {
  readonly theirs: unknown
  readonly ours: unknown
}

const soFar = { cases: 0 }

onEachServer('the calls of express-mysql-session', ({ server }) => {
  let both: Side[]

  beforeAll(async () => {
    both = await Promise.all(
      (['theirs', 'ours'] as const).map(async (name) => {
        const url = await freshDatabase(server)
        const side = new Side(name, url, await createConnection({ uri: url, timezone: 'Z' }))
        await side.store.onReady()
        return side
      }),
    )
  })

  afterAll(async () => {
    await Promise.all(both.flatMap(({ store, database }) => [store.close(), database.end()]))
  })

  /** Runs each script on both sides, on an empty table, and compares what came of it and what lies there. */
  function sameOf(subject: string, scripts: Readonly<Record<string, Script>>, differences: Readonly<Record<string, Difference>> = {}): void {
    const names = Object.keys(scripts)
    soFar.cases += names.length
    test(`${subject}: ${names.length} cases`, async () => {
      const seen = { theirs: {} as Record<string, unknown>, ours: {} as Record<string, unknown> }
      for (const side of both) {
        const kept = seen[side.isOurs ? 'ours' : 'theirs']
        for (const name of names) {
          await side.empty()
          const came = await outcome(() => scripts[name]!(side.store, side))
          kept[name] = { came, rows: await side.rows() }
        }
      }
      for (const [name, { theirs, ours }] of Object.entries(differences)) {
        expect(seen.theirs[name], `${name}: theirs`).toMatchObject(theirs as object)
        expect(seen.ours[name], `${name}: ours`).toMatchObject(ours as object)
        expect(seen.ours[name], `${name} is no difference any more`).not.toEqual(seen.theirs[name])
        delete seen.theirs[name]
        delete seen.ours[name]
      }
      // Only what differs: a whole subject would be a hundred pages.
      const differing = names.filter((name) => !isDeepStrictEqual(seen.ours[name], seen.theirs[name]))
      const of = (side: Record<string, unknown>) => Object.fromEntries(differing.map((name) => [name, side[name]]))
      expect(of(seen.ours)).toEqual(of(seen.theirs))
      expect(differing).toEqual([])
    })
  }

  const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: '/' }
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  const nested = (levels: number): unknown => JSON.parse('{"a":'.repeat(levels) + '1' + '}'.repeat(levels))

  const values: Record<string, unknown> = {
    'an object with a cookie': { cookie, user: 'ada' },
    'an object without one': { user: 'ada' },
    'an empty object': {},
    'a cookie that is null': { cookie: null, user: 'ada' },
    'a cookie that is a text': { cookie: 'sugar' },
    'a cookie that is an array': { cookie: [] },
    'an array': [1, 'two', { three: 3 }],
    'an empty array': [],
    'a text': 'some text',
    'an empty text': '',
    'a number': 5,
    zero: 0,
    NaN: NaN,
    true: true,
    false: false,
    null: null,
    undefined: undefined,
    'a Date': new Date(inAnHour),
    'a Date within': { at: new Date(inAnHour) },
    'a Map': new Map([['a', 1]]),
    bytes: Buffer.from('abc'),
    'an object with toJSON': { toJSON: () => ({ made: 'here' }) },
    'an object whose toJSON gives nothing': { toJSON: () => undefined },
    'a BigInt': { n: 1n },
    'a cycle': cyclic,
    'members that are undefined or functions': { a: undefined, b: () => 1, c: Symbol('c'), d: [undefined] },
    'Infinity within': { n: Infinity },
    'a name of Object.prototype': { constructor: 1, toString: 2, hasOwnProperty: 3 },
    'its own __proto__': JSON.parse('{"__proto__":{"admin":true},"a":1}') as unknown,
    'a number that is too large for a double': { n: 1e308 },
    'names that are numbers': { 10: 'a', 9: 'b', b: 1, a: 2 },
    'quotes, backslashes and line ends': { t: `'"\\\n\r\t\0\u001a\u2028%_;--` },
    'other scripts and emoji': { t: 'Zoë 🧥 漢字 ة' },
    'half a surrogate pair': { t: '\ud83e' },
    '200 KB': { t: 'x'.repeat(200_000) },
    '1,500 levels': nested(1_500),
    'a coatcheck of its own': { cookie, coatcheck: 'a coat' },
    'what looks like a keepsake': { cookie, coatcheck: { userId: 'ada', publicId: 'p', createdAt: 5 } },
    'a marker of SQL': { t: '? ?? :name ${a}' },
    'a name as userId, publicId and id': { userId: 1, publicId: 2, id: 3, req: 4, save: 5 },
  }

  const readBack: Script = async (store, side) => [
    await outcome(() => store.get('id')),
    await outcome(() => store.all()),
    await store.length(),
    Object.getPrototypeOf(await store.all()) === Object.prototype,
    (await side.rows()).length,
  ]

  sameOf(
    '`set` of anything, read back',
    Object.fromEntries(
      Object.entries(values).map(([name, value]): [string, Script] => [
        name,
        async (store, side) => [
          await outcome(() => store.set('id', value)),
          await readBack(store, side),
          await outcome(() => store.set('id', { was: 'replaced' })),
          await outcome(() => store.set('id', value)),
          await readBack(store, side),
        ],
      ]),
    ),
  )

  sameOf(
    '`set` of anything, with a callback, read back with one',
    Object.fromEntries(
      Object.entries(values).map(([name, value]): [string, Script] => [
        name,
        async (store) => [
          await called((done) => store.set('id', value, done)),
          await called((done) => store.get('id', done)),
          await called((done) => store.all(done)),
          await called((done) => store.touch('id', value, done)),
          await called((done) => store.destroy('id', done)),
        ],
      ]),
    ),
  )

  const moments: Record<string, unknown> = {
    'a Date': new Date(inAnHour),
    'a Date with milliseconds': new Date(inAnHour + 499),
    'a Date with more of them': new Date(inAnHour + 500),
    'its text': new Date(inAnHour).toISOString(),
    'another form of text': new Date(inAnHour).toUTCString(),
    'a number': inAnHour + 7_000,
    'a number as text': String(inAnHour),
    'long ago': new Date(1_000_000_000_000),
    'a number long ago': 1_000_000_000_000,
    'the year 2100': new Date('2100-01-01'),
    'the year 2200': new Date('2200-01-01'),
    'before 1970': new Date(-1_000_000),
    'no moment': new Date(NaN),
    'a text that is no moment': 'tomorrow',
    'an empty text': '',
    zero: 0,
    null: null,
    false: false,
    true: true,
    undefined: undefined,
    'an object': {},
    'an object that is a number': { valueOf: () => inAnHour + 9_000 },
    NaN: NaN,
  }
  const cookies: Record<string, (moment: unknown) => object> = {
    expires: (expires) => ({ ...cookie, expires }),
    _expires: (_expires) => ({ httpOnly: true, path: '/', _expires }),
    'expires beside an originalMaxAge': (expires) => ({ ...cookie, originalMaxAge: 600_000, expires }),
    'expires beside a _expires': (expires) => ({ expires, _expires: new Date(inAnHour + 60_000) }),
    'maxAge alone': (maxAge) => ({ maxAge, originalMaxAge: maxAge }),
  }

  const expiries = Object.entries(cookies).flatMap(([field, make]) =>
    Object.entries(moments).map(([moment, value]) => [`${field}: ${moment}`, () => make(value)] as const),
  )
  sameOf(
    'the expiry that `set` stores',
    Object.fromEntries(
      expiries.map(([name, make]): [string, Script] => [
        name,
        async (store) => [
          await outcome(() => store.set('id', { cookie: make(), n: 1 })),
          (await outcome(() => store.get('id'))) !== null,
          await store.length(),
        ],
      ]),
    ),
  )
  sameOf(
    'the expiry that `touch` stores',
    Object.fromEntries(
      expiries.map(([name, make]): [string, Script] => [
        name,
        async (store) => {
          await store.set('id', { cookie: { expires: new Date(inAnHour + 1_800_000) }, n: 1 })
          return [
            await outcome(() => store.touch('id', { cookie: make(), n: 2 })),
            (await outcome(() => store.get('id'))) !== null,
          ]
        },
      ]),
    ),
  )
  sameOf(
    'the expiry of an object that was read and is set again',
    Object.fromEntries(
      expiries.map(([name, make]): [string, Script] => [
        name,
        async (store) => {
          await store.set('id', { cookie: { ...cookie, originalMaxAge: 1_800_000, expires: new Date(inAnHour + 1_800_000) }, n: 1 })
          const read = (await store.get('id')) as { cookie: object }
          Object.assign(read.cookie, make())
          return [await outcome(() => store.set('id', read)), await outcome(() => store.touch('id', read))]
        },
      ]),
    ),
  )

  type Read = Record<string, unknown>
  sameOf('what an app does with a session that it has read', {
    'sets it again after it was destroyed': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await store.destroy('id')
      return [await store.set('id', read).then(told), await store.get('id')]
    },
    'sets it again after all were cleared': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await store.clear()
      await store.set('id', read)
      return store.get('id')
    },
    'sets it again after its row was removed by others': async (store, side) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await side.empty()
      await store.set('id', read)
      return store.get('id')
    },
    'sets it again after it expired': async (store, side) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await side.sql('UPDATE sessions SET expires = 5')
      return [await store.get('id'), await store.set('id', read).then(told), await store.get('id')]
    },
    'sets an object that it has set before, after it was destroyed': async (store) => {
      const mine: Read = { cookie, n: 1 }
      await store.set('id', mine)
      await store.destroy('id')
      mine['n'] = 2
      await store.set('id', mine)
      return store.get('id')
    },
    'sets it under another id': async (store) => {
      await store.set('id', { cookie, n: 1 })
      await store.set('other', await store.get('id'))
      return store.all()
    },
    'sets what `all` gave': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const all = (await store.all()) as Record<string, Read>
      all['id']!['n'] = 2
      await store.set('id', all['id'])
      return store.all()
    },
    'reads it twice and sets both': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const [one, other] = [(await store.get('id')) as Read, (await store.get('id')) as Read]
      one['one'] = true
      other['other'] = true
      await store.set('id', one)
      await store.set('id', other)
      return store.get('id')
    },
    'sets what another has changed since': async (store, side) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await side.sql(`UPDATE sessions SET data = '{"n":2}'`)
      await store.set('id', read)
      return store.get('id')
    },
    'takes its cookie away': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const { cookie: _, ...rest } = (await store.get('id')) as Read
      await store.set('id', rest)
      return store.get('id')
    },
    'touches it after it was destroyed': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const read = await store.get('id')
      await store.destroy('id')
      return [await store.touch('id', read).then(told), await store.get('id')]
    },
    'touches it with a shorter life': async (store) => {
      await store.set('id', { cookie: { expires: new Date(inAnHour + 60_000) } })
      return store.touch('id', { cookie: { expires: new Date(inAnHour) } }).then(told)
    },
    'touches it after it expired': async (store, side) => {
      await store.set('id', { cookie, n: 1 })
      await side.sql('UPDATE sessions SET expires = 5')
      return [await store.touch('id', { cookie }).then(told), await store.get('id')]
    },
    'changes the data and touches it': async (store) => {
      await store.set('id', { cookie, n: 1 })
      await store.touch('id', { cookie, n: 2 })
      return store.get('id')
    },
    'gives it a new maxAge and touches it': async (store) => {
      await store.set('id', { cookie, n: 1 })
      const read = (await store.get('id')) as { cookie: Read; n: number }
      Object.assign(read.cookie, { originalMaxAge: 60_000, expires: new Date(inAnHour) })
      read.n = 2
      await store.touch('id', read)
      return store.get('id')
    },
    'sets twenty at once': async (store) => {
      await Promise.all(Array.from({ length: 20 }, (_, n) => store.set(`id ${n}`, { n })))
      return [await store.length(), await store.all()]
    },
    'sets one twenty times, one after the other': async (store) => {
      for (let n = 0; n < 20; n++) await store.set('id', { n })
      return [await store.length(), await store.all()]
    },
  })

  const ids: Record<string, unknown> = {
    'of the usual kind': 'Xz-_09'.repeat(5),
    'with quotes and backslashes': `'"\\\``,
    'with a slash, a question mark and a percent sign': '/a?b%20c',
    'in other scripts': 'Zoë-漢字-🧥',
    '__proto__': '__proto__',
    constructor: 'constructor',
    'a text that is a number': '42',
    'of 128 characters': 'x'.repeat(128),
    'of 129 characters': 'x'.repeat(129),
    'an empty text': '',
    'with a space at its beginning': ' id',
    'that differs in case': 'ID',
    undefined: undefined,
    null: null,
  }
  sameOf(
    'ids',
    Object.fromEntries(
      Object.entries(ids).map(([name, id]): [string, Script] => [
        name,
        async (store) => {
          await store.set('id', { other: true })
          return [
            await called((done) => store.set(id, { n: 1 }, done)),
            await called((done) => store.get(id, done)),
            Object.entries((await store.all()) as object).sort(),
            await called((done) => store.touch(id, { n: 2 }, done)),
            await called((done) => store.destroy(id, done)),
            await called((done) => store.length(done)),
          ]
        },
      ]),
    ),
  )
  sameOf(
    'an id that is a number',
    {
      // There, the database compares each id of the table with the number.
      'is touched beside one that is a text': async (store) => {
        await store.set('id', { n: 1 })
        return called((done) => store.touch(42, { n: 1 }, done))
      },
    },
    {
      'is touched beside one that is a text': {
        theirs: { came: [['fails: ER_TRUNCATED_WRONG_VALUE'], 'what the callback gave'] },
        ours: { came: [[null, [{ affectedRows: 0 }, undefined]], 'what the callback gave'] },
      },
    },
  )

  const live = 'UNIX_TIMESTAMP() + 86400'
  /** Rows that others have written: an expiry and a text, by id. */
  const rows: Record<string, [expires: string, data: string | null][]> = {
    'no row': [],
    'one that lives and one that has expired': [[live, '{"n":1}'], ['UNIX_TIMESTAMP() - 60', '{"n":2}']],
    'one that expired two seconds ago': [['UNIX_TIMESTAMP() - 2', '{"n":1}']],
    'one that expires in three seconds': [['UNIX_TIMESTAMP() + 3', '{"n":1}']],
    'no JSON among others': [[live, '{"n":1}'], [live, '{"n":'], [live, 'null'], [live, '[1]']],
    'no text': [[live, null]],
    'all kinds of JSON': [[live, '5'], [live, 'true'], [live, '"text"'], [live, ' {"a": 1}\n'], [live, '{"a":1,"a":2}']],
    'a number too large for a double': [[live, '{"n":1e999}']],
    'a mark at the beginning': [[live, '\ufeff{"n":1}']],
    'the end of time': [['4294967295', '{"n":1}']],
    'its beginning': [['0', '{"n":1}']],
    'what coatcheck keeps of a user': [[live, '{"n":1,"coatcheck":{"userId":"ada","publicId":"p","createdAt":5}}']],
    'twelve hundred': Array.from({ length: 1_200 }, (_, n) => [n % 2 ? live : '5', `{"n":${n}}`]),
  } // prettier-ignore
  const isJSON = (data: string | null) => data === null || !/^\ufeff|:$/.test(data)
  sameOf(
    'rows that others have written',
    Object.fromEntries(
      Object.entries(rows).map(([name, written]): [string, Script] => [
        name,
        async (store, side) => {
          const seen = []
          for (const [n, [expires, data]] of written.entries()) {
            await side.sql(`INSERT INTO sessions VALUES (?, ${expires}, ?)`, [`id ${n}`, data])
            if (n < 5 && isJSON(data)) seen.push(await called((done) => store.get(`id ${n}`, done)))
          }
          seen.push(await called((done) => store.all(done)), await called((done) => store.length(done)))
          return [...seen, await store.clearExpiredSessions().then(() => store.length())]
        },
      ]),
    ),
  )
  const signedOut: Difference = {
    theirs: { came: [['fails: SyntaxError'], 'what the callback gave'] },
    ours: { came: [[null, null], 'what the callback gave'] },
  }
  sameOf(
    'a corrupt row is signed out',
    Object.fromEntries(
      ['{"n":', '\ufeff{"n":1}', 'undefined', ''].map((data): [string, Script] => [
        `row ${data}`,
        async (store, side) => {
          await side.sql(`INSERT INTO sessions VALUES ('id', ${live}, ?)`, [data])
          return called((done) => store.get('id', done))
        },
      ]),
    ),
    Object.fromEntries(['{"n":', '\ufeff{"n":1}', 'undefined', ''].map((data) => [`row ${data}`, signedOut])),
  )

  sameOf('callbacks', {
    'after other arguments': async (store) => [
      await called((done) => store.set('id', { n: 1 }, 'more', done)),
      await called((done) => store.get('id', undefined, done)),
      await called((done) => store.all({}, done)),
      await called((done) => store.length(1, 2, done)),
      await called((done) => store.clear('all', done)),
      await called((done) => store.destroy('id', null, done)),
    ],
    'that are none': async (store) => [
      await outcome(() => store.set('id', { n: 1 }, 'more')),
      await outcome(() => store.get('id', null)),
      await outcome(() => store.destroy('id', {})),
    ],
    'in place of what they follow': async (store) => [
      await called((done) => store.get(done)),
      await called((done) => store.destroy(done)),
      await called((done) => store.set(done)),
      await called((done) => store.set('id', done)),
      await called((done) => store.touch('id', done)),
    ],
    'that throw once': async (store) => {
      const calls: unknown[] = []
      const value = await store.get('id', (...given: unknown[]) => {
        calls.push(given.map((one) => (one instanceof Error ? one.message : one)))
        if (calls.length === 1) throw new Error('of the callback')
        return 'in the end'
      })
      return [calls, value]
    },
    'that throw each time': async (store) => {
      let calls = 0
      return [
        await store
          .set('id', { n: 1 }, () => {
            calls++
            throw new Error(`of call ${calls}`)
          })
          .catch((error: Error) => error.message),
        calls,
      ]
    },
    'that return a promise': async (store) => store.get('id', () => Promise.resolve('later')),
    'data that is changed in the same turn': async (store) => {
      const data = { n: 1 }
      const stored = store.set('id', data)
      data.n = 2
      await stored
      return store.get('id')
    },
    'each method, of nothing': async (store) => {
      const seen = []
      for (const name of ['get', 'set', 'touch', 'destroy', 'all', 'length', 'clear'] as const) {
        seen.push(await called((done) => store[name](done)), await outcome(() => store[name]()))
      }
      return seen
    },
    'each method, on a table that is gone': async (_store, side) => {
      const options = { createDatabaseTable: false, clearExpired: false, schema: { tableName: 'gone' } }
      const store = side.make(options)
      await store.onReady()
      const seen = []
      for (const name of ['get', 'set', 'touch', 'destroy', 'all', 'length', 'clear'] as const) {
        const given = name === 'get' || name === 'destroy' ? ['id'] : name === 'set' || name === 'touch' ? ['id', {}] : []
        seen.push(await called((done) => store[name](...given, done)), await outcome(() => store[name](...given)))
      }
      return seen
    },
    'query': async (store) => [
      (await store.query('SELECT ? AS one', [1]) as [unknown])[0],
      await outcome(() => store.query('SELECT * FROM none')),
      await outcome(() => store.query('INSERT INTO sessions VALUES (?, ?, ?)', ['id', 4_000_000_000, '{}'])),
    ],
  })

  const withoutTimer = { clearExpired: false }
  /** What an app sees of a store. */
  const face = (store: StoreObject) => [store.state, store.options, typeof store.connection]
  /** Of each pool, whether it still answers. */
  const answers = (pool: { query(sql: string): Promise<unknown> }) =>
    pool.query('SELECT 1').then(
      () => 'open',
      () => 'ended',
    )

  sameOf('how a store is made', {
    'by util.inherits and call': async (_store, side) => {
      function Own(this: StoreObject, options: object): void {
        side.MySQLStore.call(this, options)
      }
      inherits(Own, side.MySQLStore as never)
      ;(Own.prototype as { own: () => string }).own = () => 'a method of its own'
      const made = new (Own as unknown as new (options: object) => StoreObject & { own(): string })({
        ...side.where,
        ...withoutTimer,
      })
      const before = made.state
      await made.onReady()
      await made.set('id', { n: 1 })
      const seen = [before, made.state, made.own(), await made.get('id'), made instanceof side.session.Store]
      await made.close()
      return seen
    },
    'by a class that extends it': async (_store, side) => {
      const asked: string[] = []
      class Own extends side.MySQLStore {
        readonly get: Method = (...given) => {
          asked.push('get')
          return side.MySQLStore.prototype.get.call(this, ...given)
        }
        readonly setOptions: Method = undefined as never
      }
      delete (Own.prototype as Partial<StoreObject>).setOptions
      const own = new Own({ ...side.where, ...withoutTimer })
      await own.onReady()
      await own.set('id', { n: 1 })
      const seen = [await own.get('id'), own instanceof side.MySQLStore, own instanceof side.session.Store]
      await own.close()
      return [...seen, asked]
    },
    'with methods of its own in place of those that the constructor calls': async (_store, side) => {
      const asked: string[] = []
      class Own extends (side.MySQLStore as unknown as new (...given: unknown[]) => StoreObject) {}
      for (const name of ['setOptions', 'createPool', 'createDatabaseTable', 'setExpirationInterval', 'query'] as const) {
        const before = side.MySQLStore.prototype[name]
        Object.assign(Own.prototype, {
          [name](this: StoreObject, ...given: unknown[]) {
            asked.push(name)
            return before.call(this, ...given)
          },
        })
      }
      const own = new Own({ ...side.where, checkExpirationInterval: 1_000_000 })
      await own.onReady()
      await own.close()
      return [...new Set(asked)]
    },
    'with a pool, and null or nothing as its options': async (_store, side) => {
      const pool = createPool(side.url)
      const seen = []
      for (const options of [null, undefined, {}]) {
        const store = side.make(options, pool)
        await store.onReady()
        await store.set('id', { n: 1 })
        seen.push(await store.get('id'), face(store))
        await store.close()
      }
      await pool.end()
      return seen
    },
    'and what it is printed as': async (store) => [store.constructor.name, typeof (store as unknown as { on: unknown }).on],
    'and the names of its methods': async (_store, side) => {
      const internal = ['resolveReadyPromises', 'rejectReadyPromises', 'createSession']
      return Object.keys(side.MySQLStore.prototype)
        .filter((name) => !internal.includes(name))
        .sort()
    },
  })

  const optionSets: Record<string, object> = {
    none: {},
    'expiration and schema': { expiration: 5_000, schema: { tableName: 'visits' } },
    'one column': { schema: { columnNames: { data: 'what' } } },
    'no columns': { schema: { columnNames: {} } },
    'no schema': { schema: undefined },
    'what is not known': { colour: 'blue', reconnect: true },
    'all own options': {
      ...{ clearExpired: false, checkExpirationInterval: 5, expiration: 6, createDatabaseTable: false },
      ...{ endConnectionOnClose: false, disableTouch: true, charset: 'utf8', schema: { tableName: 'a' } },
    },
    'more in the schema': { schema: { tableName: 'a', comment: 'of ours' } },
    'undefined values': { expiration: undefined, clearExpired: undefined },
    'an unknown column': { schema: { columnNames: { sid: 'id' } } },
  }
  sameOf(
    '`setOptions` and `options`',
    Object.fromEntries(
      Object.entries(optionSets).flatMap(([name, options]): [string, Script][] => [
        [
          `with a pool that it makes: ${name}`,
          async (_store, side) => {
            const store = side.make(withoutTimer)
            await store.onReady()
            try {
              store.setOptions(options)
              return store.options
            } catch (error) {
              return (error as Error).message.slice(0, 60)
            }
          },
        ],
      ]),
    ),
  )

  const kinds = {
    'a pool with promises': (url: string) => createPool(url),
    'a pool with callbacks': (url: string) => createCallbackPool(url).promise(),
  }
  sameOf(
    '`close`',
    Object.fromEntries(
      [undefined, true, false].flatMap((endConnectionOnClose) =>
        Object.entries(kinds).map(([kind, open]): [string, Script] => [
          `endConnectionOnClose ${endConnectionOnClose} with ${kind}`,
          async (_store, side) => {
            const pool = open(side.url)
            const options = endConnectionOnClose === undefined ? {} : { endConnectionOnClose }
            const store = side.make({ ...withoutTimer, ...options }, pool)
            await store.onReady()
            const closed = await called((done) => store.close(done))
            const seen = [closed, store.state, await answers(pool), (await outcome(() => store.set('id', { n: 1 }))) !== null]
            const again = await outcome(() => store.close())
            const read = await outcome(() => store.get('id'))
            if ((await answers(pool)) === 'open') await pool.end()
            return [...seen, again, store.state, read === null || typeof read === 'string' ? 'nothing' : read]
          },
        ]),
      ),
    ),
  )

  sameOf(
    '`close` where it did nothing there, or failed',
    {
      'of a store that is starting': async (_store, side) => {
        const pool = createPool(side.url)
        const store = side.make({ ...withoutTimer, endConnectionOnClose: true }, pool)
        await store.close()
        const seen = await answers(pool)
        await outcome(() => store.onReady())
        if (seen === 'open') await pool.end()
        return seen
      },
      'with a pool with callbacks': async (_store, side) => {
        const pool = createCallbackPool(side.url)
        const store = side.make({ ...withoutTimer, endConnectionOnClose: true }, pool)
        await store.onReady()
        return outcome(() => store.close())
      },
    },
    {
      'of a store that is starting': { theirs: { came: 'open' }, ours: { came: 'ended' } },
      'with a pool with callbacks': { theirs: { came: 'fails: TypeError' }, ours: { came: undefined } },
    },
  )

  sameOf(
    'the sessions of requests',
    {
      'are saved with nothing but an error to hear of': async (store) => {
        const session = store.createSession({ sessionID: 'id', sessionStore: store }, { cookie: { ...cookie }, n: 1 })
        return called((done) => store.set('id', session, done))
      },
      'are removed once their cookies have ended': async (store) => {
        await store.set('id', { cookie, n: 1 })
        const data = (await store.get('id')) as { cookie: Read }
        const session = store.createSession({ sessionID: 'id', sessionStore: store }, data) as { cookie: Read }
        session.cookie['maxAge'] = -60_000
        await store.set('id', session)
        return [await store.get('id'), await store.length()]
      },
    },
    {
      'are saved with nothing but an error to hear of': {
        theirs: { came: [[null, [{ affectedRows: 1 }, undefined]], 'what the callback gave'] },
        ours: { came: [[null, undefined], 'what the callback gave'] },
      },
      'are removed once their cookies have ended': {
        theirs: { came: [null, 0], rows: [['id', expect.anything(), expect.anything()]] },
        ours: { came: [null, 0], rows: [] },
      },
    },
  )

  sameOf(
    'the clearing of expired sessions, as a promise',
    { 'tells nothing': async (store) => told(await store.clearExpiredSessions()) },
    {
      'tells nothing': { theirs: { came: [{ affectedRows: 0 }, undefined] }, ours: { came: undefined } },
    },
  )

  /** The package mysql, whose pools and connections tutorials hand in. On MySQL 9 it cannot sign in: then both sides say so. */
  const mysql = require('mysql') as Record<'createPool' | 'createConnection', (where: object) => OldConnection> & {
    createPoolCluster(): { add(where: object): void; of(pattern: string): OldConnection; end(): void }
  }
  interface OldConnection {
    end?(done: () => void): void
  }
  const oldKinds: Record<string, (where: object) => OldConnection> = {
    'a pool': (where) => mysql.createPool(where),
    'a connection': (where) => mysql.createConnection(where),
    'a part of a cluster': (where) => {
      const cluster = mysql.createPoolCluster()
      cluster.add(where)
      onTestFinished(() => cluster.end())
      return cluster.of('*')
    },
    'a pool that gives numbers as texts': (where) =>
      mysql.createPool({ ...where, supportBigNumbers: true, bigNumberStrings: true, dateStrings: true }),
    'a pool with a typeCast of its own': (where) =>
      mysql.createPool({ ...where, typeCast: (_field: unknown, next: () => unknown) => next() }),
    'a pool with another character set': (where) => mysql.createPool({ ...where, charset: 'utf8mb4' }),
  }
  const battery: Record<string, Script> = {
    'set, get, all, length': async (store) => {
      await store.set('id', { cookie, n: 1, text: 'Zoë' })
      await store.set('other', [1])
      return [await store.get('id'), await store.all(), Number(await store.length())]
    },
    'set again, touch, destroy, clear': async (store) => {
      await store.set('id', { n: 1 })
      await store.set('id', { n: 2 })
      await store.touch('id', { cookie: { expires: new Date(inAnHour) } })
      const seen = [await store.get('id')]
      await store.destroy('id')
      seen.push(await store.get('id'))
      await store.set('id', { n: 3 })
      await store.clear()
      return [...seen, await store.get('id')]
    },
    'what they call back with': async (store) => [
      await called((done) => store.set('id', { n: 1 }, done)),
      await called((done) => store.get('id', done)),
      await called((done) => store.touch('id', { n: 1 }, done)),
      await called((done) => store.destroy('id', done)),
      await called((done) => store.get('id', done)),
      await called((done) => store.clear(done)),
    ],
    'the clearing of expired sessions': async (store) => {
      await store.set('id', { cookie: { expires: 5_000 } })
      await store.set('other', { n: 1 })
      await store.clearExpiredSessions()
      return store.all()
    },
    'the sessions of requests': async (store) => {
      const request = { sessionID: 'id', sessionStore: store }
      await store.set('id', { cookie, n: 1 })
      const session = store.createSession(request, await store.get('id'))
      Object.assign(session, { n: 2 })
      await store.set('id', session)
      await store.touch('id', session)
      const fresh = store.createSession({ ...request, sessionID: 'fresh' }, { cookie: { ...cookie }, n: 3 })
      await store.set('fresh', fresh)
      return [((await store.get('id')) as { n: number }).n, ((await store.get('fresh')) as { n: number }).n]
    },
    'a table that is made': async (_store, side) => [(await side.sql('SHOW TABLES')).length],
    'an error of the server': async (store) => outcome(() => store.query('SELECT * FROM none')),
  }
  for (const [kind, open] of Object.entries(oldKinds)) {
    sameOf(
      `with ${kind} of the package mysql`,
      Object.fromEntries(
        Object.entries(battery).map(([name, script]): [string, Script] => [
          name,
          async (_store, side) => {
            const connection = open(side.where)
            const store = side.make(withoutTimer, connection)
            try {
              await store.onReady()
              return await script(store, side)
            } finally {
              connection.end?.(() => undefined)
            }
          },
        ]),
      ),
    )
  }

  sameOf('the clearing of expired sessions', {
    'by a method in its place that returns nothing': async (_store, side) => {
      const store = side.make(withoutTimer)
      await store.onReady()
      let clearings = 0
      const thrice = new Promise<void>((resolve) => {
        store.clearExpiredSessions = (() => void (++clearings === 3 && resolve())) as never
      })
      store.setExpirationInterval(1)
      await thrice
      store.clearExpirationInterval()
      return [(store as unknown as { _expirationInterval: unknown })._expirationInterval]
    },
  })
})
