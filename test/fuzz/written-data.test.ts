import assert from 'node:assert/strict'
import { types } from 'node:util'
import fc from 'fast-check'
import { test } from 'vitest'
import { SessionError } from 'coatcheck'
import { bag, memorySessions } from '../core/works.ts'
import { fuzz } from './fuzz.ts'

const sessions = memorySessions()

/** What JSON has no word for. */
class Unwritable extends Error {}

/** What JSON is to keep of a value: written out, and not as JSON.stringify does it. Throws `Unwritable` if it would lose some. */
function kept(value: unknown, ancestors: readonly object[] = []): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      if (!Number.isFinite(value)) throw new Unwritable()
      return value === 0 ? 0 : value // -0 is 0
    case 'object':
      return value === null ? null : keptObject(value, ancestors)
    default:
      throw new Unwritable()
  }
}

function keptObject(value: object, ancestors: readonly object[]): unknown {
  if (ancestors.includes(value)) throw new Unwritable()
  const within = [...ancestors, value]
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new Unwritable()
    return value.toISOString()
  }
  if (types.isBoxedPrimitive(value)) return kept(value.valueOf())
  if (Array.isArray(value)) return Array.from(value, (item) => kept(item, within))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) throw new Unwritable()
  const { toJSON } = value as { toJSON?: unknown }
  if (typeof toJSON === 'function') return keptOf(toJSON.call(value, ''), within)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(entries.map(([name, item]) => [name, kept(item, within)]))
}

/** JSON does not ask what a `toJSON` gave for another one. */
function keptOf(given: unknown, ancestors: readonly object[]): unknown {
  const hasOwn = typeof given === 'object' && given !== null && 'toJSON' in given
  if (hasOwn && typeof given.toJSON === 'function') throw new Unwritable()
  return kept(given, ancestors)
}

function expectedOf(value: unknown): { readonly data: unknown } | undefined {
  try {
    // A name whose value is undefined is left out.
    return { data: value === undefined ? undefined : kept(value) }
  } catch {
    return undefined // `Unwritable`, or what a getter threw
  }
}

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withObjectString: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
})

/** Puts a value into another, at the end of a path. */
const wraps: readonly ((value: unknown) => unknown)[] = [
  (value) => value,
  (value) => [value, value],
  (value) => ({ a: { b: value } }),
  (value) => Object.create(null, { own: { value, enumerable: true } }) as unknown,
  (value) => ({
    get got() {
      return value
    },
  }),
  (value) => ({ toJSON: () => value }),
  (value) => ({
    get broken() {
      throw new Error('a getter that fails', { cause: value })
    },
  }),
  (value) => ({
    toJSON() {
      throw new Error('a toJSON that fails', { cause: value })
    },
  }),
  (value) => {
    const cycle: { value: unknown; list?: unknown } = { value }
    cycle.list = [cycle]
    return cycle
  },
  (value) => ({ shared: [value, value], again: value }),
  (value) =>
    JSON.parse(JSON.stringify({ ['__proto__']: value }) ?? 'null', (_name, item: unknown) => item) as unknown,
  (value) => [value, () => value],
  (value) => ({ symbol: Symbol(String(typeof value)) }),
  (value) => new Map([['value', value]]),
  (value) => new Set([value]),
  (value) => [value, Number.NaN],
  (value) => ({ value, at: new Date(0) }),
]

const data = fc
  .tuple(fc.oneof(anything, fc.jsonValue(), fc.date()), fc.constantFrom(...wraps))
  .map(([value, wrap]) => {
    try {
      return wrap(value)
    } catch {
      return value // JSON.stringify, of a BigInt
    }
  })

test(
  'what is put into a session is stored and read back as it was, or refused by an error that says where it stands',
  fuzz({ ci: 10_000, nightly: 1_000_000 }, data, async (value) => {
    const work = sessions.begin()
    bag(work)['value'] = value
    let error: unknown
    try {
      await work.commit()
    } catch (thrown) {
      error = thrown
    }
    const expected = expectedOf(value)
    if (error !== undefined) {
      assert.ok(error instanceof SessionError)
      assert.equal(error.code, 'ERR_SESSION_DATA')
      assert.match(error.message, /^req\.session/)
      assert.equal(expected, undefined)
      assert.equal(work.outcome.action, 'keep')
    } else {
      const { value: read } = bag(await sessions.load(work.id))
      assert.ok(expected, 'it was stored')
      assert.deepEqual(read, expected.data)
    }
  }),
)
