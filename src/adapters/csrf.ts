import type { IncomingMessage } from 'node:http'
import { nextTick } from '../core/scheduling.js'
import { isFirst } from '../core/warn-once.js'
import { type CsrfPolicy, isSafeMethod } from '../http/csrf.js'
import type { CsrfRequest, CsrfRule, CsrfVerdict } from '../http/csrf-request.js'
import type { Sessions } from '../sessions.js'

/** What Express and packages that override the method add to a request. */
type GivenRequest = IncomingMessage & { originalUrl?: string; originalMethod?: string; upgrade?: boolean }

/** Why a request may be forged, as the error that its app gets; `undefined` if it may go on. */
export type Refusal = Error | undefined

/**
 * Checks a request. It returns a promise only if a function of `sites` has to be asked, and rejects with what that
 * throws.
 *
 * @param secure whether the request came by HTTPS
 */
export type CsrfCheck = (request: IncomingMessage, secure: boolean) => Refusal | Promise<Refusal>

/**
 * The check of an app's sessions, which announces what it refuses; `undefined` if the app has turned it off. A request
 * with its token in a header passes: no page of another site can send that without a preflight, and no cookie counts.
 */
export function csrfCheckOf(sessions: Sessions): CsrfCheck | undefined {
  const { csrf, transports } = sessions
  if (csrf === undefined) return undefined
  const check = csrfCheck(csrf, ({ method, url, origin }, rule) => {
    // Without the query, which may hold secrets.
    sessions.announce('forged', { rule, method, path: url.split(/[?#]/, 1)[0]!, origin })
  })
  const { header } = transports
  if (header === undefined) return check
  return (given, secure) => (header.isUsedBy(given.headers[header.key]) ? undefined : check(given, secure))
}

/** @param announce called for each refusal, also for one that is only reported */
export function csrfCheck(
  csrf: CsrfPolicy,
  announce?: (request: CsrfRequest, rule: CsrfRule) => void,
): CsrfCheck {
  const refusalOf = (request: CsrfRequest, { allowed, rule }: CsrfVerdict): Refusal => {
    if (allowed) return undefined
    announce?.(request, rule)
    warnOfRule(csrf, request, rule)
    return csrf.reportsOnly ? undefined : csrf.refusal(request, rule)
  }
  return (given, secure) => {
    const request = csrfRequestOf(given, secure)
    const verdict = csrf.judge(request)
    return verdict instanceof Promise
      ? verdict.then((judged) => refusalOf(request, judged))
      : refusalOf(request, verdict)
  }
}

/** Goes on with a request, or passes the refusal to the app, in a turn that rejects no promise if a handler throws. */
export function whenAsked(
  refusal: Promise<Refusal>,
  next: (error?: unknown) => void,
  goOn: () => void,
): void {
  refusal.then(
    (found) => (found ? nextTick(next, found) : nextTick(goOn)),
    (error: unknown) => nextTick(next, error),
  )
}

function csrfRequestOf(given: GivenRequest, secure: boolean): CsrfRequest {
  const { headers, method = 'GET', originalMethod, originalUrl, url = '' } = given
  return {
    // A package that overrides the method may make a GET of a POST, or a DELETE of a GET: what is less safe counts.
    method: originalMethod === undefined || isSafeMethod(originalMethod) ? method : originalMethod,
    isUpgrade: given.upgrade === true,
    url: originalUrl ?? url,
    secure,
    host: textOf(headers[':authority']) ?? headers.host,
    secFetchSite: textOf(headers['sec-fetch-site']),
    origin: headers.origin,
    referer: headers.referer,
  }
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}

/** Once for each rule: the words hold headers of the request, which differ each time. */
function warnOfRule(csrf: CsrfPolicy, request: CsrfRequest, rule: CsrfRule): void {
  if (!csrf.reportsOnly && process.env['NODE_ENV'] === 'production') return
  if (!isFirst(`COATCHECK_FORGED ${rule}`)) return
  const done = csrf.reportsOnly
    ? 'would be refused (403), and passed because of csrf.report'
    : 'was refused (403)'
  process.emitWarning(`A request that may be forged ${done}. ${csrf.explain(request, rule)}`, {
    code: 'COATCHECK_FORGED',
  })
}
