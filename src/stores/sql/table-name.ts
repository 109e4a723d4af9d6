import { optionError } from '../../core/errors.js'

/**
 * Checks a table's name, which becomes part of the SQL text. It is a letter or `_`, then letters, digits and `_`, at
 * most 48 characters. Every database takes such a name, and nothing in it needs escaping.
 *
 * @throws ERR_SESSION_OPTION for any other name.
 */
export function tableName(name: unknown, option = 'table'): string {
  if (typeof name === 'string' && /^[a-z_]\w{0,47}$/i.test(name)) return name
  throw optionError(
    `${option} must be a name of letters, digits and _ that does not begin with a digit, at most 48 characters, not ${JSON.stringify(name)}.`,
  )
}
