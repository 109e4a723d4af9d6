/**
 * A callback as in Node: the error first, then the value. It is written as a method, so that apps may declare narrower
 * types for its parameters, as in `(error: Error | null) => …`.
 */
export type Callback<Value = unknown> = { call(error?: unknown, value?: Value): void }['call']
