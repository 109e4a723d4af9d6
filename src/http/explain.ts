// A stand-in until the explanation itself is merged. Only its signature counts.
import type { CsrfPolicy } from './csrf.js'

export interface RequestFacts {
  readonly origin?: string
  readonly method?: string
  readonly path?: string
  readonly host?: string
  readonly secure?: boolean
  readonly secFetchSite?: string
  readonly referer?: string
  readonly upgrade?: boolean
  readonly cookies?: boolean
}

export interface Explanation {
  /** Whether the check against forged requests lets the request in. */
  readonly allowed: boolean
  readonly lines: readonly string[]
}

export function explain(csrf: CsrfPolicy | undefined, facts: RequestFacts): Explanation {
  const { method = 'GET', path: url = '/', host, secure = true, origin, referer, upgrade = false } = facts
  const secFetchSite = facts.secFetchSite === 'absent' ? undefined : facts.secFetchSite
  const request = { method, url, host, secure, origin, referer, secFetchSite, isUpgrade: upgrade }
  const allowed = csrf?.judge(request).allowed ?? true
  return { allowed, lines: [`${method} ${url} is ${allowed ? 'let in' : 'refused'}.`, JSON.stringify(facts)] }
}
