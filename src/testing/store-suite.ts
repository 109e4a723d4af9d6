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

/** What `storeSuite` needs: a test runner's two functions, and a database. */
export interface StoreSuiteOptions {
  /** The runner's `describe`: of Vitest, Jest, Mocha or node:test. */
  readonly describe: (name: string, body: () => void) => unknown
  /** The runner's `it` or `test`. */
  readonly it: (name: string, body: () => Promise<void>) => unknown
  /**
   * Called once a test: makes two stores on one empty database. The suite closes them, then calls
   * `cleanUp`. The database should be a real one, of the kind that the store is for.
   */
  readonly open: () => Promise<StoresUnderTest>
  /**
   * For a `TokenKeyedStore`, which keeps sessions where older libraries look for them. Held to the same contract, but for
   * what has no place there. It keeps no marks, no former tokens, no children, and perhaps not what a session is about. Its versions need not
   * count, its data is the JSON of an object, and its times may be whole seconds. A listing may have any order. The `publicId` and
   * `createdAt` of an anonymous session are worked out from what is there.
   */
  readonly keyedBy?: 'token' | undefined
}

/**
 * Declares the tests that every `SessionStore` passes: the whole contract, on the real database. It
 * depends on no test runner, and sleeps nowhere: where time has to pass by the store's clock, it asks until it has.
 *
 * @param name what the runner calls the group, for instance the store's name and its database
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
  const { describe, it, open, keyedBy } = options
  const test: Test = (behaviour, body) => {
    it(behaviour, async () => {
      const stores = await open()
      try {
        await body({ ...stores, keyedBy, cleanUp: () => stores.cleanUp() })
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
