import { expect } from 'vitest'
import {
  called,
  cookie,
  type Difference,
  inAnHour,
  onBothSides,
  outcome,
  type Script,
  told,
} from './store-calls.ts'

onBothSides('the calls of express-mysql-session', (sameOf) => {
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
    'what looks like a metadata': { cookie, coatcheck: { userId: 'ada', publicId: 'p', createdAt: 5 } },
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
          await store.set('id', {
            cookie: { ...cookie, originalMaxAge: 1_800_000, expires: new Date(inAnHour + 1_800_000) },
            n: 1,
          })
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
    __proto__: '__proto__',
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
            await store.all(),
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

  sameOf(
    'an id that ends in a space, which the column takes for the one without',
    {
      'is refused': async (store) => [
        await outcome(() => store.set('id ', { n: 1 })),
        await store.get('id '),
      ],
    },
    {
      'is refused': {
        theirs: { came: [[{ affectedRows: 1 }, undefined], { n: 1 }] },
        ours: { came: [expect.stringMatching(/^fails/) as string, null], rows: [] },
      },
    },
  )

  const live = 'UNIX_TIMESTAMP() + 86400'
  /** Rows that others have written: an expiry and a text, by id. */
  const rows: Record<string, [expires: string, data: string | null][]> = {
    'no row': [],
    'one that lives and one that has expired': [[live, '{"n":1}'], ['UNIX_TIMESTAMP() - 60', '{"n":2}']],
    'one that expired two seconds ago': [['UNIX_TIMESTAMP() - 2', '{"n":1}']],
    'one that expires in half a minute': [['UNIX_TIMESTAMP() + 30', '{"n":1}']],
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
        const given =
          name === 'get' || name === 'destroy' ? ['id'] : name === 'set' || name === 'touch' ? ['id', {}] : []
        seen.push(
          await called((done) => store[name](...given, done)),
          await outcome(() => store[name](...given)),
        )
      }
      return seen
    },
    query: async (store) => [
      ((await store.query('SELECT ? AS one', [1])) as [unknown])[0],
      await outcome(() => store.query('SELECT * FROM none')),
      await outcome(() => store.query('INSERT INTO sessions VALUES (?, ?, ?)', ['id', 4_000_000_000, '{}'])),
    ],
  })
})
