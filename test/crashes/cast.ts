import type { Tally } from '../faults/visitors.ts'
import type { CrashPlace } from './place.ts'

/** A kind of app that is killed, and the requests in which it is. */
export interface Cast {
  /** What the apps run: a path from the repository's root. */
  readonly program: string
  readonly requests: readonly {
    readonly title: string
    attempt(place: CrashPlace, tally: Tally): Attempt
  }[]
}

/** One client that makes one request, in the middle of which the app may be killed. */
export interface Attempt {
  /** Gets what the request begins with, at the app that stays well. */
  begin(): Promise<void>
  /**
   * Makes the request.
   * @param step at which the app is to be killed; 0: it is not
   */
  ask(url: string, step: number): Promise<void>
  /** Throws if something is not as it must be, before a retry or after it. */
  check(): Promise<void>
}
