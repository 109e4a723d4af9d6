import { createHook } from 'node:async_hooks'
import { Socket } from 'node:net'

/** How a request went, step by step. A step is whatever this process does between two awaits, and each moment before something leaves it. */
export interface Steps {
  taken: number
  /** The steps at which something left the process: a statement, or the answer. Kills between the same two look the same from outside. */
  readonly departures: number[]
}

let steps: Steps = { taken: 0, departures: [] }
/** The step at which the process ends; 0: at none. */
let last = 0
let counting = false

// Every callback of Node's and every continuation of a promise begins here.
const hook = createHook({ before: step })

/** Counts from here on, and ends the process at that step as a failing machine would: nothing runs after it, no `finally` and no exit handler. */
export function count(fatal: number): void {
  steps = { taken: 0, departures: [] }
  last = fatal
  counting = true
  hook.enable()
}

/** @returns how it went since */
export function counted(): Steps {
  counting = false
  hook.disable()
  return steps
}

/** Call it before something leaves the process. */
export function departs(): void {
  step()
  if (counting) steps.departures.push(steps.taken)
}

function step(): void {
  if (counting && ++steps.taken === last) process.kill(process.pid, 'SIGKILL')
}

/** Lets whatever goes out by the network count. */
export function watchNetwork(): void {
  const { _write, _writev } = Socket.prototype
  Socket.prototype._write = function (...parameters) {
    departs()
    _write.apply(this, parameters)
  }
  Socket.prototype._writev = function (...parameters) {
    departs()
    _writev!.apply(this, parameters)
  }
}
