import { isError } from '../../core/errors.js'

/** What stands in the place of a token. */
const ellipsis = '…'

/**
 * An error of the app's store as it may be shown and logged. Some stores name the session in their errors, such as by
 * the name of its file. If the token is anywhere in the error, also encoded as in a URL, this returns a copy with `…`
 * in its place. The rest is the same: class, name, code, stack and causes. An error without the token is returned as it
 * is.
 */
export function withoutToken(thrown: unknown, token: string): unknown {
  if (token === '') return thrown
  return cleaned(thrown, [token, encodeURIComponent(Buffer.from(token).toString())], new Map())
}

function cleaned(value: unknown, forms: readonly string[], copies: Map<object, object>): unknown {
  if (!mentions(value, forms, new Set())) return value
  if (typeof value === 'string') return cleanedText(value, forms)
  const source = value as object
  const known = copies.get(source)
  if (known) return known
  const copy = emptyLike(source)
  copies.set(source, copy)
  for (const name of namesIn(source)) {
    Object.defineProperty(copy, typeof name === 'string' ? cleanedText(name, forms) : name, {
      value: cleaned(Reflect.get(source, name), forms, copies),
      enumerable: Object.prototype.propertyIsEnumerable.call(source, name),
      configurable: true,
      writable: true,
    })
  }
  return copy
}

function cleanedText(text: string, forms: readonly string[]): string {
  return forms.reduce((left, form) => left.replaceAll(form, ellipsis), text)
}

/** @param seen what was looked into already: causes may lead in a circle. */
function mentions(value: unknown, forms: readonly string[], seen: Set<object>): boolean {
  if (typeof value === 'string') return forms.some((form) => value.includes(form))
  if (!isLookedInto(value) || seen.has(value)) return false
  seen.add(value)
  return namesIn(value).some(
    (name) => mentions(name, forms, seen) || mentions(Reflect.get(value, name), forms, seen),
  )
}

/** Errors, and what is plain in them. Of anything else, such as a socket, a copy would not be the same. */
function isLookedInto(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (isError(value) || Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** An Error is copied into a real one, because what prints it asks for that. */
function emptyLike(source: object): object {
  if (Array.isArray(source)) return []
  return Object.setPrototypeOf(isError(source) ? new Error() : {}, Object.getPrototypeOf(source)) as object
}

function namesIn(value: object): readonly (string | symbol)[] {
  if (Array.isArray(value)) return Object.keys(value)
  if (!isError(value)) return Reflect.ownKeys(value)
  // These may lie in the class, and depend there on what the copy has not.
  return [...new Set([...Reflect.ownKeys(value), 'message', 'stack'])]
}
