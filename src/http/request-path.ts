/**
 * The path of a request's address, decoded once, for comparing it with a rule; `undefined` if servers and proxies could
 * take it for different paths. Some clients send the whole address (RFC 9112, section 3.2.2).
 */
export function pathOf(url: string): string | undefined {
  const whole = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i.exec(url)?.[0] ?? ''
  const path = url.slice(whole.length).split(/[?#]/, 1)[0]!
  // A slash that is encoded divides no path: routers take `/a%2Fb` for one segment. Letters, digits, `-`, `.`, `_` and
  // `~` need no encoding (RFC 3986, section 2.3): routers do not decode them before they compare, and some proxies do.
  if (/%(?:2[def]|3\d|[46][1-9a-f]|[57][0-9a]|5[cf]|7e)/i.test(path)) return undefined
  const decoded = decodedOnce(path)
  return decoded === undefined || isAmbiguous(decoded) ? undefined : decoded
}

function decodedOnce(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** Whether proxies or routers may resolve `..`, join slashes or drop characters: the path is elsewhere than it looks. */
function isAmbiguous(path: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what it looks for
  return /\/\.{0,2}(?:\/|$)|[\\\0-\x1f\x7f]/.test(path.replace(/\/$/, ''))
}

/** Which paths a rule names. `/api/*` is every path below `/api/`; all others are that very path. */
export class PathRules {
  readonly #exact = new Set<string>()
  readonly #below: string[] = []

  /** @param paths each as `faultOfPathRule` accepts it */
  constructor(paths: readonly string[]) {
    for (const path of paths) {
      if (path.endsWith('/*')) this.#below.push(path.slice(0, -1))
      else this.#exact.add(path)
    }
  }

  /** @param path as `pathOf` returns it */
  match(path: string): boolean {
    if (this.#exact.has(path)) return true
    return this.#below.some((start) => path.length > start.length && path.startsWith(start))
  }
}

/** Why a text is no rule for `PathRules`, and what to write; `undefined` if it is one. */
export function faultOfPathRule(path: unknown): string | undefined {
  if (typeof path !== 'string') return "a path must be a text such as '/api/*'"
  const start = path.endsWith('/*') ? path.slice(0, -1) : path
  if (start.startsWith('/') && pathOf(start) === start && !start.includes('*')) return undefined
  return `${JSON.stringify(path)} is not a path as it is compared: it begins with a slash, has no query, and is not percent-encoded. '/api/*' is every path below /api/`
}
