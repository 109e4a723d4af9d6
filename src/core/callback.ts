/**
 * Node's kind of callback. Written as a method, because its parameters may then be of a narrower type: apps say what they
 * expect, as in `(error: Error | null) => …`.
 */
export type Callback<Value = unknown> = { call(error?: unknown, value?: Value): void }['call']
