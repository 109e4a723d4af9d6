/** What to write in place of an option that is not there, by its name. Each is a sentence, and names the option. */
type Hints = Readonly<Record<string, string>>

/** The same sentence for several names. */
function forEach(names: readonly string[], sentence: (name: string) => string): Hints {
  return Object.fromEntries(names.map((name) => [name, sentence(name)]))
}

const lengthOfLife = (name: string) =>
  `In place of ${name} write lifetime: { idle: '1d', absolute: '30d' }, which counts milliseconds where it is a number; cookie: { persistent: true } keeps the cookie when the browser closes.`

const origins = (name: string) => `In place of ${name} write sites: ['https://app.example.com'].`

/** Options of express-session that have no counterpart. */
const ofExpressSession: Hints = {
  resave: 'Leave resave out: without a change, nothing is saved.',
  saveUninitialized: 'Leave saveUninitialized out: a new session is saved once it holds data or a user.',
  rolling:
    'Leave rolling out: each use of a session extends it by lifetime.idle, and cookie: { persistent: true } keeps the cookie when the browser closes.',
  unset: 'Leave unset out, and end a session by await req.session.signOut().',
  genid:
    "Leave genid out: an id of your own is not possible, because the token is made of the session's id and a random secret.",
}

const cookieAttributes = [
  'name', 'domain', 'path', 'httpOnly', 'secure', 'sameSite', 'partitioned', 'priority', 'persistent',
] as const // prettier-ignore

/** Hints for `createSessions`: names of express-session, of other libraries, and of the wrong place. */
const ofSessions: Hints = {
  ...ofExpressSession,
  ...forEach(cookieAttributes, (name) => `Write cookie: { ${name} }.`),
  ...forEach(['key', 'cookieName'], (name) => `In place of ${name} write cookie: { name }.`),
  ...forEach(['skip', 'whenUnavailable', 'proxy'], (name) => `Write session(sessions, { ${name} }).`),
  ...forEach(['trustProxy', 'secureProxy'], (name) => `In place of ${name} write session(sessions, { proxy: true }).`),
  ...forEach(['idle', 'absolute'], (name) => `Write lifetime: { ${name} }.`),
  ...forEach(['maxAge', 'expires', 'ttl', 'expiration', 'duration', 'activeDuration'], lengthOfLife),
  ...forEach(['secrets', 'keys', 'password'], (name) => `In place of ${name} write secret, which takes a list too: secret: [newSecret, oldSecret].`),
  ...forEach(['origin', 'origins', 'allowedOrigins', 'trustedOrigins', 'cors'], origins),
  ...forEach(['csrfProtection', 'csrfToken', 'xsrf'], (name) => `Leave ${name} out: the check against forged requests is on by default, and the option csrf sets it.`),
  ...forEach(['table', 'tableName', 'schema'], (name) => `Give ${name} to the store: new MySQLStore(url, { table }).`),
  ...forEach(['createTable', 'createDatabaseTable'], (name) => `Give ${name} to the store: new MySQLStore(url, { createTable }).`),
  ...forEach(['clearExpired', 'checkExpirationInterval', 'checkPeriod', 'pruneSessionInterval'], (name) => `In place of ${name} write sweep: { every: '10m' }, or sweep: false.`),
} // prettier-ignore

const ofCookie: Hints = {
  ...forEach(['maxAge', 'expires', 'originalMaxAge'], (name) => `In place of cookie.${name} write lifetime: { idle: '1d', absolute: '30d' } beside cookie; cookie: { persistent: true } keeps the cookie when the browser closes.`),
  key: 'In place of key write cookie: { name }.',
  signed: 'Leave signed out: the cookie is always signed.',
  ...forEach(['proxy', 'trustProxy'], (name) => `In place of ${name} write session(sessions, { proxy: true }).`),
} // prettier-ignore

const ofMiddleware: Hints = {
  ...ofExpressSession,
  ...forEach(['cookie', 'lifetime', 'store', 'secret', 'sites', 'csrf', 'touchAfter', 'userOf', 'sizeLimit'], (name) => `Give ${name} to createSessions.`),
  name: 'In place of name give cookie: { name } to createSessions.',
  maxAge: 'In place of maxAge give lifetime to createSessions.',
  trustProxy: 'In place of trustProxy write proxy.',
} // prettier-ignore

const ofCors: Hints = {
  ...forEach(['origin', 'origins', 'allowedOrigins'], (name) => `In place of ${name} give sites to createSessions.`),
  credentials: 'Leave credentials out: pages of the sites may always send the cookie.',
  ...forEach(['preflightContinue', 'optionsSuccessStatus'], (name) => `Leave ${name} out: every preflight is answered, with status 204.`),
} // prettier-ignore

const ofMySQLStore: Hints = {
  ...forEach(['schema', 'tableName'], (name) => `In place of ${name} write table.`),
  createDatabaseTable: 'In place of createDatabaseTable write createTable.',
  ...forEach(['expiration', 'ttl'], (name) => `In place of ${name} give lifetime to createSessions.`),
  ...forEach(['clearExpired', 'checkExpirationInterval'], (name) => `In place of ${name} give sweep to createSessions.`),
} // prettier-ignore

/** By what takes the options, as messages name it. */
const hints: Readonly<Record<string, Hints>> = {
  createSessions: ofSessions,
  cookie: ofCookie,
  session: ofMiddleware,
  'cors(sessions)': ofCors,
  MySQLStore: ofMySQLStore,
}

/**
 * The message about options that are not there. For each of them that is known from elsewhere, it says what to write;
 * if there are others, it lists the options that there are.
 *
 * @param what what was given them, such as `'createSessions'`.
 */
export function unknownOptionsMessage(
  what: string,
  unknown: readonly string[],
  known: readonly string[],
): string {
  const hinted = unknown.map((name) => hintFor(what, name, known))
  const sentences = [...new Set(hinted.filter((hint) => hint !== undefined))]
  if (hinted.includes(undefined)) sentences.push(`Its options are ${known.join(', ')}.`)
  if (what === 'createSessions' && unknown.some((name) => Object.hasOwn(ofExpressSession, name))) {
    sentences.push(
      'Or write session(options) without createSessions, which takes the options of express-session.',
    )
  }
  const names = unknown.map((name) => JSON.stringify(name)).join(', ')
  return `${what} has no option ${names}. ${sentences.join(' ')}`
}

function hintFor(what: string, name: string, known: readonly string[]): string | undefined {
  const own = hints[what]
  if (own !== undefined && Object.hasOwn(own, name)) return own[name]
  const same = known.find((each) => plain(each) === plain(name))
  return same === undefined ? undefined : `In place of ${name} write ${same}.`
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z\d]/g, '')
}

/** What to write in place of a value of `cookie.sameSite` that express-session takes. It goes at the end of a message. */
export function sameSiteHint(value: unknown): string {
  if (value === true) return " For express-session's true write 'strict'."
  if (value === false) return " Leave it out: 'auto' is 'lax' unless pages of other sites need the cookie."
  const lower = typeof value === 'string' ? value.toLowerCase() : ''
  return ['lax', 'strict', 'none'].includes(lower) ? ` Write '${lower}'.` : ''
}
