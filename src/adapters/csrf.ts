import type { IncomingMessage } from 'node:http'
import type { SessionError } from '../core/errors.js'
import { warnOnce } from '../core/warn-once.js'
import { type CsrfRequest, type CsrfVerdict, explainRefusal, forged, isSafeMethod } from '../http/csrf.js'
import type { Sessions } from '../sessions.js'

/** What Express and packages that override the method add to a request. */
type GivenRequest = IncomingMessage & { originalUrl?: string; originalMethod?: string; upgrade?: boolean }

/**
 * Why a request may be forged, as the error that its app gets; `undefined` if it may go on.
 *
 * @param secure whether it came by HTTPS
 */
export function csrfRefusal(
  sessions: Sessions,
  given: IncomingMessage,
  secure: boolean,
): SessionError | undefined {
  const { csrf } = sessions
  if (!csrf) return undefined
  const request = csrfRequestOf(given, secure)
  const verdict = csrf.judge(request)
  if (verdict.allowed) return undefined
  tell(sessions, request, verdict)
  return csrf.reportsOnly ? undefined : forged(verdict.rule, request, sessions.sites)
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

function tell(sessions: Sessions, request: CsrfRequest, { rule }: CsrfVerdict): void {
  const { method, url, origin } = request
  // Without the query, which may hold secrets.
  sessions.announce('forged', { rule, method, path: url.split(/[?#]/, 1)[0]!, origin })
  const isReport = sessions.csrf!.reportsOnly
  if (!isReport && process.env['NODE_ENV'] === 'production') return
  const done = isReport ? 'would be refused (403), and passed because of csrf.report' : 'was refused (403)'
  warnOnceARule(
    rule,
    `A request that may be forged ${done}. ${explainRefusal(rule, request, sessions.sites)}`,
  )
}

const told = new Set<string>()

/** Once for each rule: the words hold headers of the request, which differ each time. */
function warnOnceARule(rule: string, message: string): void {
  if (told.has(rule)) return
  told.add(rule)
  warnOnce('COATCHECK_FORGED', message)
}
