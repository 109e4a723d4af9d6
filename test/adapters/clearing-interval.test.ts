import { expect, test } from 'vitest'
import { clearingInterval } from '../../dist/adapters/express-mysql-session-options.js'

test.each([
  ['a length', 5_000, 5_000],
  ['a length as text, as an environment variable has it', '5000', 5_000],
  ['30 days', 30 * 86_400_000, 2 ** 31 - 1],
  ['Infinity', Infinity, 2 ** 31 - 1],
  ['no number', NaN, 900_000],
  ['a text that is no number', 'daily', 900_000],
  ['nothing', undefined, 900_000],
  ['less than nothing', -1, 900_000],
])('expired sessions are never cleared every millisecond: %s', (_name, given, length) => {
  expect(clearingInterval(given)).toBe(length)
})
