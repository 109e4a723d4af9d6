import { setTimeout } from './scheduling.js'

/** How often a change is tried again on what others stored meanwhile. */
export const mostAttempts = 50

/** Waits a little longer, and more randomly, with each attempt: up to 50 ms. */
export function jitter(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(50, attempt * 2)))
}
