import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'

/*
 * To be imported before the package, by tests that move its timers with `vi.useFakeTimers`. The package takes what schedules when it is
 * loaded, so that fakes of its users' tests do not reach it. With this it takes functions that pass each call on to what is in place then.
 */
const names = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate'] as const
for (const name of names) {
  const pass = (...parameters: unknown[]): unknown => Reflect.apply(globalThis[name], undefined, parameters)
  Object.assign(timers, { [name]: pass })
}
syncBuiltinESMExports()

const { now } = performance
const passNow = (): number =>
  performance.now === passNow ? Reflect.apply(now, performance, []) : performance.now()
performance.now = passNow
