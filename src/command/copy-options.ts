import { InvalidArgumentError } from 'commander'
import { tableName } from '../stores/sql/table-name.js'
import type { OldColumns } from './copy-statements.js'

/** What `coatcheck copy` was told. */
export interface CopyOptions {
  readonly url: string
  readonly from: string
  readonly to: string
  readonly columns: OldColumns
  /** The names that lead to the user in a session's data, from the outside in. */
  readonly user?: readonly string[]
  readonly batch: number
  readonly follow?: boolean
  /** Milliseconds between two passes of `--follow`. */
  readonly every: number
  readonly endAll?: boolean
  readonly forget?: boolean
}

export const usualColumns: OldColumns = { session_id: 'session_id', expires: 'expires', data: 'data' }

// Each reads the text of one option, and throws InvalidArgumentError with what to write instead.

export function oldTable(name: string): string {
  // A URL here is a mistake, and no later message may show it.
  if (name !== '' && name.length <= 64 && !/\0|:\/\//.test(name)) return name
  throw new InvalidArgumentError('Name a table in the same database.')
}

export function newTable(name: string): string {
  try {
    return tableName(name)
  } catch {
    throw new InvalidArgumentError(
      'Name a table by letters, digits and _, at most 48, that do not begin with a digit.',
    )
  }
}

export function userPath(path: string): readonly string[] {
  const names = path.split('.')
  if (!names.includes('')) return names
  throw new InvalidArgumentError('Write names with dots between, as in passport.user.')
}

export function columnNames(list: string): OldColumns {
  const names = { ...usualColumns }
  for (const pair of list.split(',')) {
    const [name, column, more] = pair.split('=').map((part) => part.trim())
    if (name === undefined || !Object.hasOwn(names, name) || !column || more !== undefined) {
      throw new InvalidArgumentError('Write session_id=…,expires=…,data=…, of which each may be left out.')
    }
    names[name as keyof OldColumns] = column
  }
  return names
}

export function rows(text: string): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= 10_000) return value
  throw new InvalidArgumentError('Give a whole number from 1 to 10,000.')
}

/** @returns milliseconds */
export function seconds(text: string): number {
  const value = Number(text)
  if (value >= 0.1 && value <= 3_600) return value * 1_000
  throw new InvalidArgumentError('Give a number from 0.1 to 3,600.')
}
