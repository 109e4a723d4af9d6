import { shown } from '../../core/errors.js'
import { suggested } from './suggested-name.js'

/** What is wrong in an older app's configuration. The app is warned, and goes on as under express-session. */
export interface OptionFault {
  readonly code: string
  readonly message: string
}

/** What is given, by name. */
export type Given = Readonly<Record<string, unknown>>

/** The names of the options of `session(options)`. */
export const sessionOptionNames = [
  'secret', 'store', 'cookie', 'genid', 'name', 'key', 'proxy', 'resave', 'rolling', 'saveUninitialized', 'unset',
  'lifetime', 'touchAfter', 'userOf', 'sizeLimit', 'skip', 'whenUnavailable',
] as const // prettier-ignore

const cookieNames = [
  'path', 'domain', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority', 'maxAge', 'expires',
] as const // prettier-ignore

/** Names from other session packages and from copied code, and names that work but mislead, by the name to write. */
const otherNames: Given = {
  trustProxy: 'proxy', secureProxy: 'proxy', cookieName: 'name', keys: 'secret', httpsOnly: 'secure', expires: 'maxAge',
  _expires: 'maxAge',
} // prettier-ignore

/** The options with names and places corrected, and the faults of the names. */
export interface Meant {
  readonly options: Given
  readonly cookie: Given
  readonly faults: readonly OptionFault[]
}

export function meantBy(options: Given, cookie: Given): Meant {
  const top = sorted(options, sessionOptionNames, cookieNames)
  const inner = sorted(cookie, cookieNames, sessionOptionNames)
  const names = (pairs: Sorted['misplaced']) => pairs.map(([, right]) => right).join(', ')
  return {
    options: { ...inner.elsewhere, ...top.meant },
    cookie: { ...top.elsewhere, ...inner.meant },
    faults: [
      ...nameFaults(top, 'session() has no option', {
        place: `cookie: { ${names(top.misplaced)} }`,
        known: `Its options are ${sessionOptionNames.join(', ')}`,
      }),
      ...nameFaults(inner, 'The option cookie of session() has no attribute', {
        place: `session({ ${names(inner.misplaced)}, cookie })`,
        known: `Its attributes are ${cookieNames.join(', ')}`,
      }),
    ],
  }
}

interface Sorted {
  /** What belongs here, by its right name. */
  readonly meant: Record<string, unknown>
  /** What belongs in the other place, by its right name there. */
  readonly elsewhere: Record<string, unknown>
  /** Wrong names and the right ones. */
  readonly misspelled: readonly [wrong: string, right: string][]
  readonly misplaced: readonly [wrong: string, right: string][]
  readonly unknown: readonly string[]
}

function sorted(given: Given, own: readonly string[], other: readonly string[]): Sorted {
  const meant: Record<string, unknown> = {}
  const elsewhere: Record<string, unknown> = {}
  const misspelled: [string, string][] = []
  const misplaced: [string, string][] = []
  const unknown: string[] = []
  // Inherited ones too: options are often made with Object.create(defaults).
  for (const name in given) {
    const value = given[name]
    if (own.includes(name) || name === 'originalMaxAge') {
      meant[name] = value
    } else if (value !== undefined) {
      const right = (otherNames[name] as string | undefined) ?? suggested(name, [...own, ...other])
      if (right === undefined) {
        unknown.push(name)
      } else if (own.includes(right)) {
        misspelled.push([name, right])
        if (!(right in given)) meant[right] = value
      } else {
        misplaced.push([name, right])
        elsewhere[right] = value
      }
    }
  }
  return { meant, elsewhere, misspelled, misplaced, unknown }
}

function nameFaults(
  { misspelled, misplaced, unknown }: Sorted,
  lead: string,
  cure: { readonly place: string; readonly known: string },
): OptionFault[] {
  const without = (names: readonly string[], advice: string): OptionFault => ({
    code: 'COATCHECK_UNKNOWN_OPTION',
    message: `${lead} ${names.map(shown).join(', ')}: without effect. ${advice}.`,
  })
  const wrong = misplaced.map(([name]) => name)
  return [
    ...misspelled.map(([name, right]) => without([name], `Write ${right}`)),
    ...(wrong.length > 0 ? [without(wrong, `Write ${cure.place}`)] : []),
    ...(unknown.length > 0 ? [without(unknown, cure.known)] : []),
  ]
}
