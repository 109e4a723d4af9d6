// Tells whether the time of `Signer.verify` shows how much of a forged signature is right. Not part of `npm test`: it is a
// matter of statistics, and takes half a minute. `SAMPLES=40000000 npm run test:long -- timing` looks closer.
//
// The way of dudect (Reparaz, Balasch, Verbauwhede: Dude, is my code constant time?, 2017): signatures wrong in their first
// character and in their last are checked in random order, and Welch's t says whether the two means differ. Beyond 4.5 they
// do, by chance once in 100,000 runs. A comparison that stops at the first difference must be found out by the same means:
// else this could find nothing at all.
import { createHmac, randomInt } from 'node:crypto'
import { Signer } from '../../dist/core/signer.js'
import { createToken } from '../../dist/core/token.js'

const samples = Number(process.env['SAMPLES'] ?? 4_000_000)
const limit = 4.5
/** Samples slower than this share of all are left out: what interrupted those was not the comparison. */
const kept = 0.9
const secret = 'only for this measurement'

type Verify = (value: string) => unknown

/** As the cookie-signature package's format asks for it, but for the comparison. */
function stoppingVerify(value: string): boolean {
  const dot = value.lastIndexOf('.')
  const expected = createHmac('sha256', secret).update(value.slice(2, dot)).digest('base64')
  for (let at = 0; at < 43; at++) if (value[dot + 1 + at] !== expected[at]) return false
  return true
}

/** So many tokens, each with a signature that is wrong in its first character, and with one that is in its last. */
function forgeries(count: number): { readonly first: Buffer; readonly last: Buffer }[] {
  const signer = new Signer(secret)
  return Array.from({ length: count }, () => {
    const signed = signer.sign(createToken())
    return { first: wrongAt(signed, signed.length - 43), last: wrongAt(signed, signed.length - 1) }
  })
}

function wrongAt(text: string, at: number): Buffer {
  const characters = Buffer.from(text)
  characters[at] = characters[at] === 65 ? 66 : 65 // 'A', or 'B' where it stands already
  return characters
}

/** Nanoseconds that each of so many calls took, by what was wrong. */
function timed(verify: Verify, count: number): { readonly first: Float64Array; readonly last: Float64Array } {
  const pairs = forgeries(1_000)
  const [first, last] = [new Float64Array(count), new Float64Array(count)]
  const filled = { first: 0, last: 0 }
  // Drawn before anything is measured.
  const order = Uint16Array.from({ length: 2 * count }, () => randomInt(2 * pairs.length))
  for (const drawn of order) {
    const pair = pairs[drawn >> 1]!
    const isFirst = (drawn & 1) === 0
    // Made anew, so that both lie where the processor has them at hand: where in memory a text lies takes longer than a character.
    const value = (isFirst ? pair.first : pair.last).toString('latin1')
    const before = performance.now()
    verify(value)
    const took = (performance.now() - before) * 1_000_000
    if (isFirst && filled.first < count) first[filled.first++] = took
    if (!isFirst && filled.last < count) last[filled.last++] = took
  }
  return { first: first.subarray(0, filled.first), last: last.subarray(0, filled.last) }
}

interface Moments {
  readonly count: number
  readonly mean: number
  readonly variance: number
}

function moments(values: Float64Array): Moments {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)
  return { count, mean, variance }
}

function welch(one: Moments, other: Moments): number {
  return (one.mean - other.mean) / Math.sqrt(one.variance / one.count + other.variance / other.count)
}

/** Whether a difference was found. */
function leaks(name: string, verify: Verify): boolean {
  timed(verify, 50_000) // to warm up
  const { first, last } = timed(verify, samples / 2)
  const all = Float64Array.from([...first, ...last]).sort()
  const slowest = all[Math.floor(all.length * kept)]!
  const [early, late] = [first, last].map((values) => moments(values.filter((value) => value < slowest)))
  const t = welch(early!, late!)
  console.log(
    `${name}: wrong at first ${early!.mean.toFixed(1)} ns, at last ${late!.mean.toFixed(1)} ns, ` +
      `${early!.count + late!.count} samples, t = ${t.toFixed(2)}`,
  )
  return Math.abs(t) >= limit
}

const signer = new Signer(secret)
const stoppingIsFound = leaks('a comparison that stops early', stoppingVerify)
const verifyLeaks = leaks('Signer.verify', (value) => signer.verify(value))
if (!stoppingIsFound)
  console.error('Nothing was found where something is: this run proves nothing. Give more SAMPLES.')
if (verifyLeaks) console.error('Signer.verify takes longer for one than for the other: |t| is 4.5 or more.')
if (stoppingIsFound && !verifyLeaks) console.log('No evidence of a leak: |t| is below 4.5.')
process.exitCode = stoppingIsFound && !verifyLeaks ? 0 : 1
