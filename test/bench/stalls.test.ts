import { expect, test } from 'vitest'
import { longestHold } from '../../bench/stalls/hold.ts'
import { changeHalf, deep, longText, wide } from '../../bench/stalls/inputs.ts'

function busyFor(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

test.each([
  ['before the first wait', async () => busyFor(20)],
  [
    'after a wait',
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 5))
      busyFor(20)
    },
  ],
  ['in promises that follow each other in one turn', () => Promise.resolve().then(() => busyFor(20))],
])('a hold of the event loop is found %s', async (_, work) => {
  expect((await longestHold(work)).time).toBeGreaterThanOrEqual(20)
})

test('the failure of the work is passed on', async () => {
  await expect(longestHold(() => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed')
})

test('inputs are as large and as deep as asked for', () => {
  const depthOf = (data: unknown): number =>
    typeof data === 'object' && data !== null ? 1 + Math.max(0, ...Object.values(data).map(depthOf)) : 0
  for (const data of [wide(55_000), deep(50, 55_000), deep(900, 55_000), longText(55_000)]) {
    const size = Buffer.byteLength(JSON.stringify(data))
    expect(size).toBeGreaterThan(50_000)
    expect(size).toBeLessThan(55_100)
  }
  expect(depthOf(deep(900, 55_000))).toBe(901)
})

test('two requests that change a half each change all of it', () => {
  const data = deep(3, 400)
  changeHalf(data, 0, 2)
  changeHalf(data, 1, 2)
  expect(data).toEqual(deep(3, 400, 2))
})
