import { shown } from '../../core/errors.js'
import { mostAttributeBytes } from '../../http/cookie.js'
import { Cookie, type CookieAttributes } from './cookie.js'
import { MemoryStore } from '../bridge/memory-store.js'
import { type Given, meantBy, type OptionFault } from './option-names.js'
import { otherFormFaults } from './other-form.js'

/** All faults of `session(options)`, each once. What only follows from a wrong name is left out: the name is reported. */
export function faultsOf(options: object): OptionFault[] {
  const given = options as Given
  const cookie = (typeof given['cookie'] === 'object' ? (given['cookie'] ?? {}) : {}) as Given
  const meant = meantBy(given, cookie)
  const now = Date.now()
  return [
    ...meant.faults,
    ...otherFormFaults(meant),
    ...common(valueFaults(given, cookie, now), valueFaults(meant.options, meant.cookie, now)),
  ]
}

/** The faults of what a function of the request gave as `cookie`. Fixed dates are fine there: they are made for one request. */
export function faultsOfCookie(cookie: object, name: string): OptionFault[] {
  const meant = meantBy({}, cookie as Given)
  return [
    ...meant.faults,
    ...common(attributeFaults(cookie as Given, name), attributeFaults(meant.cookie, name)),
  ]
}

/** The faults of the options as given that remain once the names are corrected. */
function common(inEffect: readonly OptionFault[], meant: readonly OptionFault[]): OptionFault[] {
  return inEffect.filter(({ message }) => meant.some((other) => other.message === message))
}

function valueFaults(given: Given, cookie: Given, now: number): OptionFault[] {
  const { name, key } = given
  return [
    ...secretFaults(given),
    ...textFaults(given, ['resave', 'saveUninitialized', 'rolling'], ''),
    ...proxyFaults(given),
    ...storeFaults(given),
    ...(key && name && key !== name
      ? [fault('key has no effect beside name, which wins. Leave key out.')]
      : []),
    ...attributeFaults(cookie, String(name || key)),
    ...momentFaults(cookie, now),
  ]
}

function fault(message: string): OptionFault {
  return { code: 'COATCHECK_OPTION', message }
}

function cookieFault(message: string): OptionFault {
  return { code: 'COATCHECK_COOKIE', message }
}

/** Whether it is a text such as 'false', which counts as true. Environment variables give them. */
export function isFalseText(value: unknown): boolean {
  return typeof value === 'string' && /^(false|no|off|0|null|undefined)$/i.test(value)
}

function textFaults(given: Given, names: readonly string[], prefix: string): OptionFault[] {
  return names
    .filter((name) => isFalseText(given[name]))
    .map((name) =>
      fault(
        `${prefix}${name} is the text ${shown(given[name])}, which counts as true. Write false, without quotes.`,
      ),
    )
}

function secretFaults({ secret }: Given): OptionFault[] {
  if (secret) return []
  const message =
    'session() was given no secret: requests on which no req.secret is set, as cookie-parser does, will fail. Write session(createSessions({ store, secret })), or session({ store, secret }) with the options of express-session.'
  return [{ code: 'COATCHECK_SECRET', message }]
}

function proxyFaults({ proxy }: Given): OptionFault[] {
  if (proxy === undefined || proxy === null || typeof proxy === 'boolean') return []
  return [fault(`proxy is ${shown(proxy)}, which has no effect: only true and false have.`)]
}

function storeFaults(given: Given): OptionFault[] {
  const { store } = given
  if (process.env['NODE_ENV'] !== 'production' || (store && !(store instanceof MemoryStore))) return []
  const why = !store && 'store' in given ? `store is ${shown(store)}, so sessions` : 'Sessions'
  return [
    {
      code: 'COATCHECK_MEMORY_STORE',
      message: `${why} are kept in the memory of this process: they end with it, and no other process knows them. Give a store that lasts, such as new MySQLStore(url) of coatcheck/mysql.`,
    },
  ]
}

function attributeFaults(cookie: Given, name: string): OptionFault[] {
  const { httpOnly, path } = cookie
  return [
    ...(typeof path === 'string' && Buffer.byteLength(path) > mostAttributeBytes
      ? [
          cookieFault(
            `cookie.path is longer than ${mostAttributeBytes} bytes, so browsers ignore it. Give a shorter one.`,
          ),
        ]
      : []),
    ...textFaults(cookie, ['secure', 'httpOnly', 'partitioned'], 'cookie.'),
    ...secureFaults(cookie, name),
    ...('httpOnly' in cookie && !httpOnly
      ? [
          cookieFault(
            `cookie.httpOnly is ${shown(httpOnly)}, so scripts can read the session cookie. Leave it out.`,
          ),
        ]
      : []),
    ...(typeof path === 'string' && path !== '' && !path.startsWith('/')
      ? [
          cookieFault(
            `cookie.path ${shown(path)} matches no request, so none has a session: a path begins with "/".`,
          ),
        ]
      : []),
  ]
}

/** Attributes for which browsers drop the cookie, because another one is missing. */
function secureFaults(cookie: Given, name: string): OptionFault[] {
  const { secure, sameSite, partitioned, domain, path } = cookie
  const hostOnly = name.startsWith('__Host-')
  const none = String(sameSite).toLowerCase() === 'none'
  if (none && secure === 'auto') {
    return [
      cookieFault(
        "cookie.sameSite 'none' needs HTTPS: with cookie.secure 'auto' write cookie.sameSite 'auto' too.",
      ),
    ]
  }
  const needing = [
    ...(none ? ["cookie.sameSite 'none'"] : []),
    ...(partitioned ? ['cookie.partitioned'] : []),
    ...(hostOnly || name.startsWith('__Secure-') ? [`name ${shown(name)}`] : []),
  ]
  const insecure = needing.length > 0 && !secure
  return [
    ...(insecure
      ? [
          cookieFault(
            `${needing.join(' and ')} ${needing.length > 1 ? 'need' : 'needs'} cookie.secure true: browsers drop the cookie otherwise.`,
          ),
        ]
      : []),
    ...(hostOnly && (domain || (path ?? '/') !== '/')
      ? [
          cookieFault(
            `name ${shown(name)} needs cookie.path '/' and no cookie.domain: browsers drop the cookie otherwise.`,
          ),
        ]
      : []),
  ]
}

const year = 365 * 86_400_000

/** The cookie's length of life: set by one option, and not a fixed date for all visitors. */
function momentFaults(given: Given, now: number): OptionFault[] {
  const { maxAge, expires } = given
  if (maxAge && typeof maxAge !== 'number' && !(maxAge instanceof Date)) return []
  const { expires: end, originalMaxAge: length } = new Cookie(given as CookieAttributes)
  const write = (milliseconds: number) => {
    const minutes = Math.round(milliseconds / 60_000)
    return minutes > 0 ? `Write cookie.maxAge: ${minutes * 60_000}.` : 'Write cookie.maxAge.'
  }
  if (typeof expires === 'number' && end === (expires as never)) {
    if (expires <= now) return lengthFaults('expires', expires)
    const years = Math.round(expires / year)
    return [
      cookieFault(
        `cookie.expires is a number, which counts as milliseconds from now, so sessions live ${years} years. ${write(expires - now)}`,
      ),
    ]
  }
  if (end instanceof Date && (end === expires || end === maxAge)) {
    // A date far ahead, as some write for `never`.
    if (end.getTime() > now + 10 * year) return []
    const name = end === expires ? 'expires' : 'maxAge'
    return [
      cookieFault(
        `cookie.${name} is one moment for all visitors: from ${end.toISOString()} on, each session ends as it begins. ${write(end.getTime() - now)}`,
      ),
    ]
  }
  if (typeof maxAge === 'number' && 'expires' in given && length !== maxAge) {
    return [
      cookieFault(
        'cookie.maxAge has no effect, because cookie.expires comes after it. Leave cookie.expires out.',
      ),
    ]
  }
  return [
    ...(expires && end !== expires
      ? [
          fault(
            'cookie.expires has no effect beside cookie.maxAge, which comes after it. Leave cookie.expires out.',
          ),
        ]
      : []),
    ...(typeof maxAge === 'number' ? lengthFaults('maxAge', maxAge) : []),
  ]
}

function lengthFaults(name: string, length: number): OptionFault[] {
  if (length <= 0) {
    return [
      cookieFault(
        `cookie.${name} ${length} ends each session as it begins. To end it with the browser, leave ${name} out.`,
      ),
    ]
  }
  // Probably meant as seconds: whole quarters of an hour if so, and not even whole seconds as milliseconds.
  if (length % 900 === 0 && length % 1_000 !== 0) {
    return [
      cookieFault(
        `cookie.${name} is in milliseconds, and ${length} of them are ${length / 1_000} seconds. Write cookie.maxAge: ${length * 1_000} if you mean seconds.`,
      ),
    ]
  }
  return []
}
