import { isRegExp } from 'node:util/types'
import { mistakenFor } from '../core/argument.js'
import { shown } from '../core/errors.js'
import type { CorsOptions } from './cors.js'
import { isText } from './cors-origin.js'
import { hostileOriginOf } from './hostile-origins.js'
import { faultOfOrigin } from './origin-text.js'

/**
 * A warning of an option that the cors package accepts, though it is unsafe or has no effect; and what to write
 * instead.
 */
export interface CorsWarning {
  readonly code:
    'COATCHECK_CORS_OPEN' | 'COATCHECK_CORS_ORIGIN' | 'COATCHECK_CORS_OPTION' | 'COATCHECK_UNKNOWN_OPTION'
  readonly message: string
}

interface Rule {
  readonly holds: (value: unknown) => boolean
  readonly cure: string
}

const names: Rule = { holds: isNameList, cure: "Write names, such as 'A,B' or ['A', 'B']." }
const isFlag = (value: unknown) => typeof value === 'boolean'

const rules: Readonly<Record<Exclude<keyof CorsOptions, 'origin'>, Rule>> = {
  methods: names,
  allowedHeaders: names,
  headers: names,
  exposedHeaders: names,
  credentials: { holds: isFlag, cure: 'Nothing but true allows credentials. Write true or false.' },
  maxAge: {
    holds: (value) => /^\d{0,15}$/.test(String(value)),
    cure: 'Browsers read whole seconds. Write 600 for ten minutes, 0 for not at all.',
  },
  preflightContinue: {
    holds: isFlag,
    cure: 'It counts as true unless it is empty or 0. Write true or false.',
  },
  optionsSuccessStatus: {
    holds: (value) => /^2\d\d$/.test(String(value)),
    cure: 'Browsers refuse a preflight with any other status than 200 to 299.',
  },
}

export const corsOptionNames: readonly string[] = ['origin', ...Object.keys(rules)]

/** What to warn of at start-up. */
export function warningsOf(options: object): CorsWarning[] {
  const mistake = mistakenFor(options, corsOptionNames)
  if (mistake === undefined) return [...warningsOfForm(options), ...warningsOfOrigin(options)]
  return [
    {
      code: 'COATCHECK_CORS_OPTION',
      message: `cors() was given ${mistake}, which has no options: every site may read. Write cors({ origin: 'https://app.example.com' }).`,
    },
  ]
}

/** Warnings of all options but `origin`: a function that gives options may have checked the request's origin itself. */
export function warningsOfForm(options: object): CorsWarning[] {
  const warnings: CorsWarning[] = []
  const warn = (message: string, code: CorsWarning['code'] = 'COATCHECK_CORS_OPTION') =>
    warnings.push({ code, message: `cors: ${message}` })

  for (const name of Object.keys(options)) {
    if (corsOptionNames.includes(name)) continue
    warn(
      `there is no option ${shown(name)}; it is without effect. The options are ${corsOptionNames.join(', ')}.`,
      'COATCHECK_UNKNOWN_OPTION',
    )
  }
  for (const name of corsOptionNames) {
    if (name in options && !Object.hasOwn(options, name)) {
      warn(`${name} is inherited, and only an object's own options are read. Write cors({ ${name}: … }).`)
    }
  }
  const given = { ...options } as CorsOptions
  for (const [name, { holds, cure }] of Object.entries(rules)) {
    const value: unknown = Reflect.get(given, name)
    if (value === undefined || value === null) continue
    if (!holds(value)) warn(`${name} is ${shown(value)}. ${cure}`)
    // Fetch standard, "HTTP new-header syntax": with credentials, `*` is a name like any other.
    else if (given.credentials === true && (value === '*' || (Array.isArray(value) && value.includes('*')))) {
      warn(`${name} has '*', which means nothing to browsers with credentials: true. List the names.`)
    }
  }
  return warnings
}

/** Warnings of `origin`: one of entries that match no origin, and one of entries that allow too much. */
function warningsOfOrigin(options: CorsOptions): CorsWarning[] {
  const { origin = 'origin' in options ? undefined : '*', credentials } = options
  if (origin === false || typeof origin === 'function') return []
  if (!origin) {
    const message = `cors: origin is ${shown(origin)}, which allows no origin. Is its environment variable set? Write false if this is meant.`
    return [{ code: 'COATCHECK_CORS_ORIGIN', message }]
  }
  if (origin === '*') return credentials === true ? [wildcardWithCredentials] : []

  const entries: readonly unknown[] = Array.isArray(origin) ? origin.flat(Infinity) : [origin]
  const faults = entries.map(faultOfEntry).filter((fault) => fault !== undefined)
  const openings = entries
    .map((entry) => openingOf(entry, credentials === true))
    .filter((opening) => opening !== undefined)
  const warnings: CorsWarning[] = []
  if (faults.length > 0) {
    warnings.push({
      code: 'COATCHECK_CORS_ORIGIN',
      message: `cors: in origin, ${faults.join(' And ')}`,
    })
  }
  if (openings.length > 0) {
    warnings.push({
      code: 'COATCHECK_CORS_OPEN',
      message: `cors: origin ${openings.join(', and ')}.${credentials === true ? ' With credentials: true, they may read what visitors see when signed in.' : ''} ${cure}`,
    })
  }
  return warnings
}

const cure =
  "List the origins that you trust, like ['https://app.example.com']. Begin an expression with ^https:\\/\\/, end it with $ and escape its dots."

const wildcardWithCredentials: CorsWarning = {
  code: 'COATCHECK_CORS_ORIGIN',
  message:
    "cors: origin '*' with credentials: true is of no use: no browser hands such an answer to a page. List the origins that you trust, like ['https://app.example.com'], or leave credentials out.",
}

/** Why an entry matches no origin; `undefined` if it may match one. */
function faultOfEntry(entry: unknown): string | undefined {
  if (isRegExp(entry) || entry === 'null') return undefined
  if (!isText(entry)) return entry ? undefined : `${shown(entry)} is no origin. Leave it out.`
  const text = String(entry)
  if (text === '') return '"" is no origin. Leave it out.'
  if (text === '*')
    return '"*" is no wildcard within a list. Write origin: \'*\' in place of the list: it works without credentials alone.'
  if (text.includes('*')) {
    return `${shown(text)} is no pattern here. Write an expression, such as /^https:\\/\\/[a-z0-9-]+\\.example\\.com$/, or give it to createSessions as one of its sites and use cors(sessions).`
  }
  return faultOfOrigin(text, "Write an origin like 'https://app.example.com'.")
}

/** Whom an entry allows, probably by mistake; `undefined` if nobody. */
function openingOf(entry: unknown, credentials: boolean): string | undefined {
  if (isText(entry))
    return credentials && entry === 'null' ? "'null' lets in the sandboxed frames of every site" : undefined
  if (isRegExp(entry)) {
    const hostile = credentials ? hostileOriginOf(entry) : undefined
    return hostile && `${String(entry)} lets in ${hostile}`
  }
  if (!entry || (entry === true && !credentials)) return undefined
  return `${shown(entry)} ${entry === true ? '' : 'counts as true, and '}lets in every site`
}

/** Whether a value is a list of names, separated by commas (RFC 9110, section 5.6.1, which allows empty elements). */
function isNameList(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((part) => typeof part === 'string' && isNameList(part))
  return (
    typeof value === 'string' &&
    value.split(',').every((part) => /^[ \t]*(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]*)?$/.test(part))
  )
}
