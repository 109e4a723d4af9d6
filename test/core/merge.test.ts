import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { merge, type MergeConflict } from '../../dist/core/data/merge.js'
import { patch } from '../../dist/core/data/patch.js'

type Data = Record<string, unknown>

/** Merges copies, and sees to it that they stay what they were. */
function merged(base: Data, mine: Data, theirs: Data): Data {
  const given = [base, mine, theirs].map((each) => structuredClone(each)) as [Data, Data, Data]
  const result = merge(...given)
  expect(given).toEqual([base, mine, theirs])
  return result
}

/** What is stored of it: with the order of its names. */
const text = (data: Data): string => JSON.stringify(data)

/** Brings a session in hand, which the codec reads back as `plain`, in line with what it came to by what others stored. */
function mergeInto(held: Data, plain: Data, base: Data, theirs: Data): void {
  patch(held, plain, merge(base, plain, theirs))
}

describe('of a key,', () => {
  test.each<[string, Data, Data, Data, Data]>([
    ['what nobody changed stays', { a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }],
    ['what only I changed is mine', { a: 1 }, { a: 2 }, { a: 1 }, { a: 2 }],
    ['what only they changed is theirs', { a: 1 }, { a: 1 }, { a: 3 }, { a: 3 }],
    ['what both changed is mine, the later commit', { a: 1 }, { a: 2 }, { a: 3 }, { a: 2 }],
    ['what only I added stays', {}, { a: 1 }, {}, { a: 1 }],
    ['what only they added comes in', {}, {}, { a: 1 }, { a: 1 }],
    ['what both added is mine', {}, { a: 1 }, { a: 2 }, { a: 1 }],
    ['what only I removed is gone', { a: 1 }, {}, { a: 1 }, {}],
    ['what only they removed is gone', { a: 1 }, { a: 1 }, {}, {}],
    ['what I removed and they changed is gone', { a: 1 }, {}, { a: 2 }, {}],
    ['what I changed and they removed stays', { a: 1 }, { a: 2 }, {}, { a: 2 }],
    ['what both removed is gone', { a: 1 }, {}, {}, {}],
    ['a null is a value', { a: null }, { a: null }, { a: 1 }, { a: 1 }],
    ['a null that they wrote comes in', { a: 1 }, { a: 1 }, { a: null }, { a: null }],
  ])('%s', (_name, base, mine, theirs, expected) => {
    expect(merged(base, mine, theirs)).toEqual(expected)
  })
})

describe('of what is nested,', () => {
  test('plain objects merge key by key, at any depth', () => {
    const base = { user: { name: 'Ada', address: { city: 'Paris', zip: '1' } } }
    const mine = { user: { name: 'Ada L.', address: { city: 'Paris', zip: '2' } } }
    const theirs = { user: { name: 'Ada', address: { city: 'Rome', zip: '1' }, age: 36 } }
    expect(merged(base, mine, theirs)).toEqual({
      user: { name: 'Ada L.', address: { city: 'Rome', zip: '2' }, age: 36 },
    })
  })

  test('objects that both added merge too', () => {
    expect(merged({}, { cart: { mine: 1 } }, { cart: { theirs: 2 } })).toEqual({
      cart: { mine: 1, theirs: 2 },
    })
  })

  test('arrays are taken whole', () => {
    expect(merged({ list: [1] }, { list: [1, 2] }, { list: [1, 3] })).toEqual({ list: [1, 2] })
    expect(merged({ list: [1] }, { list: [1] }, { list: [1, 3] })).toEqual({ list: [1, 3] })
  })

  test('an object and what is none are taken whole', () => {
    expect(merged({ a: 1 }, { a: { b: 1 } }, { a: 2 })).toEqual({ a: { b: 1 } })
    expect(merged({ a: { b: 1 } }, { a: { b: 1 } }, { a: [1] })).toEqual({ a: [1] })
    expect(merged({ a: { b: 1 } }, { a: [2] }, { a: { b: 2 } })).toEqual({ a: [2] })
  })
})

describe('of whole objects,', () => {
  test.each<[string, Data, Data, Data, Data]>([
    ['one that they dropped and I did not touch is gone', { n: { a: 1 } }, { n: { a: 1 } }, {}, {}],
    ['of one that they dropped, what I added stays', { n: { a: 1 } }, { n: { a: 1, b: 2 } }, {}, { n: { b: 2 } }],
    ['of one that they dropped, what I changed stays', { n: { a: 1, c: 1 } }, { n: { a: 2, c: 1 } }, {}, { n: { a: 2 } }],
    ['of one that they dropped, what I added in depth stays', { n: { m: { a: 1 } } }, { n: { m: { a: 1, b: 2 } } }, {}, { n: { m: { b: 2 } } }],
    ['one that they dropped and I emptied is gone', { n: { a: 1 } }, { n: {} }, {}, {}],
    ['one that I dropped is gone, whatever they changed in it', { n: { a: 1 } }, {}, { n: { a: 2 } }, {}],
    ['one that I emptied keeps what they added', { n: { a: 1 } }, { n: {} }, { n: { a: 1, b: 2 } }, { n: { b: 2 } }],
    ['an empty one that I added stays', {}, { n: {} }, {}, { n: {} }],
    ['an empty one that they added comes in', {}, {}, { n: {} }, { n: {} }],
    ['one that I put in the place of a text merges with theirs', { n: 'x' }, { n: { a: 1 } }, { n: { b: 2 } }, { n: { a: 1, b: 2 } }],
    ['one that they put in the place of a text comes in', { n: 'x' }, { n: 'x' }, { n: { b: 2 } }, { n: { b: 2 } }],
    ['names that every object inherits are like any other', {}, { toString: 1 }, { constructor: 2, hasOwnProperty: 3 }, { toString: 1, constructor: 2, hasOwnProperty: 3 }],
  ])('%s', (_name, base, mine, theirs, expected) => {
    expect(merged(base, mine, theirs)).toEqual(expected)
  }) // prettier-ignore
})

describe('of the order of names,', () => {
  test.each<[string, Data, Data, Data, Data]>([
    [
      'mine stands where nothing else differs',
      { a: 1, b: 2 },
      { b: 2, a: 1 },
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    ['mine stands where they moved theirs', { a: 1, b: 2 }, { a: 1, b: 2 }, { b: 2, a: 1 }, { a: 1, b: 2 }],
    ['theirs follow mine', { a: 1 }, { a: 1, m: 1 }, { t: 1, a: 2 }, { a: 2, m: 1, t: 1 }],
  ])('%s', (_name, base, mine, theirs, expected) => {
    expect(text(merged(base, mine, theirs))).toBe(text(expected))
  })

  test('a difference of order alone asks nobody', () => {
    const resolve = () => expect.fail('there is no conflict')
    const [one, other] = [{ n: { a: 1, b: [1] } }, { n: { b: [1], a: 1 } }]
    expect(text(merge({}, one, other, resolve))).toBe(text(one))
  })
})

describe('the word of the app', () => {
  const asked = (base: Data, mine: Data, theirs: Data, answer: unknown = 'resolved') => {
    const conflicts: MergeConflict[] = []
    const result = merge(base, mine, theirs, (conflict) => {
      conflicts.push(conflict)
      return answer
    })
    return { result, conflicts }
  }

  test('is asked for where both changed a leaf otherwise, with the way to it, and for nothing else', () => {
    const { result, conflicts } = asked(
      { n: { list: [1], same: 1, mine: 1, theirs: 1 } },
      { n: { list: [2], same: 2, mine: 2, theirs: 1 } },
      { n: { list: [3], same: 2, mine: 1, theirs: 2 } },
    )
    expect(conflicts).toEqual([{ path: ['n', 'list'], base: [1], mine: [2], theirs: [3] }])
    expect(result).toEqual({ n: { list: 'resolved', same: 2, mine: 2, theirs: 2 } })
  })

  test.each<[string, Data, Data, Data, Omit<MergeConflict, 'path'>]>([
    ['both added', {}, { a: 1 }, { a: 2 }, { base: undefined, mine: 1, theirs: 2 }],
    ['they removed', { a: 1 }, { a: 2 }, {}, { base: 1, mine: 2, theirs: undefined }],
    ['I removed', { a: 1 }, {}, { a: 2 }, { base: 1, mine: undefined, theirs: 2 }],
  ])('is asked about what %s', (_name, base, mine, theirs, conflict) => {
    const { result, conflicts } = asked(base, mine, theirs)
    expect([conflicts, result]).toEqual([[{ path: ['a'], ...conflict }], { a: 'resolved' }])
    expect(merge(base, mine, theirs, () => undefined)).toEqual({})
  })

  test('is asked about what I changed in an object that they dropped', () => {
    const { result, conflicts } = asked({ n: { a: 1 } }, { n: { a: 2 } }, {})
    expect([conflicts, result]).toEqual([
      [{ path: ['n', 'a'], base: 1, mine: 2, theirs: undefined }],
      { n: { a: 'resolved' } },
    ])
  })

  test('may be undefined, which removes the place: what is stored as undefined is there all the same', () => {
    expect(merge({}, { a: undefined }, {})).toStrictEqual({ a: undefined })
    expect(merge({ a: undefined }, { a: undefined }, {})).toStrictEqual({})
    expect(merge({ a: 1 }, { a: 1 }, { a: undefined })).toStrictEqual({ a: undefined })
  })
})

test('what a codec keeps besides is a leaf: Maps, Sets, Dates, bytes, instances', () => {
  class Price {
    readonly cents: number
    constructor(cents: number) {
      this.cents = cents
    }
  }
  const [at, later] = [new Date(0), new Date(1)]
  const base = {
    map: new Map([['a', 1]]),
    set: new Set([1]),
    at,
    bytes: Buffer.from('a'),
    price: new Price(1),
  }
  const mine = { ...base, map: new Map([['b', 1]]), at: new Date(0) }
  const theirs = { ...base, map: new Map([['c', 1]]), set: new Set([2]), at: later, price: new Price(2) }
  const result = merge(base, mine, theirs)
  expect(result).toEqual({ ...base, map: mine.map, set: theirs.set, at: later, price: theirs.price })
  expect(result.price).toBe(theirs.price)
})

test('one object in two places is two, and what each became', () => {
  const [one, base] = [{ n: 1 }, { a: { n: 0 }, b: { n: 0 } }]
  expect(merged(base, { a: one, b: one }, { a: { n: 0, t: 1 }, b: { n: 0 } })).toEqual({
    a: { n: 1, t: 1 },
    b: { n: 1 },
  })
})

describe('references that a handler holds', () => {
  test('stay good where both changed the object', () => {
    const cart: Data = { mine: 1 }
    const mine: Data = { cart }
    mergeInto(mine, structuredClone(mine), { cart: {} }, { cart: { theirs: 1 } })
    expect(mine.cart).toBe(cart)
    expect(cart).toEqual({ mine: 1, theirs: 1 })
  })

  test('stay good where only others changed the object', () => {
    const inner: Data = { n: 1 }
    const cart: Data = { inner, old: 1 }
    const mine: Data = { cart }
    mergeInto(mine, structuredClone(mine), structuredClone(mine), { cart: { inner: { n: 2 } } })
    expect(mine.cart).toBe(cart)
    expect(cart.inner).toBe(inner)
    expect(mine).toEqual({ cart: { inner: { n: 2 } } })
  })
})

test('a Date in hand equals the text that it was stored as', () => {
  const at = new Date(0)
  const mine: Data = { at, other: 1 }
  mergeInto(mine, { at: at.toISOString(), other: 1 }, { at: at.toISOString() }, { at: at.toISOString() })
  expect(mine.at).toBe(at)
  mergeInto(mine, { at: at.toISOString() }, { at: at.toISOString() }, { at: 'later' })
  expect(mine.at).toBe('later')
})

test('no stored __proto__ reaches a prototype', () => {
  const hostile = JSON.parse('{"__proto__":{"polluted":1},"n":{"__proto__":{"polluted":2}},"a":1}') as Data
  const mine: Data = { n: {} }
  mergeInto(mine, { n: {} }, { n: {} }, hostile)
  expect(mine).toEqual({ n: {}, a: 1 })
  expect(Object.getPrototypeOf(mine)).toBe(Object.prototype)
  expect(Object.getPrototypeOf(mine.n)).toBe(Object.prototype)
  expect(({} as Data).polluted).toBeUndefined()
})

describe('for any data', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e')
  const { data } = fc.letrec((tie) => ({
    data: fc.dictionary(key, tie('value'), { maxKeys: 4 }),
    value: fc.oneof(
      { maxDepth: 3, depthSize: 'small' },
      fc.integer({ min: 0, max: 3 }),
      fc.array(fc.nat(2)),
      tie('data'),
    ),
  }))

  test('writes to different keys both survive', () => {
    const change = fc.option(fc.integer(), { nil: undefined })
    fc.assert(
      fc.property(
        data,
        fc.dictionary(fc.constantFrom('m1', 'm2', 'a', 'b'), change),
        fc.dictionary(fc.constantFrom('t1', 't2', 'c', 'd'), change),
        (base, myChanges, theirChanges) => {
          const result = merged(base, applied(base, myChanges), applied(base, theirChanges))
          expect(result).toEqual(applied(applied(base, theirChanges), myChanges))
        },
      ),
    )
  })

  test('where only one side changed something, that side is the result', () => {
    fc.assert(
      fc.property(data, data, (base, changed) => {
        expect(merged(base, base, changed)).toEqual(changed)
        expect(merged(base, changed, base)).toEqual(changed)
        expect(merged(base, changed, changed)).toEqual(changed)
      }),
    )
  })

  test('a leaf is never made up: it is one of mine or of theirs', () => {
    fc.assert(
      fc.property(data, data, data, (base, mine, theirs) => {
        const known = new Set([...leaves(mine), ...leaves(theirs)])
        for (const leaf of leaves(merged(base, mine, theirs))) expect(known).toContain(leaf)
      }),
    )
  })
})

/** The data with some keys set, or removed where the value is `undefined`. */
function applied(data: Data, changes: Record<string, number | undefined>): Data {
  return Object.fromEntries(
    Object.entries({ ...data, ...changes }).filter(([, value]) => value !== undefined),
  )
}

function leaves(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return [`${path}=${JSON.stringify(value)}`]
  return Object.entries(value).flatMap(([key, item]) => leaves(item, `${path}.${key}`))
}

test('an array of 300,000 items is taken over like any other', () => {
  const [before, now] = [[1], Array.from({ length: 300_000 }, (_, index) => index)]
  const mine: Data = { list: [1] }
  const { list } = mine
  mergeInto(mine, { list: [1] }, { list: before }, { list: now })
  expect(mine.list).toBe(list)
  expect(list).toHaveLength(300_000)
})
