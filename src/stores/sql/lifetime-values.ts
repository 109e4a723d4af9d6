import type { Lifetime } from '../../core/store/session-store.js'

/** Far beyond any lifetime, and small enough that a moment plus it is still exact. */
export const never = 2 ** 52

export function lifetimeValues({ idle, absolute }: Lifetime): [idle: number, absolute: number] {
  return [Math.min(idle, never), Math.min(absolute ?? never, never)]
}
