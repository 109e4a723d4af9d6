/** By what one store's promises differ from another's. */
export interface StoreTraits {
  /** Whether a version is a count; on old tables it is a fingerprint. */
  readonly versionsGrow: boolean
  /** Whether the token from before a rotation still finds the session. */
  readonly grace: boolean
  /** By how many milliseconds its times may be off. */
  readonly precision: number
}

/** Of a store with a table of its own. */
export const ownTable: StoreTraits = { versionsGrow: true, grace: true, precision: 0 }

/** Of one on the table of express-mysql-session. */
export const oldTable: StoreTraits = { versionsGrow: false, grace: false, precision: 2_000 }
