import { optionError, shown } from './errors.js'

/**
 * A length of time: a whole number of milliseconds, or a text of a whole number and a unit, such as `'500ms'`, `'90s'`,
 * `'30m'`, `'12h'` or `'7d'`.
 */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Milliseconds for which the old token still works after a rotation. */
export const defaultRotationGrace = 10_000

const unitInMilliseconds = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads a duration into milliseconds; throws `ERR_SESSION_OPTION`, naming `option`, if it is not a positive one. */
export function milliseconds(option: string, duration: Duration): number {
  const match = typeof duration === 'string' ? /^(\d+)(ms|s|m|h|d)$/.exec(duration) : null
  const value = match ? Number(match[1]) * unitInMilliseconds[match[2] as 'ms'] : duration
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value <= 0) {
    throw optionError(
      `${option} must be a positive whole number of milliseconds or a text like '30m', '12h' or '7d', not ${shown(duration)}.`,
    )
  }
  return value
}

/** The longest wait of Node's timers, in milliseconds: about 24.8 days. They take a longer one for 1 ms. */
export const longestTimer = 2 ** 31 - 1

/** As `milliseconds`, for a timer: it also throws if the duration is longer than a timer can wait. */
export function timerMilliseconds(option: string, duration: Duration): number {
  const value = milliseconds(option, duration)
  assertFitsTimer(option, value)
  return value
}

/** Throws `ERR_SESSION_OPTION`, naming `option`, for milliseconds that no timer can wait. */
export function assertFitsTimer(option: string, value: number): void {
  if (value > longestTimer) throw optionError(`${option} is longer than a timer can wait: at most 24 days.`)
}
