import { nextTick } from '../../core/scheduling.js'

/**
 * Answers by the callback if there is one, else by the promise. The callback is called in a turn of its own, so that
 * what it throws is not swallowed.
 */
export function callbackOrPromise<Value>(
  promise: Promise<Value>,
  callback?: (error: unknown, value?: NoInfer<Value>) => void,
): Promise<Value> | undefined {
  // express-session calls `destroy` without a callback when the app does: a failure must not end the process.
  promise.catch(() => undefined)
  if (typeof callback !== 'function') return promise
  promise.then(
    (value) => nextTick(callback, null, value),
    (error: unknown) => nextTick(callback, error),
  )
  return undefined
}
