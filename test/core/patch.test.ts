import { deserialize, serialize } from 'node:v8'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copied, detached, patch, replace } from '../../dist/core/data/patch.js'

type Data = Record<string, unknown>

/** What JSON reads back of this. */
const plain = (data: object): Data => JSON.parse(JSON.stringify(data)) as Data

/** Patches what is in hand, which JSON reads back, towards this. */
function patched(held: Data, to: Data, source?: Data): Data {
  patch(held, plain(held), to, source)
  return held
}

describe('a patch', () => {
  test.each<[string, Data, Data]>([
    ['adds', { a: 1 }, { a: 1, b: { c: 2 } }],
    ['removes', { a: 1, b: { c: 2 } }, { a: 1 }],
    ['changes', { a: 1 }, { a: 2 }],
    ['changes what is nested', { a: { b: { c: 1 }, d: 1 } }, { a: { b: { c: 2, e: 3 } } }],
    ['puts an object in the place of a text', { a: 'x' }, { a: { b: 1 } }],
    ['puts a text in the place of an object', { a: { b: 1 } }, { a: 'x' }],
    ['puts an array in the place of an object', { a: { b: 1 } }, { a: [1] }],
    ['puts an object in the place of an array', { a: [1] }, { a: { b: 1 } }],
    ['puts null in the place of an object', { a: { b: 1 } }, { a: null }],
    ['shortens an array', { a: [1, 2, 3] }, { a: [3] }],
    ['empties it', { a: { b: 1 }, c: [1] }, { a: {}, c: [] }],
    ['brings names in order', { a: 1, b: 2 }, { b: 2, a: 1 }],
    ['brings nested names in order', { n: { a: 1, b: 2, c: 3 } }, { n: { c: 3, b: 2, a: 1 } }],
    ['adds a name in its place', { a: 1, c: 3 }, { a: 1, b: 2, c: 3 }],
    ['takes names of every object for data', { a: 1 }, { hasOwnProperty: 1, toString: { valueOf: 2 }, a: 1 }],
  ])('%s', (_name, held, to) => {
    expect(JSON.stringify(patched(held, to))).toBe(JSON.stringify(to))
  })

  test('keeps what is in hand where nothing differs: Dates, instances, accessors, what no codec sees', () => {
    class Price {
      cents = 5
    }
    const [at, price, act] = [new Date(0), new Price(), () => 1]
    const held = { at, price, act, n: 1, nested: { at, none: undefined } } as Data
    Object.defineProperty(held, 'now', { get: () => 7, enumerable: true, configurable: true })
    patched(held, { ...plain(held), n: 2, nested: { at: at.toISOString(), more: 1 } })
    expect([held.at, held.price, held.act, held.n]).toEqual([at, price, act, 2])
    expect(held.nested).toEqual({ at, none: undefined, more: 1 })
    expect(Object.getOwnPropertyDescriptor(held, 'now')?.get).toBeTypeOf('function')
  })

  test('puts what was stored in the place of a Date or an instance that differs', () => {
    class Price {
      cents = 5
    }
    const held = { at: new Date(0), price: new Price() } as Data
    expect(patched(held, { at: 'later', price: { cents: 6 } })).toEqual({ at: 'later', price: { cents: 6 } })
  })

  test('takes values from the source, where it has them', () => {
    const at = new Date(0)
    const held = patched(
      { n: {} },
      { n: { at: at.toISOString() }, list: [at.toISOString()] },
      { n: { at }, list: [at] },
    )
    expect([(held.n as Data).at, (held.list as unknown[])[0]]).toEqual([at, at])
  })

  test('leaves the order of names alone where it is right, and moves accessors as they are', () => {
    const held = { b: 1, a: 1 } as Data
    Object.defineProperty(held, 'now', { get: () => 7, enumerable: true, configurable: true })
    patched(held, { now: 7, a: 1, b: 1 })
    expect(Object.keys(held)).toEqual(['now', 'a', 'b'])
    expect(Object.getOwnPropertyDescriptor(held, 'now')?.get).toBeTypeOf('function')
  })

  test('takes nothing out of an object that is closed to bring its names in order', () => {
    const nested = Object.preventExtensions({ a: 1, b: 2 })
    expect(patched({ nested }, { nested: { b: 3, a: 1 } })).toEqual({ nested: { a: 1, b: 3 } })
  })

  test('reaches no prototype', () => {
    const to = JSON.parse(
      '{"__proto__":{"x":1},"n":{"__proto__":{"x":2},"constructor":{"prototype":{"x":3}}}}',
    ) as Data
    const held = patched({ n: {} }, to)
    expect([Object.getPrototypeOf(held), Object.getPrototypeOf(held.n)]).toEqual([
      Object.prototype,
      Object.prototype,
    ])
    expect([({} as Data).x, Object.hasOwn(held.n as Data, 'constructor')]).toEqual([undefined, true])
  })

  test('for any data, gives what was wanted, to the byte, in the same objects', () => {
    const { data } = fc.letrec((tie) => ({
      data: fc.dictionary(fc.constantFrom('a', 'b', 'c', '1'), tie('value'), { maxKeys: 4 }),
      value: fc.oneof({ maxDepth: 3 }, fc.nat(3), fc.array(fc.nat(2)), fc.constant(null), tie('data')),
    }))
    fc.assert(
      fc.property(data, data, (from, to) => {
        const held = structuredClone(from) as Data
        const references = Object.entries(held)
        patch(held, from as Data, structuredClone(to) as Data)
        expect(JSON.stringify(held)).toBe(JSON.stringify(to))
        for (const [key, value] of references) {
          const now = held[key]
          const isKept = isObject(value) && isObject(now) && Array.isArray(value) === Array.isArray(now)
          expect(!isKept || now === value).toBe(true)
        }
      }),
    )
  })
})

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

describe('references that a handler holds', () => {
  test('into an array stay good for items that stay', () => {
    const [first, second, third] = [{ n: 1 }, { n: 2 }, { n: 3 }]
    const items = [first, second, third] as Data[]
    const held = { items } as Data
    patched(held, { items: [{ n: 1 }, { n: 5 }, { n: 3 }, { n: 4 }] })
    expect(held.items).toBe(items)
    expect([items[0] === first, items[1] === second, items[2] === third]).toEqual([true, false, true])
    expect(items).toEqual([{ n: 1 }, { n: 5 }, { n: 3 }, { n: 4 }])
  })

  test('into a Map or a Set stay good, where the codec keeps them', () => {
    const read = (data: object) => deserialize(serialize(data)) as Data
    const first = { n: 1 }
    const held = { map: new Map<string, unknown>([['a', first], ['b', 2]]), set: new Set([1]) } // prettier-ignore
    const { map, set } = held
    const to = { map: new Map<string, unknown>([['c', 3], ['a', { n: 1 }]]), set: new Set([2]) } // prettier-ignore
    patch(held, read(held), read(to))
    expect([held.map === map, held.set === set, map.get('a') === first]).toEqual([true, true, true])
    expect(serialize(held)).toEqual(serialize(to))
  })

  test('into a Map that is another kind of value now end with it', () => {
    const held = { value: new Map([['a', 1]]) } as Data
    patch(held, { value: new Map([['a', 1]]) }, { value: [1] })
    expect(held).toEqual({ value: [1] })
  })
})

describe('replacing whole values', () => {
  const frozen = Object.freeze({ a: 1 })

  test('puts another object in the place of a frozen one', () => {
    const held = { n: frozen, m: 1, gone: 1 } as Data
    replace(held, { n: { a: 1 }, m: 1, gone: 1 }, { n: { a: 2 }, m: 1 })
    expect(held).toEqual({ n: { a: 2 }, m: 1 })
  })

  test('keeps what does not differ', () => {
    const held = { n: frozen, m: 1 } as Data
    replace(held, { n: { a: 1 }, m: 1 }, { n: { a: 1 }, m: 2 })
    expect([held.n === frozen, held.m]).toEqual([true, 2])
  })

  test('does what it can where the object refuses, and fails nothing', () => {
    const held = Object.preventExtensions({ a: 1, b: 1 }) as Data
    replace(held, { a: 1, b: 1 }, { b: 2, c: 1 })
    expect(held).toEqual({ b: 2 })
    replace(Object.freeze({ a: 1 }), { a: 1 }, { b: 1 })
  })

  test('reaches no prototype', () => {
    const held: Data = {}
    replace(held, {}, JSON.parse('{"__proto__":{"x":1}}') as Data)
    expect(Object.getPrototypeOf(held)).toBe(Object.prototype)
  })
})

describe('a copy', () => {
  test('has objects, arrays, Maps, Sets and Dates of its own', () => {
    const data = {
      a: { b: [{ c: 1 }] },
      map: new Map([['k', { n: 1 }]]),
      set: new Set([{ n: 2 }]),
      at: new Date(0),
    }
    const copy = copied(data)
    expect(copy).toEqual(data)
    expect(copy.a.b[0]).not.toBe(data.a.b[0])
    expect(copy.map.get('k')).not.toBe(data.map.get('k'))
    expect([...copy.set][0]).not.toBe([...data.set][0])
    copy.at.setTime(1)
    expect(data.at.getTime()).toBe(0)
  })

  test('has one object in two places where it was one, and a cycle where there was one', () => {
    const one = { n: 1 }
    const data: Data = { a: one, list: [one], at: new Date(0) }
    data.same = data.at
    data.self = data
    const copy = copied(data)
    expect([copy.a === (copy.list as unknown[])[0], copy.at === copy.same, copy.self === copy]).toEqual([
      true,
      true,
      true,
    ])
    expect(copy.a).not.toBe(one)
  })

  test('shares what is an instance of a class, and what is no object', () => {
    class Price {}
    const data = { price: new Price(), act: () => 1, bytes: Buffer.from('x'), big: 1n, none: undefined }
    expect(Object.values(copied(data))).toEqual(Object.values(data))
    expect(copied(data).price).toBe(data.price)
    expect(copied(data).bytes).toBe(data.bytes)
  })

  test('has what an accessor gives, and __proto__ as data', () => {
    const data = JSON.parse('{"__proto__":{"x":1}}') as Data
    Object.defineProperty(data, 'now', { get: () => 7, enumerable: true })
    const copy = copied(data)
    expect([Object.getPrototypeOf(copy), Object.keys(copy)]).toEqual([Object.prototype, ['__proto__', 'now']])
    expect(Object.getOwnPropertyDescriptor(copy, 'now')).toMatchObject({ value: 7, writable: true })
  })

  test('that is detached is frozen through and through, and the original is not', () => {
    const data = { a: [{ b: 1 }], map: new Map([['k', { n: 1 }]]) }
    const copy = detached(data)
    expect(copy).toEqual(data)
    for (const each of [copy, copy.a, copy.a[0], copy.map.get('k')]) expect(Object.isFrozen(each)).toBe(true)
    for (const each of [data, data.a, data.a[0], data.map.get('k')]) expect(Object.isFrozen(each)).toBe(false)
    expect([detached(1), detached(null), detached(undefined), detached('x')]).toEqual([
      1,
      null,
      undefined,
      'x',
    ])
  })
})
