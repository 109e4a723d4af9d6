import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { type Codec, jsonCodec, SessionError } from 'coatcheck'
import { describe, expect, test } from 'vitest'
import { bag, memorySessions, readData, storedSession } from './works.ts'

function roundTrip(data: Record<string, unknown>): Record<string, unknown> {
  return jsonCodec.decode(jsonCodec.encode(data))
}

function dataErrorOf(data: Record<string, unknown>): SessionError {
  try {
    jsonCodec.encode(data)
  } catch (error) {
    if (error instanceof SessionError && error.code === 'ERR_SESSION_DATA') return error
    throw error
  }
  throw new Error('it was stored')
}

const cycle: Record<string, unknown> = {}
cycle.back = { to: cycle }
const loop: unknown[] = []
loop.push(loop)

test('a cycle that is too large as a text is told as a cycle', () => {
  const user: Record<string, unknown> = {}
  user.posts = Array.from({ length: 300 }, (_, index) => ({ index, text: 'x'.repeat(50), author: user }))
  expect(() => jsonCodec.encode({ user }, 65_536)).toThrow('(a cycle)')
  expect(() => jsonCodec.encode({ user })).toThrow('(a cycle)')
})

describe('JSON, the default codec', () => {
  test('gives back every value that JSON has a word for', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (data) => {
        expect(roundTrip(data)).toEqual(JSON.parse(JSON.stringify(data)))
      }),
    )
  })

  test.each<[string, unknown, string, string]>([
    ['a BigInt', 1n, 'req.session.here', 'a BigInt'],
    ['a nested BigInt', { list: [0, { n: 1n }] }, 'req.session.here.list[1].n', 'a BigInt'],
    ['a Map', new Map([[1, 2]]), 'req.session.here', 'a Map'],
    ['a Set', { tags: new Set(['a']) }, 'req.session.here.tags', 'a Set'],
    ['a WeakMap', new WeakMap(), 'req.session.here', 'a WeakMap'],
    ['a cycle of objects', cycle, 'req.session.here.back.to', 'a cycle'],
    ['a cycle of arrays', loop, 'req.session.here[0]', 'a cycle'],
    ['NaN', Number.NaN, 'req.session.here', 'NaN'],
    ['Infinity', [1, Number.POSITIVE_INFINITY], 'req.session.here[1]', 'Infinity'],
    ['a function', () => 1, 'req.session.here', 'a function'],
    ['a symbol', Symbol('s'), 'req.session.here', 'a symbol'],
    ['undefined in an array', [1, undefined], 'req.session.here[1]', 'undefined in an array'],
    ['a regular expression', /x/, 'req.session.here', 'a regular expression'],
    ['a promise', Promise.resolve(1), 'req.session.here', 'await'],
    ['an Error', new TypeError('x'), 'req.session.here', 'an Error'],
    ['a Buffer', Buffer.from('x'), 'req.session.here', 'bytes'],
    ['a typed array', new Float64Array(2), 'req.session.here', 'bytes'],
    ['an ArrayBuffer', new ArrayBuffer(2), 'req.session.here', 'bytes'],
    ['an invalid Date', new Date(Number.NaN), 'req.session.here', 'an invalid Date'],
    ['a boxed NaN', new Number(Number.NaN), 'req.session.here', 'NaN'],
    ['a boxed BigInt', Object(1n), 'req.session.here', 'a BigInt'],
    ['a boxed symbol', [Object(Symbol('s'))], 'req.session.here[0]', 'a symbol'],
    ['a toJSON that gives a Date', { toJSON: () => new Date(0) }, 'req.session.here', 'toJSON'],
    ['a toJSON that gives undefined', [{ toJSON: () => undefined }], 'req.session.here[0]', 'toJSON'],
  ])('refuses %s and names where it stands', (_name, value, path, what) => {
    const { message } = dataErrorOf({ fine: 1, here: value })
    expect(message.startsWith(`${path} holds `)).toBe(true)
    expect(message).toContain(what)
    expect(message).toContain('codec')
  })

  test.each([1_500, 6_000, 20_000, 100_000])('refuses %d levels of nesting with a typed error', (depth) => {
    let nested: unknown = 1
    for (let level = 0; level < depth; level++) nested = [nested]
    expect(dataErrorOf({ nested }).message).toContain('nesting')
  })

  test('refuses a getter or toJSON that throws, names where it stands, and keeps the cause', () => {
    const cause = new Error('no')
    const thrower = () => {
      throw cause
    }
    const failing = Object.defineProperty({ fine: 1 }, 'total', { get: thrower, enumerable: true })
    for (const [data, path] of [
      [{ here: { toJSON: thrower } }, 'req.session.here'],
      [{ here: [1, { toJSON: thrower }] }, 'req.session.here[1]'],
      [{ here: [failing] }, 'req.session.here[0].total'],
      [failing, 'req.session.total'],
      [{ toJSON: thrower }, 'req.session'],
    ] as const) {
      const error = dataErrorOf(data)
      expect(error.message).toMatch(`${path} holds a value whose toJSON or getter fails`)
      expect(error.cause).toBe(cause)
    }
  })

  test('refuses a getter that fails only when it is looked at again', () => {
    let looks = 0
    const here = {
      get once() {
        if (looks++ > 0) throw new Error('no')
        return 1
      },
    }
    expect(dataErrorOf({ here }).message).toContain('getter fails')
  })

  test('takes a boxed text, number or boolean for what is in it', () => {
    const boxed = { text: Object('a'), number: Object(1), boolean: Object(false) }
    expect(roundTrip(boxed)).toEqual({ text: 'a', number: 1, boolean: false })
  })

  test('takes an object that is held twice, which is no cycle', () => {
    const shared = { n: 1 }
    expect(roundTrip({ one: shared, other: [shared, shared] })).toEqual({
      one: { n: 1 },
      other: [{ n: 1 }, { n: 1 }],
    })
  })

  test('makes a Date its ISO text', () => {
    expect(roundTrip({ at: new Date(0) })).toEqual({ at: '1970-01-01T00:00:00.000Z' })
  })

  test('stores what toJSON gives', () => {
    expect(roundTrip({ money: { cents: 5n, toJSON: () => '0.05' } })).toEqual({ money: '0.05' })
    expect(roundTrip({ url: new URL('https://example.com/a') })).toEqual({ url: 'https://example.com/a' })
  })

  test('leaves out a key whose value is undefined', () => {
    expect(roundTrip({ a: undefined, b: 1, c: { d: undefined } })).toEqual({ b: 1, c: {} })
  })

  test('reads what it would store again, and nothing else', () => {
    const nested = (levels: number) => ({ a: JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown })
    expect(roundTrip(nested(1_000))).toEqual(nested(1_000))
    expect(dataErrorOf(nested(1_001)).message).toContain('nesting')
    for (const json of [JSON.stringify(nested(1_001)), '{"a":1e999}', '{"a":[{"b":-1e999}]}']) {
      expect(() => jsonCodec.decode(Buffer.from(json))).toThrow('never stored')
    }
  })

  test('reads no text that is not UTF-8', () => {
    expect(() => jsonCodec.decode(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toThrow(
      'not valid',
    )
  })
})

describe('a codec of the app', () => {
  const v8Codec: Codec = { encode: serialize, decode: deserialize as Codec['decode'] }

  test('keeps a Date, a Map, a Set and a BigInt as they are', async () => {
    const sessions = memorySessions({ codec: v8Codec })
    const data = { at: new Date(0), map: new Map([['a', { b: 1 }]]), set: new Set([1]), big: 2n ** 70n }
    const token = await storedSession(sessions, data)
    expect(await readData(sessions, token)).toEqual(data)
  })

  test('finds unchanged data unchanged', async () => {
    const sessions = memorySessions({ codec: v8Codec })
    const token = await storedSession(sessions, { at: new Date(0), map: new Map([['é€', 1.5]]) })
    const work = await sessions.load(token)
    expect(bag(work).at).toEqual(new Date(0))
    expect(work.commit()).toBeUndefined()
  })

  test('encodes the empty data of a session that somebody signed in on without opening it', async () => {
    const sessions = memorySessions({ codec: v8Codec })
    const problems: SessionError[] = []
    sessions.on('storeError', (error) => problems.push(error))
    const work = sessions.begin()
    await work.signIn('ada')
    await work.commit()
    const [info] = await sessions.user('ada').list()
    expect(info?.data).toEqual({})
    expect(problems).toEqual([])
  })

  test('that throws fails the commit and stores nothing', async () => {
    const failure = new Error('cannot encode')
    const sessions = memorySessions({
      codec: {
        encode() {
          throw failure
        },
        decode: jsonCodec.decode,
      },
    })
    const work = sessions.begin()
    bag(work).a = 1
    await expect(work.commit()).rejects.toBe(failure)
    expect(work.outcome.action).toBe('keep')
  })
})
