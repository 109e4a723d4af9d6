import * as timers from 'node:timers'
import * as waits from 'node:timers/promises'

/*
 * What schedules, as it was when this module was loaded. Test tools put fakes in place of these functions that stand still, and a
 * request that waited for one would never be answered. `Date` is not among them: tests fake it on purpose, to let sessions expire.
 *
 * Timers come from Node's modules, which most tools leave alone even where they fake the globals before the package is loaded. Sinon
 * (`@sinonjs/fake-timers`) replaces them there too, and leaves nothing to take instead.
 */

export const setTimeout = timers.setTimeout
export const clearTimeout = timers.clearTimeout
export const setInterval = timers.setInterval
export const clearInterval = timers.clearInterval
export const setImmediate = timers.setImmediate
export const queueMicrotask = globalThis.queueMicrotask
export const nextTick = process.nextTick.bind(process)
/** Resolves in a later turn of the event loop, so that others have theirs before. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))
/** Resolves after so many milliseconds. */
export const wait = waits.setTimeout
/** Its clock never goes back. */
export const performance = { now: globalThis.performance.now.bind(globalThis.performance) }
