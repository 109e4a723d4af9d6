import { readFileSync } from 'node:fs'
import type { PoolOptions, SslOptions } from 'mysql2'
import { optionError } from '../../core/errors.js'
import { assertFitsTimer, longestTimer } from '../../core/lifetime.js'
import { askForTLS, tlsOptions, verifiedTLS } from './tls.js'

/** The parameters that mysql2 reads in a URL, and `ssl-ca`, which is coatcheck's own. */
const parameterNames = [
  'bigNumberStrings', 'charset', 'charsetNumber', 'compress', 'connectAttributes', 'connectTimeout', 'connectionLimit',
  'dateStrings', 'debug', 'decimalNumbers', 'disableEval', 'enableCleartextPlugin', 'enableKeepAlive', 'flags', 'gracefulEnd',
  'idleTimeout', 'insecureAuth', 'jsonStrings', 'keepAliveInitialDelay', 'localAddress', 'maxIdle', 'maxPreparedStatements',
  'multipleStatements', 'namedPlaceholders', 'nestTables', 'password1', 'password2', 'password3', 'passwordSha1', 'queueLimit',
  'resetOnRelease', 'rowsAsArray', 'socketPath', 'ssl', 'ssl-ca', 'stringifyObjects', 'supportBigNumbers', 'timezone', 'trace',
  'typeCast', 'waitForConnections',
] // prettier-ignore

/** All options that mysql2 takes in an object. */
const optionNames = [
  ...parameterNames.filter((name) => name !== 'ssl-ca'),
  'authPlugins', 'authSwitchHandler', 'database', 'host', 'infileStreamFactory', 'isServer', 'password', 'pool', 'port',
  'Promise', 'queryFormat', 'stream', 'uri', 'user',
] // prettier-ignore

/** Options that are numbers. The driver makes something else of other values, such as a wait of 1 ms of `true`. */
const numberNames = [
  'connectTimeout', 'idleTimeout', 'keepAliveInitialDelay', 'connectionLimit', 'maxIdle', 'queueLimit',
] as const // prettier-ignore

const askForCA =
  'Name the authority by ?ssl-ca=/path/to/ca.pem in DATABASE_URL, or by ssl: { ca } in pool options'

/** Names of such options in other drivers and clients, in lower case and without dashes, and what to write here. */
const foreignNames: readonly (readonly [names: string, advice: string])[] = [
  [
    'sslmode tls usessl requiressl verifyservercertificate sslaccept sslidentity rejectunauthorized encrypt secure',
    askForTLS,
  ],
  ['sslrootcert sslcert sslca sslcapath tlscafile serversslcert ca', askForCA],
  ['poolsize maxpoolsize', 'Write connectionLimit'],
  ['socket unixsocket', 'Write socketPath'],
  ['servertimezone', 'Write timezone'],
  ['characterencoding', 'Write charset'],
  [
    'host port user username password database',
    'It goes before the "?": mysql://user:password@host:3306/database',
  ],
]

/**
 * The options for the driver's pool: the app's pool options, with the URL in them already read. If they ask for TLS,
 * the server is verified.
 *
 * @throws ERR_SESSION_OPTION, never with a value in it.
 */
export function resolvePoolOptions(given: PoolOptions): PoolOptions {
  const { uri, ...beside } = defined(given)
  const fromURL = uri === undefined ? undefined : readURL(uri)
  const options: PoolOptions = { ...fromURL?.options, ...beside }
  for (const name of numberNames) {
    if (options[name] !== undefined) options[name] = numberFrom(name, options[name])
  }
  assertFitsTimer('connectTimeout', options.connectTimeout ?? 0)
  const ssl = verifiedTLS(options.ssl, options.host ?? fromURL?.hostname)
  return { ...options, ssl: ssl as SslOptions }
}

/** @throws ERR_SESSION_OPTION for an option that mysql2 does not have, which would have no effect. */
export function refuseUnknownPoolOptions(options: object): void {
  const [unknown] = unknownPoolOptions(options)
  if (unknown === undefined) return
  throw optionError(
    `The pool options of MySQLStore have ${JSON.stringify(unknown.name)}, which the mysql2 driver does not know. ${unknown.advice}.`,
  )
}

/**
 * The pool options for a store that accepts what express-mysql-session accepted. Options without effect are dropped,
 * with a warning. A `connectTimeout` that is longer than a timer can wait is shortened.
 *
 * @param warn called with a message for each dropped option.
 * @throws ERR_SESSION_OPTION for a dropped option that asks for TLS: the connection would be plain.
 */
export function toleratedPoolOptions(given: PoolOptions, warn: (message: string) => void): PoolOptions {
  const options = defined(given)
  for (const { name, advice } of unknownPoolOptions(options)) {
    const value = options[name as keyof PoolOptions] as unknown
    if (value !== false && asksForTLS(advice)) refuseUnknownPoolOptions({ [name]: value })
    delete options[name as keyof PoolOptions]
    warn(
      `The mysql2 driver has no option ${JSON.stringify(name)}; it is without effect in MySQLStore. ${advice}.`,
    )
  }
  for (const name of numberNames) {
    if (options[name] === undefined) continue
    try {
      options[name] = numberFrom(name, options[name])
    } catch (error) {
      delete options[name]
      warn(`${(error as Error).message} It is without effect in MySQLStore.`)
    }
  }
  if (Number(options.connectTimeout) > longestTimer) options.connectTimeout = longestTimer
  return options
}

/** The options that mysql2 does not have, and what to write instead. */
function unknownPoolOptions(options: object): { readonly name: string; readonly advice: string }[] {
  const unknown = []
  for (const name in options) {
    if (optionNames.includes(name)) continue
    const advice =
      adviceFor(name, optionNames) ??
      'Check its spelling, or pass in a pool of your own that createPool of mysql2 made'
    unknown.push({ name, advice })
  }
  return unknown
}

function asksForTLS(advice: string): boolean {
  return [askForTLS, askForCA, 'Write ssl'].includes(advice)
}

/** @throws ERR_SESSION_OPTION. */
function numberFrom(name: string, value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  if (typeof number === 'number' && number >= 0) return number
  const unit = /Timeout|Delay/.test(name) ? ' of milliseconds' : ''
  throw optionError(`${name} must be a number${unit}, at least 0.`)
}

/** A URL that was read: the options for the driver, and the host name that the certificate must have. */
interface ReadURL {
  readonly options: PoolOptions
  readonly hostname: string
}

/** @throws ERR_SESSION_OPTION, never with the password in it. */
function readURL(url: unknown): ReadURL {
  const example = 'Set DATABASE_URL to mysql://user:password@host:3306/database.'
  if (url === '') throw optionError(`MySQLStore was given no URL. ${example}`)
  const parsed = typeof url === 'string' ? parsedURL(url) : undefined
  if (!parsed) throw optionError(`MySQLStore cannot read its URL. ${example}`)
  const { protocol, pathname, searchParams, hostname, hash } = parsed
  // Everything behind the "#", such as ?ssl=true, would have no effect.
  if (hash !== '')
    throw optionError(`The URL of MySQLStore has a "#". In a password it is written %23. ${example}`)
  if (protocol !== 'mysql:' && protocol !== 'mariadb:') {
    throw optionError(`MySQLStore needs a URL that begins with mysql://, not ${protocol}//. ${example}`)
  }
  if (pathname.length <= 1) throw optionError(`The URL of MySQLStore names no database. ${example}`)
  refuseUnknownParameters(searchParams)
  const options: Record<string, unknown> = { ssl: tlsOf(searchParams) }
  for (const name of numberNames) {
    if (searchParams.has(name)) options[name] = searchParams.get(name)
  }
  // Remove these, so that the driver does not read them again.
  for (const name of ['ssl', 'ssl-ca', ...numberNames]) searchParams.delete(name)
  return { options: { ...options, uri: parsed.href }, hostname }
}

function parsedURL(url: string): URL | undefined {
  try {
    return new URL(url)
  } catch {
    return undefined
  }
}

function refuseUnknownParameters(parameters: URLSearchParams): void {
  for (const name of parameters.keys()) {
    if (parameters.getAll(name).length > 1) {
      throw optionError(
        `The URL of MySQLStore has the parameter ${JSON.stringify(name)} twice. Leave one out.`,
      )
    }
    if (parameterNames.includes(name)) continue
    const advice = adviceFor(name, parameterNames) ?? `Its parameters are ${parameterNames.join(', ')}`
    throw optionError(
      `The URL of MySQLStore has the parameter ${JSON.stringify(name)}, which it does not know. ${advice}.`,
    )
  }
}

/** What to write in place of an unknown `name`, by what was probably meant. */
function adviceFor(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const meant = known.find((one) => plain(one) === plain(name))
  if (meant !== undefined) return `Write ${meant}`
  const foreign = foreignNames.find(([names]) => names.split(' ').includes(plain(name)))
  return foreign?.[1] ?? (/ssl|tls/.test(plain(name)) ? askForTLS : undefined)
}

/**
 * The parameter `ssl` as the driver would read it: JSON, or else the name of a profile. `ssl-ca` adds an authority, and
 * asks for TLS too.
 */
function tlsOf(parameters: URLSearchParams): unknown {
  const [text, file] = [parameters.get('ssl'), parameters.get('ssl-ca')]
  const ssl: unknown = text === null ? undefined : parsedJSON(text)
  if (ssl === null) throw optionError(`The URL of MySQLStore has ssl=null. ${askForTLS}; or write ssl=false.`)
  if (file === null) return ssl
  if (ssl === false) {
    throw optionError('The URL of MySQLStore has ssl=false and an ssl-ca. Leave one of the two out.')
  }
  return { ...tlsOptions(ssl ?? true), ca: authorityIn(file) }
}

function parsedJSON(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function authorityIn(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw optionError(
      `The file that ssl-ca names in the URL of MySQLStore cannot be read: ${String((error as NodeJS.ErrnoException).code)}. Give the path of the authority's certificate, in PEM.`,
    )
  }
}

/** The options that are set, inherited ones too: options are often made with Object.create(defaults). */
function defined(options: PoolOptions): PoolOptions {
  const own: Record<string, unknown> = {}
  for (const name in options) {
    const value = options[name as keyof PoolOptions]
    if (value !== undefined && !(name === 'ssl' && value === null)) own[name] = value
  }
  return own
}
