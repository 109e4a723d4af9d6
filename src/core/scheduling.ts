import * as timers from 'node:timers'
import * as waits from 'node:timers/promises'

/*
 * The functions that schedule, as they were when this module was loaded. Test tools replace them with fakes that stand still. A request
 * that waited for a fake would never be answered. `Date` is not here: tests fake it on purpose, to let sessions expire.
 *
 * Timers come from Node's modules. Most tools fake the globals only, so these stay real even if the package is loaded after that. Sinon
 * (`@sinonjs/fake-timers`) and `mock.timers` of `node:test` fake the modules too: then load the package before you enable them.
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
