import { childTests } from './store/children.js'
import { concurrencyTests } from './store/concurrency.js'
import { expiryTests } from './store/expiry.js'
import { findTests } from './store/find.js'
import { listingTests } from './store/listing.js'
import { markTests } from './store/marks.js'
import { noteTests } from './store/notes.js'
import { rotationTests } from './store/rotation.js'
import type { StoresUnderTest, Test } from './store/subject.js'
import { userIdTests } from './store/user-ids.js'
import { writeTests } from './store/writes.js'

export type { StoresUnderTest } from './store/subject.js'

/** The options of `storeSuite`: two functions of a test runner, and a way to open an empty database. */
export interface StoreSuiteOptions {
  /** The `describe` of the test runner: Vitest, Jest, Mocha or `node:test`. */
  readonly describe: (name: string, body: () => void) => unknown
  /** The `it` or `test` of the test runner. */
  readonly it: (name: string, body: () => Promise<void>) => unknown
  /**
   * Makes two stores on one empty database. It is called once for each test. The suite closes both stores, then calls
   * `cleanUp`. Use a real database, of the kind that the store is for.
   */
  readonly open: () => Promise<StoresUnderTest>
  /**
   * `'token'` for a `TokenKeyedStore`, which keeps sessions where older libraries look for them. The contract is the
   * same, except for what such a store has no place for:
   *
   * - It keeps no marks, no former tokens and no children, and perhaps no `about`.
   * - Its versions need not count, and its times may be whole seconds.
   * - Its data is the JSON of an object.
   * - Its listings may have any order.
   * - It may compute the `publicId` and `createdAt` of an anonymous session.
   */
  readonly keyedBy?: 'token' | undefined
  /**
   * `'database'` if the database itself removes what has expired, as Redis does. `removeExpired` then returns 0.
   * @default 'store'
   */
  readonly expiredRemovedBy?: 'store' | 'database' | undefined
}

/**
 * Declares the tests that every `SessionStore` must pass: the whole contract, in more than 100 tests. They run in any
 * test runner. Where a test needs time to pass, it asks the store until it has passed, by the store's clock.
 *
 * @param name the name of the group of tests, such as the store's name and its database.
 * @example
 * import { describe, it } from 'node:test'
 * import { storeSuite } from 'coatcheck/testing'
 *
 * storeSuite('MyStore', {
 *   describe,
 *   it,
 *   open: async () => {
 *     const database = await emptyDatabase()
 *     return {
 *       store: new MyStore(database.url),
 *       other: new MyStore(database.url),
 *       cleanUp: () => database.drop(),
 *     }
 *   },
 * })
 */
export function storeSuite(name: string, options: StoreSuiteOptions): void {
  const { describe, it, open, keyedBy, expiredRemovedBy = 'store' } = options
  const sweeps = expiredRemovedBy === 'store'
  const test: Test = (behaviour, body) => {
    it(behaviour, async () => {
      const stores = await open()
      try {
        await body({ ...stores, keyedBy, sweeps, cleanUp: () => stores.cleanUp() })
      } finally {
        await stores.store.close()
        await stores.other.close()
        await stores.cleanUp()
      }
    })
  }
  describe(`${name} keeps the contract of a store`, () => {
    describe('reading', () => findTests(test, keyedBy))
    describe('writing', () => writeTests(test, keyedBy))
    describe('new tokens, and when its user signed in', () => rotationTests(test, keyedBy))
    if (keyedBy === undefined) describe('marks', () => markTests(test))
    if (keyedBy === undefined) describe('children', () => childTests(test))
    describe('notes', () => noteTests(test, keyedBy))
    describe('expiry', () => expiryTests(test))
    describe('listing, and ending all of a user', () => listingTests(test, keyedBy))
    describe('user ids', () => userIdTests(test, keyedBy))
    describe('several at once', () => concurrencyTests(test))
  })
}
