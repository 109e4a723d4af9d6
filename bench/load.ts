/** What the requests of a load do: `dead` reads with the tokens of sessions that have ended. */
export type Profile = 'read' | 'change' | 'login' | 'mixed' | 'dead'

/** Whether idle cores are kept awake: see cores.ts. */
export type Sleep = 'awake' | 'asleep'
export const sleeps: readonly Sleep[] = ['awake', 'asleep']

/** How an app is loaded for a moment. */
export interface Load {
  readonly profile: Profile
  readonly connections: number
  readonly seconds: number
  /** A file with the Cookie header's value of a visitor a line. */
  readonly cookies: string
}

/** What one slice of load gave. Times are in microseconds. */
export interface Slice {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** CPU of the app for each request. */
  readonly appCPU: number
  /** CPU of all databases for each request. */
  readonly databaseCPU: number
  /** MySQL statements for each 1,000 requests. */
  readonly statements: number
  /** How busy the app's core was with it, and the other core with the load and the databases: 0 to 1. */
  readonly appBusy: number
  readonly otherBusy: number
  /** Of which the load generator alone. */
  readonly loadBusy: number
}
