/** By what one store's promises differ from another's. */
export interface StoreTraits {
  /** Whether a version is a count; on old tables it is a fingerprint. */
  readonly versionsGrow: boolean
  /** Whether a rotation leaves the row where it is: the token from before still finds it, and so does whoever ends it. */
  readonly rowsStay: boolean
  /** By how many milliseconds its times may be off. */
  readonly precision: number
}

/** Of a store with a table of its own. */
export const ownTable: StoreTraits = { versionsGrow: true, rowsStay: true, precision: 0 }

/** Of one on the table of express-mysql-session. */
export const oldTable: StoreTraits = { versionsGrow: false, rowsStay: false, precision: 2_000 }
