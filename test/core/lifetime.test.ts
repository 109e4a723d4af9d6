import { type Duration, SessionError } from 'coatcheck'
import { expect, test } from 'vitest'
import { milliseconds } from '../../dist/core/lifetime.js'

test.each<[Duration, number]>([
  ['500ms', 500],
  ['90s', 90_000],
  ['30m', 1_800_000],
  ['12h', 43_200_000],
  ['7d', 604_800_000],
  [1, 1],
  [86_400_000, 86_400_000],
])('the duration %j is %d milliseconds', (duration, expected) => {
  expect(milliseconds('lifetime.idle', duration)).toBe(expected)
})

test.each([
  0,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  '0s',
  '-5m',
  '1.5h',
  '30',
  '30 m',
  ' 30m',
  '30m ',
  '30M',
  '1w',
  'm',
  '',
  '9'.repeat(30) + 'd',
  null,
  true,
  {},
])('the duration %s is refused by the name of its option', (duration) => {
  expect(() => milliseconds('touchAfter', duration as Duration)).toThrow(
    expect.objectContaining({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringMatching(/^touchAfter must be .*'30m'/) as string,
    }) as SessionError,
  )
})
