// One request and its response, as the panel "What just happened" shows them. Secrets are shortened.
import type { Sessions } from 'coatcheck'
import type { Request, Response } from 'express'
import { codeRowIdOf, readRow, type Row } from './row.ts'
import { idOf, shorten, shortenCookies, shortenSetCookie, tokenIn } from './shorten.ts'

export type Header = readonly [name: string, value: string]

/** What a request brought. */
export interface Asked {
  readonly method: string
  readonly host: string
  /** With the query. */
  readonly path: string
  readonly headers: readonly Header[]
  /** The id of the session that its cookie names. */
  readonly sessionId: string | undefined
  /**
   * The row of that session as the request found it. `'unread'`: the database did not answer. `'elsewhere'`: the request
   * was at another site, which does not tell.
   */
  readonly found: Row | undefined | 'unread' | 'elsewhere'
  /** The rule of the check against forged requests that decided. */
  readonly rule: string | undefined
  readonly isAllowed: boolean
  /** What `sessions.explain` says of the request. */
  readonly reasons: readonly string[]
  /** The id of the row of a code of the hand-off that it brought. */
  readonly codeRowId: string | undefined
}

/** What its response carried. */
export interface Answered {
  readonly status: number
  readonly headers: readonly Header[]
  /** Whether it makes the browser drop the session's cookie. */
  readonly dropsCookie: boolean
}

/** One request and its response. */
export interface Exchange {
  readonly asked: Asked
  readonly answered: Answered
  /** The ids of the sessions that the request deleted. */
  readonly deleted: readonly string[]
}

/** In place of a header that would matter, and is not there. */
const none = '(none)'

/**
 * @param cookies the Cookie header
 * @param token of the session's cookie
 */
export async function readRequest(
  req: Request,
  sessions: Sessions,
  cookies: string,
  token: string | undefined,
): Promise<Asked> {
  const { method, originalUrl } = req
  const origin = req.get('Origin')
  const host = req.get('Host') ?? ''
  const { allowed, rule, lines } = await sessions.explain({
    method,
    path: originalUrl,
    host,
    origin,
    secure: req.secure,
    secFetchSite: req.get('Sec-Fetch-Site') ?? 'absent',
    referer: req.get('Referer'),
  })
  const [, cors = '', , csrf = ''] = lines
  const code = /\/callback\?(?:.*&)?code=([\w-]{43})(?:&|$)/.exec(originalUrl)?.[1]
  return {
    method,
    host,
    path: shorten(originalUrl),
    headers: [
      ['Cookie', shortenCookies(cookies) || none],
      ...(['Origin', 'Sec-Fetch-Site'] as const).flatMap((name) => named(name, req.get(name))),
    ],
    sessionId: token && idOf(token),
    found:
      token === undefined
        ? undefined
        : await readRow(token, sessions.clientId).catch(() => 'unread' as const),
    rule,
    isAllowed: allowed,
    reasons: [csrf, ...(origin === undefined || cors === 'CORS does not apply.' ? [] : [cors])],
    codeRowId: code && codeRowIdOf(code),
  }
}

/** @param setCookies the Set-Cookie headers */
export function readResponse(res: Response, setCookies: readonly string[]): Answered {
  const others = ['Location', 'Access-Control-Allow-Origin', 'Allow', 'Retry-After', 'Cache-Control'] as const
  const shown = setCookies.length > 0 ? setCookies.map(shortenSetCookie) : [none]
  return {
    status: res.statusCode,
    headers: [
      ...shown.map((cookie) => ['Set-Cookie', cookie] as const),
      ...others.flatMap((name) => named(name, res.getHeader(name))),
    ],
    dropsCookie: dropsSession(setCookies),
  }
}

/** Whether these make the browser drop the session's cookie. */
function dropsSession(setCookies: readonly string[]): boolean {
  return setCookies.some((cookie) => cookie.startsWith('sid=;'))
}

/** The token that the browser has after these. It is a secret. */
export function tokenAfter(setCookies: readonly string[], token: string | undefined): string | undefined {
  return tokenIn(setCookies.join()) ?? (dropsSession(setCookies) ? undefined : token)
}

/** One header, if it is there. */
export function headerOf({ headers }: Answered, name: string): string {
  return headers.find(([given]) => given === name)?.[1] ?? ''
}

function named(name: string, value: number | string | string[] | undefined): Header[] {
  return value === undefined ? [] : [[name, shorten(String(value))]]
}
