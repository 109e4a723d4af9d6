import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createToken } from '../../dist/core/token.js'
import { countOf, runsInSlice } from './fuzz.ts'

/** Characters of a token before what is random: its prefix, and the time, which many share. And bytes of what is random after them. */
const start = 'coat_'.length + 4
const randomLength = 33

/** What is random in so many tokens, one after the other. */
async function randomPartsOf(count: number): Promise<Buffer> {
  const parts = Buffer.alloc(count * randomLength)
  for (let made = 0; made < count; made++) {
    const random = createToken().slice(start)
    assert.equal(parts.write(random, made * randomLength, 'base64url'), randomLength)
    if (made % runsInSlice === 0) await setImmediate()
  }
  return parts
}

/** The first that stands there again. A set of all would need too much memory: so only of those that begin alike. */
function repeatedIn(parts: Buffer): string | undefined {
  const beginnings = BigUint64Array.from({ length: parts.length / randomLength }, (_, index) =>
    parts.readBigUInt64BE(index * randomLength),
  ).sort()
  const shared = new Set(beginnings.filter((beginning, index) => beginning === beginnings[index + 1]))
  const seen = new Set<string>()
  for (let at = 0; at < parts.length; at += randomLength) {
    if (!shared.has(parts.readBigUInt64BE(at))) continue
    const part = parts.toString('hex', at, at + randomLength)
    if (seen.has(part)) return part
    seen.add(part)
  }
  return undefined
}

const count = countOf({ ci: 100_000, nightly: 10_000_000 })

test(`of ${count} tokens no two have the same random bytes`, async () => {
  expect(repeatedIn(await randomPartsOf(count))).toBeUndefined()
})
