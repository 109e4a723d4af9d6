import { Session } from 'node:inspector/promises'
import { expect, test } from 'vitest'

// Twice as much of what an attacker sends must take twice the work, not four times. Work is counted, not timed: V8 tells how
// often each block of the built package ran. It counts only in what is compiled after it began, hence the late imports.
const inspector = new Session()
inspector.connect()
await inspector.post('Profiler.enable')
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
const { cookieValues } = await import('../../dist/http/cookie.js')
const { mergeInto } = await import('../../dist/core/merge.js')
const { jsonCodec } = await import('../../dist/core/codec.js')
const { resolveSites } = await import('../../dist/http/sites.js')
const { Signer } = await import('../../dist/core/token.js')
const { sameButForCookie } = await import('../../dist/express-session/stored-text.js')

/** How many blocks of the package ran, and of Node's deep comparison, which it leans on. */
async function stepsOf(act: () => unknown): Promise<number> {
  await inspector.post('Profiler.takePreciseCoverage') // which begins the count anew
  act()
  const { result } = await inspector.post('Profiler.takePreciseCoverage')
  return result
    .filter(({ url }) => url.includes('/dist/') || url.startsWith('node:internal/util/comparisons'))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0)
}

const signer = new Signer('the secret of this test alone')
const site = (at: number) => `https://app${at}.example.com`
const sites = resolveSites(Array.from({ length: 100 }, (_, at) => site(at)))

const keys = (count: number, prefix = 'k') =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, { at }]))
const nested = (depth: number, leaf: unknown) => {
  let data: Record<string, unknown> = { leaf }
  for (let level = 0; level < depth; level++) data = { data }
  return data
}
const text = (data: unknown) => Buffer.from(JSON.stringify(data))

/** What is done for input of size n. What only prepares it is outside of the function that is counted. */
const works: Record<string, (size: number) => () => unknown> = {
  'a Cookie header of other cookies': (size) => {
    const header = `${'x=1; '.repeat(size)}sid=1`
    return () => cookieValues(header, 'sid')
  },
  'a Cookie header of dead cookies of our name': (size) => {
    const header = 'sid=%; sid=s%3Ax.y; '.repeat(size)
    return () => cookieValues(header, 'sid').map((value) => signer.verify(value))
  },
  'a Cookie header of separators': (size) => {
    const header = `${' =;\t'.repeat(size)}sid=1`
    return () => cookieValues(header, 'sid')
  },
  'a long value instead of a signed token': (size) => {
    const value = `s:${'.'.repeat(size)}`
    return () => signer.verify(value)
  },
  'a long origin': (size) => {
    const origin = `https://${'a.'.repeat(size)}example.com`
    return () => sites.trusts(origin)
  },
  'a merge of many keys': (size) => {
    const [base, stored, own] = [
      keys(size),
      { ...keys(size), ...keys(size, 's') },
      { ...keys(size), ...keys(size, 'o') },
    ]
    return () => mergeInto(own, structuredClone(own), base, stored)
  },
  'a merge of deep data': (size) => {
    const [base, stored, own] = [nested(size, 0), nested(size, 1), { ...nested(size, 0), own: true }]
    return () => mergeInto(own, structuredClone(own), base, stored)
  },
  'decoding many keys': (size) => {
    const bytes = text(keys(size))
    return () => jsonCodec.decode(bytes)
  },
  'comparing texts of express-session': (size) => {
    const [one, other] = [
      text({ cookie: { a: 1 }, ...keys(size) }),
      text({ cookie: { a: 2 }, ...keys(size) }),
    ]
    return () => sameButForCookie(one, other)
  },
}

test.for(Object.entries(works))('%s takes work that grows no faster than it', async ([, prepare]) => {
  const steps = async (size: number) => stepsOf(prepare(size))
  await steps(10) // what runs but once
  const [once, twice] = [await steps(200), await steps(400)]
  expect(once).toBeGreaterThan(0)
  // What does not grow with the size is in both, so that twice is the most.
  expect(twice).toBeLessThanOrEqual(2 * once)
})

test('this finds work that grows with the square', async () => {
  const square = (size: number) => () => {
    for (let at = 0; at < size; at++) cookieValues(`${'x=1; '.repeat(size)}sid=1`, 'sid')
  }
  const [once, twice] = [await stepsOf(square(20)), await stepsOf(square(40))]
  expect(twice).toBeGreaterThan(3 * once)
})
