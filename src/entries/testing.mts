/**
 * The suite that shows whether a store keeps the contract, in the test runner of your choice.
 *
 * @module coatcheck/testing
 */

export * from '../testing/index.js'
