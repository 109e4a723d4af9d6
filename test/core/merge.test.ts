import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeInto } from '../../dist/core/merge.js'

type Data = Record<string, unknown>

/** Merges copies, and gives the result. */
function merged(base: Data, mine: Data, theirs: Data): Data {
  const result = structuredClone(mine)
  mergeInto(result, structuredClone(mine), structuredClone(base), structuredClone(theirs))
  return result
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
