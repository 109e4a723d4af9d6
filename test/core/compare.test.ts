import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isSame } from '../../dist/core/data/compare.js'

const values = fc.anything({
  withDate: true,
  withMap: true,
  withSet: true,
  withBigInt: true,
  withNullPrototype: true,
  withSparseArray: true,
  withTypedArray: true,
  key: fc.constantFrom('a', 'b', 'toString', '__proto__', '0'),
  maxDepth: 3,
})

test('two values are the same where Node says so', () => {
  fc.assert(
    fc.property(values, values, (one, other) => {
      expect(isSame(one, other)).toBe(isDeepStrictEqual(one, other))
    }),
    { numRuns: 3_000 },
  )
})

test('a copy is the same, and one with a change anywhere is not', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.nat(), (text, place) => {
      expect(isSame(JSON.parse(text), JSON.parse(text))).toBe(true)
      const changed = changedAt(JSON.parse(text), { left: place % (text.length + 1) })
      expect(isSame(changed, JSON.parse(text))).toBe(isDeepStrictEqual(changed, JSON.parse(text)))
    }),
    { numRuns: 3_000 },
  )
})

test.each<[string, unknown, unknown]>([
  ['a name that only the other has', { a: undefined }, { b: undefined }],
  ['a hole and undefined', Array.from({ length: 1 }), holes(1)],
  ['zero and minus zero', [0], [-0]],
  ['an array and an object', [], {}],
  ['an object without a prototype', {}, Object.create(null)],
  ['a name beside the items of an array', Object.assign([1], { more: 1 }), Object.assign([1], { more: 2 })],
  [
    'a name beside the holes of an array',
    Object.assign(holes(1), { more: 1 }),
    Object.assign(holes(1), { more: 2 }),
  ],
  ['an inherited name', { toString: 1 }, { valueOf: 1 }],
])('not the same are %s', (_name, one, other) => {
  expect(isSame(one, other)).toBe(false)
})

/** An array with nothing in it. */
function holes(length: number): unknown[] {
  const array: unknown[] = []
  array.length = length
  return array
}

/** Puts another value at one place of a tree, counted in the order of a walk. */
function changedAt(value: unknown, place: { left: number }): unknown {
  if (place.left-- === 0) return 'changed'
  if (Array.isArray(value)) return value.map((item) => changedAt(item, place))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, changedAt(item, place)]))
}
