import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isError } from '../core/errors.js'
import type { Sessions } from '../sessions.js'
import { CommandError } from './command-error.js'

/** Sessions of an app. They may be of another copy of coatcheck, of which the class here says nothing. */
export type AppSessions = Pick<Sessions, 'explain' | 'close'>

/**
 * Imports a module of an app and finds the sessions that it exports: as `sessions`, as its default, or as the only ones.
 *
 * @param path from the working directory
 * @throws CommandError
 */
export async function sessionsOfModule(path: string): Promise<AppSessions> {
  const sessions = sessionsAmong(await load(path))
  if (sessions === undefined) {
    throw new CommandError(
      `${path} exports no sessions, or several and none by the name of sessions. Name the module that makes them: export const sessions = createSessions(…).`,
    )
  }
  if (typeof sessions.explain === 'function') return sessions as AppSessions
  throw new CommandError(
    `The sessions of ${path} are of a coatcheck that cannot explain yet. Update coatcheck where that module gets it from.`,
  )
}

async function load(path: string): Promise<object> {
  const file = resolve(path)
  if (!existsSync(file)) {
    // What is no path may be a URL with a password.
    throw new CommandError('The file of --sessions is not there. Name the module that makes the sessions.')
  }
  try {
    return (await import(pathToFileURL(file).href)) as object
  } catch (error) {
    throw new CommandError(`${path} cannot be loaded. ${reasonOf(error)}`)
  }
}

function reasonOf(error: unknown): string {
  if (!isError(error)) return `It threw ${typeof error === 'string' ? error : `a ${typeof error}`}.`
  if ('code' in error && error.code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.versions.node} cannot load files of this kind. TypeScript needs Node 22.18 or later, or name the compiled file.`
  }
  // An error of coatcheck says what to do. Of others, the stack says where. Their properties may hold secrets.
  return error.name === 'SessionError' ? error.message : (error.stack ?? error.message)
}

function sessionsAmong(module: object): Partial<AppSessions> | undefined {
  // All that a CommonJS module exports is in the default, too.
  const places = [module, 'default' in module ? module.default : undefined].filter(isObject)
  for (const name of ['sessions', 'default']) {
    const named = places.map((place) => place[name]).find(isSessions)
    if (named !== undefined) return named
  }
  const all = new Set(places.flatMap((place) => Object.values(place)).filter(isSessions))
  return all.size === 1 ? [...all][0] : undefined
}

function isSessions(value: unknown): value is Partial<AppSessions> {
  return isObject(value) && typeof value['exchange'] === 'function' && typeof value['close'] === 'function'
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
