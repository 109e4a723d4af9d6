import { readFileSync } from 'node:fs'
import type { PoolOptions, SslOptions } from 'mysql2'
import { optionError } from '../../core/errors.ts'
import { assertFitsTimer } from '../../core/lifetime.ts'
import { askForTLS, tlsOptions, verifiedTLS } from './mysql-tls.ts'

/** What mysql2 reads in a URL behind the `?`, and `ssl-ca`, which is ours. */
const parameterNames = [
  'bigNumberStrings', 'charset', 'charsetNumber', 'compress', 'connectAttributes', 'connectTimeout', 'connectionLimit',
  'dateStrings', 'debug', 'decimalNumbers', 'disableEval', 'enableCleartextPlugin', 'enableKeepAlive', 'flags', 'gracefulEnd',
  'idleTimeout', 'insecureAuth', 'jsonStrings', 'keepAliveInitialDelay', 'localAddress', 'maxIdle', 'maxPreparedStatements',
  'multipleStatements', 'namedPlaceholders', 'nestTables', 'password1', 'password2', 'password3', 'passwordSha1', 'queueLimit',
  'resetOnRelease', 'rowsAsArray', 'socketPath', 'ssl', 'ssl-ca', 'stringifyObjects', 'supportBigNumbers', 'timezone', 'trace',
  'typeCast', 'waitForConnections',
] // prettier-ignore

/** What else mysql2 takes in an object. */
const optionNames = [
  ...parameterNames.filter((name) => name !== 'ssl-ca'),
  'authPlugins', 'authSwitchHandler', 'database', 'host', 'infileStreamFactory', 'isServer', 'password', 'pool', 'port',
  'Promise', 'queryFormat', 'stream', 'uri', 'user',
] // prettier-ignore

const askForCA =
  'Name the authority by ?ssl-ca=/path/to/ca.pem in DATABASE_URL, or by ssl: { ca } in pool options'

/** What other drivers and clients call these, in lower case and without dashes, and what to write here. */
const foreignNames: readonly (readonly [names: string, advice: string])[] = [
  ['sslmode tls usessl requiressl verifyservercertificate sslaccept sslidentity encrypt secure', askForTLS],
  ['sslrootcert sslcert sslcapath tlscafile serversslcert', askForCA],
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
 * What the driver makes a pool of: the app's pool options, and the URL in them read. Where they ask for TLS, the
 * server is verified.
 *
 * @throws ERR_SESSION_OPTION, never with a value in it
 */
export function resolvePoolOptions(given: PoolOptions): PoolOptions {
  const { uri, ...beside } = defined(given)
  const options: PoolOptions = { ...(uri !== undefined && optionsOfURL(uri)), ...beside }
  const host = options.host ?? (options.uri === undefined ? undefined : new URL(options.uri).hostname)
  assertFitsTimer('connectTimeout', Number(options.connectTimeout ?? 0))
  const ssl = verifiedTLS(options.ssl, host)
  return { ...options, ssl: ssl as SslOptions }
}

/** @throws ERR_SESSION_OPTION for a name that mysql2 does not have: it would be without effect */
export function refuseUnknownPoolOptions(options: object): void {
  for (const name of Object.keys(options)) {
    if (optionNames.includes(name)) continue
    const advice =
      adviceFor(name, optionNames) ??
      'Check its spelling, or pass in a pool of your own that createPool of mysql2 made'
    throw optionError(
      `The pool options of MySQLStore have ${JSON.stringify(name)}, which the mysql2 driver does not know. ${advice}.`,
    )
  }
}

/** @throws ERR_SESSION_OPTION, never with the password in it */
export function optionsOfURL(url: unknown): PoolOptions {
  const example = 'Set DATABASE_URL to mysql://user:password@host:3306/database.'
  if (url === undefined || url === '') throw optionError(`MySQLStore was given no URL. ${example}`)
  const parsed = typeof url === 'string' ? parsedURL(url) : undefined
  if (!parsed) throw optionError(`MySQLStore cannot read its URL. ${example}`)
  const { protocol, pathname, searchParams } = parsed
  if (protocol !== 'mysql:' && protocol !== 'mariadb:') {
    throw optionError(`MySQLStore needs a URL that begins with mysql://, not ${protocol}//. ${example}`)
  }
  if (pathname.length <= 1) throw optionError(`The URL of MySQLStore names no database. ${example}`)
  refuseUnknownParameters(searchParams)
  const ssl = tlsOf(searchParams)
  // The driver is not to read these again.
  for (const name of ['ssl', 'ssl-ca']) searchParams.delete(name)
  const options: PoolOptions = { uri: parsed.href, ssl: ssl as SslOptions }
  // Of the two, the driver takes what stands beside the URL.
  const connectTimeout = Number(searchParams.get('connectTimeout'))
  if (connectTimeout > 0) options.connectTimeout = connectTimeout
  return options
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

/** What somebody who wrote `name` probably means. */
function adviceFor(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
  const meant = known.find((one) => plain(one) === plain(name))
  if (meant !== undefined) return `Write ${meant}`
  return foreignNames.find(([names]) => names.split(' ').includes(plain(name)))?.[1]
}

/** `ssl` as the driver would read it: JSON, or else the name of a profile; and the authority of `ssl-ca` with it, which asks for TLS too. */
function tlsOf(parameters: URLSearchParams): unknown {
  const [text, file] = [parameters.get('ssl'), parameters.get('ssl-ca')]
  const ssl: unknown = text === null ? undefined : parsedJSON(text)
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

/** Inherited ones too: options are often made with Object.create(defaults). */
function defined(options: PoolOptions): PoolOptions {
  const own: Record<string, unknown> = {}
  for (const name in options) {
    const value = options[name as keyof PoolOptions]
    if (value !== undefined) own[name] = value
  }
  return own
}
