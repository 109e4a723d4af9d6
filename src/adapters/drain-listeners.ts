import type { ServerResponse } from 'node:http'

type Listener = (this: ServerResponse, ...parameters: unknown[]) => unknown
export type DrainListeners = readonly Listener[]

/**
 * Notes who waits for 'drain' while a response is held, for a response whose `on` somebody has replaced.
 * @returns those that are noted so far, and from now on, for `emitDrain`.
 */
export function noteDrainListeners(response: ServerResponse, isHeld: () => boolean): DrainListeners {
  const replaced = response as unknown as { on: Listener }
  const { on } = replaced
  const listeners: Listener[] = []
  replaced.on = (event, listener, ...rest) => {
    if (event === 'drain' && isHeld()) listeners.push(listener as Listener)
    return on.call(response, event, listener, ...rest)
  }
  return listeners
}

/** Wakes those whose `write` was held, and who wait for more room now. */
export function emitDrain(response: ServerResponse, noted: DrainListeners | undefined): void {
  if (!response.emit || !response.rawListeners) return
  const there = response.rawListeners('drain')
  const moved = noted?.filter((listener) => !there.includes(listener))
  response.emit('drain')
  for (const listener of moved ?? []) listener.call(response)
}
