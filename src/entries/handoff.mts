/**
 * One login across unrelated domains: a hub signs users in at sites on other domains, which share its store.
 *
 * @module coatcheck/handoff
 */

export * from '../adapters/handoff.js'
