/**
 * `openStore`, which makes the store for a URL.
 *
 * @module coatcheck/open
 */

export * from '../stores/open.js'
