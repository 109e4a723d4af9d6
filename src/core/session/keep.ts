import type { Data } from '../data/merge.js'
import { optionError, refuseUnknownOptions, shown } from '../errors.js'
import type { SignInOptions } from './session.js'
import type { SessionForm } from './session-form.js'

/** The names of what stays of a visitor's data at a sign-in; `true`: all. */
export type Keep = true | readonly string[]

/** @throws ERR_SESSION_OPTION for an option that there is not, and for a `keep` that is neither `true` nor a list of names. */
export function resolveKeep(options: SignInOptions): Keep {
  refuseUnknownOptions('signIn', options, ['keep'])
  const { keep = [] } = options as { readonly keep?: unknown }
  if (keep === true) return true
  const names: readonly unknown[] = Array.isArray(keep) ? [...(keep as unknown[])] : []
  if (Array.isArray(keep) && names.every((name) => typeof name === 'string'))
    return names as readonly string[]
  throw optionError(
    `keep of signIn must be a list of names, such as { keep: ['cart'] }, or true for everything, not ${shown(keep)}${Array.isArray(keep) ? ' with something else in it' : ''}.`,
  )
}

/** Of a visitor's data, what stays at a sign-in: what is named, and what is the form's own. */
export function kept({ ownNames = [] }: Pick<SessionForm, 'ownNames'>, data: Data, keep: Keep): Data {
  if (keep === true) return data
  return Object.fromEntries(
    Object.entries(data).filter(([name]) => keep.includes(name) || ownNames.includes(name)),
  )
}
