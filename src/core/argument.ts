import { isOptions, kindOf, optionError, shown } from './errors.js'
import type { SessionStore } from './store/session-store.js'

/**
 * What a value is, if it cannot be an object of options: for a message that says what to write instead. It never shows
 * the value itself, which may be a secret.
 *
 * @param known the names of the options. Left out: any other object may be options.
 * @returns `undefined` if the value may be options.
 */
export function mistakenFor(given: unknown, known?: readonly string[]): string | undefined {
  if (given === undefined || given === null) return 'nothing'
  if (typeof given !== 'object' || Array.isArray(given)) return kindOf(given)
  if (has(given, 'then')) return 'a promise'
  if (has(given, 'loadAs')) return 'sessions'
  if (isStore(given) || isExpressSessionStore(given)) return 'a store'
  return !known || isOptions(given, known) ? undefined : kindOf(given)
}

/** Whether an object is a coatcheck store. */
export function isStore(given: object): given is SessionStore {
  return has(given, 'find') && has(given, 'write') && has(given, 'removeByUser')
}

function isExpressSessionStore(given: object): boolean {
  return has(given, 'get') && has(given, 'set') && has(given, 'destroy')
}

function has(given: object, method: string): boolean {
  return typeof Reflect.get(given, method) === 'function'
}

const storeMethods = [
  'find', 'alive', 'write', 'list', 'removeByUser', 'removeExpired', 'close',
] as const satisfies readonly (keyof SessionStore)[] // prettier-ignore

/** @throws ERR_SESSION_OPTION if a value is no coatcheck store. */
export function checkedStore(given: unknown): SessionStore {
  assertMayBeStore(given)
  if (!isStore(given) && isExpressSessionStore(given)) {
    throw optionError(
      "store is one of express-session's kind. Give it to session({ store, secret }) of coatcheck/express, or give a store of coatcheck's here, such as new MySQLStore(url), or new MySQLStore(url, { layout: 'express-mysql-session' }) for the same table.",
    )
  }
  const missing = storeMethods.filter((name) => !has(given, name))
  if (missing.length === 0) return given as SessionStore
  throw optionError(`store lacks ${missing.join(', ')}: it is not a coatcheck SessionStore.`)
}

/** @throws ERR_SESSION_OPTION if a value is no store of any kind. */
export function assertMayBeStore(given: unknown): asserts given is object {
  const mistake = mistakenFor(given)
  if (mistake === 'nothing') {
    throw optionError(
      "store is missing: give new MySQLStore(url) from 'coatcheck/mysql', new SQLiteStore('sessions.db') from 'coatcheck/sqlite', or, for a single process and for tests, new MemoryStore().",
    )
  }
  if (mistake === undefined || mistake === 'a store') return
  const advice = adviceFor[mistake] ?? 'Give an object such as new MySQLStore(url)'
  throw optionError(`store is ${mistake}, and has to be a store. ${advice}.`)
}

const adviceFor: Readonly<Record<string, string>> = {
  'a function': 'Make a store of it with new, such as new MySQLStore(url)',
  'a promise': 'Give what it resolves to: await it',
  sessions: 'Give the store that these were made with',
}

/** @throws ERR_SESSION_OPTION. */
export function positiveInteger(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value <= 0) {
    throw optionError(`${option} must be a positive whole number, not ${shown(value)}.`)
  }
  return value
}
