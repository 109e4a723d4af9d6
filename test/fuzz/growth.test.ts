import { Session } from 'node:inspector/promises'
import { expect, test } from 'vitest'
import { hostileWorks } from './hostile-input.ts'

// Twice as much of what an attacker sends must take twice the work, not four times. Work is counted, not timed: V8 tells how
// often each block of the built package ran. It counts only in what is compiled after it began. What a regular expression or a
// function of Node does within one call is not seen here: `npm run bench -- input` times that.
const inspector = new Session()
inspector.connect()
await inspector.post('Profiler.enable')
await inspector.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })

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
const works = await hostileWorks()
const { cookieValues } = await import('../../dist/http/cookie.js')

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
