import { type PathRules, pathOf } from './request-path.js'

interface Wildcard {
  /** `https://` */
  readonly prefix: string
  /** `.example.com` or `.example.com:8443` */
  readonly suffix: string
  /** The longest origin that can match: the prefix, a host name, and the port if there is one. */
  readonly longest: number
  readonly isDeep: boolean
}

const longestHost = 253
const longestLabel = 63

/** Origins and wildcards that are trusted for the same paths. */
export class OriginList {
  readonly exact = new Set<string>()
  readonly wildcards: Wildcard[] = []
  /** Left out: all paths. */
  readonly paths: PathRules | undefined

  constructor(paths?: PathRules) {
    this.paths = paths
  }

  add(entry: string): this {
    const star = entry.indexOf('*')
    if (star === -1) this.exact.add(entry)
    else this.wildcards.push(wildcardOf(entry, star))
    return this
  }

  lists(origin: string, url: string | undefined): boolean {
    return this.exact.has(origin) && this.#holdFor(url)
  }

  trusts(origin: string, url: string | undefined): boolean {
    const isNamed = this.exact.has(origin) || this.wildcards.some((wildcard) => isSubdomain(origin, wildcard))
    return isNamed && this.#holdFor(url)
  }

  #holdFor(url: string | undefined): boolean {
    if (this.paths === undefined) return true
    const path = url === undefined ? undefined : pathOf(url)
    return path !== undefined && this.paths.match(path)
  }
}

function wildcardOf(entry: string, star: number): Wildcard {
  const isDeep = entry.startsWith('**', star)
  const prefix = entry.slice(0, star)
  const suffix = entry.slice(star + (isDeep ? 2 : 1))
  const port = /:\d+$/.exec(suffix)?.[0] ?? ''
  return { prefix, suffix, longest: prefix.length + longestHost + port.length, isDeep }
}

function isSubdomain(origin: string, { prefix, suffix, longest, isDeep }: Wildcard): boolean {
  return (
    origin.length <= longest &&
    origin.startsWith(prefix) &&
    origin.endsWith(suffix) &&
    areLabels(origin, prefix.length, origin.length - suffix.length, isDeep)
  )
}

/**
 * Whether `text` from `start` to `end` is one lower-case host label.
 *
 * @param several whether it may be more than one, separated by dots
 */
function areLabels(text: string, start: number, end: number, several: boolean): boolean {
  let labelStart = start
  for (let at = start; at <= end; at++) {
    const code = at === end ? dot : text.charCodeAt(at)
    if (code === dot) {
      if (at !== end && !several) return false
      const length = at - labelStart
      if (length < 1 || length > longestLabel) return false
      labelStart = at + 1
    } else if (!isLabelCode(code)) {
      return false
    }
  }
  return true
}

const dot = 0x2e

function isLabelCode(code: number): boolean {
  const isLetter = code >= 0x61 && code <= 0x7a
  const isDigit = code >= 0x30 && code <= 0x39
  const isHyphen = code === 0x2d
  // RFC 1123 does not allow it in host names, but browsers load such subdomains.
  const isUnderscore = code === 0x5f
  return isLetter || isDigit || isHyphen || isUnderscore
}
