import assert from 'node:assert/strict'
import fc from 'fast-check'

/** Names that mean something to JavaScript, to a session, or to what stores keep beside its data. */
const names = [
  'name', 'a', '__proto__', 'constructor', 'prototype', 'toString', 'valueOf', 'toJSON', 'hasOwnProperty', 'then', 'length', '', '0',
  '__defineGetter__', 'id', 'publicId', 'userId', 'createdAt', 'req', 'cookie', 'coatcheck', 'save', 'reload', 'touch', 'destroy',
  'regenerate', 'rotate', 'signIn', 'signOut', 'resetMaxAge', 'originalMaxAge', 'expires', 'maxAge', 'domain', 'httpOnly', 'path',
  'polluted', '\\u005f_proto__', '\\ud800', '\\u0000', '\u{1f36a}', '\u2028',
] as const // prettier-ignore

const values = [
  'null', 'true', 'false', '0', '-0', '-1', '1', '1.5', '1e300', '1e999', '-1e999', '5e-324', '9007199254740993', '86400000', '""',
  '"text"', '"2030-01-01T00:00:00.000Z"', '"not a date"', '"\\ud83c"', '"\\"}{"', '[]', '{}',
] as const // prettier-ignore

const wholes = [
  '{}', '[]', 'null', '1', '-0', '"text"', 'true', '', ' ', '{', '}', 'NaN', 'undefined', '{"a":1}{"b":2}', '{"a":1,}', "{'a':1}",
  '\ufeff{"a":1}', '{"a":1}\0', '{"a":1e999}', '{"a":1,"a":2}', ' { "a" : [ 1 ] } ', '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}', '{"a":{"__proto__":{"polluted":true}}}',
] as const // prettier-ignore

/** Decisions, one a byte: made of bytes, a row costs less than what is done with it. Zeros at the end: the simplest. */
class Decisions {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  below(count: number): number {
    return (this.#bytes[this.#at++] ?? 0) % count
  }

  of<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!
  }
}

function valueBy(decisions: Decisions, levels: number): string {
  if (levels === 0) return decisions.of(values)
  switch (decisions.below(4)) {
    case 0:
      return objectBy(decisions, levels - 1)
    case 1:
      return `[${valueBy(decisions, levels - 1)},${valueBy(decisions, levels - 1)}]`
    default:
      return decisions.of(values)
  }
}

function objectBy(decisions: Decisions, levels: number): string {
  const pairs = Array.from({ length: decisions.below(5) }, () => pairBy(decisions, levels))
  return `{${pairs.join()}}`
}

function pairBy(decisions: Decisions, levels: number): string {
  return `"${decisions.of(names)}":${valueBy(decisions, levels)}`
}

/** As express-session's stores have it, with a cookie of which not much need be right. */
function withCookieBy(decisions: Decisions): string {
  const cookie = `{"originalMaxAge":${valueBy(decisions, 1)},"expires":${valueBy(decisions, 1)},${pairBy(decisions, 1)}}`
  return `{"cookie":${cookie},${pairBy(decisions, 3)},${pairBy(decisions, 3)}}`
}

const damages: readonly ((row: Buffer, place: number) => Buffer)[] = [
  (row) => row,
  (row) => row,
  (row) => row,
  (row, place) => row.subarray(0, place % (row.length + 1)),
  (row, place) => row.subarray(place % (row.length + 1)),
  (row, place) => withByte(row, place, (row[place % row.length] ?? 0) ^ (1 << (place & 7))),
  (row, place) => withByte(row, place, 0xff),
  (row, place) => withByte(row, place, 0),
  // Too long a spelling of NUL, half a surrogate pair, a letter cut in its middle.
  (row) => withBytes(row, [0xc0, 0x80]),
  (row) => withBytes(row, [0xed, 0xa0, 0x80]),
  (row) => withBytes(row, [0xe2, 0x82]),
]

function withByte(row: Buffer, place: number, byte: number): Buffer {
  const damaged = Buffer.from(row)
  if (damaged.length > 0) damaged[place % damaged.length] = byte
  return damaged
}

/** With these in the place of the first text's first byte. */
function withBytes(row: Buffer, bytes: readonly number[]): Buffer {
  const at = row.indexOf('"') + 1
  return Buffer.concat([row.subarray(0, at), Buffer.from(bytes), row.subarray(at + 1)])
}

/** What may lie in a database where a session should. */
export const rows = fc.uint8Array({ maxLength: 80, size: 'max' }).map((bytes) => {
  const decisions = new Decisions(bytes)
  const damaged = decisions.of(damages)
  const place = decisions.below(256)
  const kinds = [() => objectBy(decisions, 3), () => withCookieBy(decisions), () => decisions.of(wholes)]
  return damaged(Buffer.from(decisions.of(kinds)()), place)
})

/** Rows of 10^5 levels, and of 10^5 names. */
export const largeRows: readonly [what: string, expected: 'read' | 'signed out', row: string][] = [
  ['arrays in arrays', 'signed out', `{"a":${nested('[', '1', ']')}}`],
  ['objects in objects', 'signed out', nested('{"a":', '1', '}')],
  ['prototypes of prototypes', 'signed out', nested('{"__proto__":', '{"polluted":true}', '}')],
  ['constructors', 'signed out', nested('{"constructor":{"prototype":', '{"polluted":true}', '}}')],
  ['arrays that nobody closes', 'signed out', `{"a":${'['.repeat(100_000)}`],
  [
    'names',
    'signed out',
    `{${Array.from({ length: 100_000 }, (_, index) => `"name${index}":${index}`).join()}}`,
  ],
  [
    'prototypes side by side',
    'signed out',
    `{${Array.from({ length: 100_000 }, () => '"__proto__":1').join()}}`,
  ],
]

function nested(open: string, within: string, close: string): string {
  return open.repeat(100_000) + within + close.repeat(100_000)
}

const untouched = Object.getOwnPropertyNames(Object.prototype).join()

/** Reading a row gave no object a property that it did not have. */
export function assertNoPollution(): void {
  assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), untouched)
}
