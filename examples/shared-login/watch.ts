// Notes what each request and its response carried, for the panel "What just happened". Apps need nothing like this.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Sessions } from 'coatcheck'
import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { Request, RequestHandler, Response } from 'express'
import { domain } from './addresses.ts'
import { readRow, type Row } from './row.ts'
import { sessionSecret } from './secret.ts'
import { idOf, shorten, shortenCookies, shortenSetCookie, tokenIn } from './shorten.ts'

export type Header = readonly [name: string, value: string]

/** What a request brought. Secrets are shortened. */
interface Asked {
  readonly method: string
  readonly host: string
  /** With the query. */
  readonly path: string
  readonly headers: readonly Header[]
  /** The id of the session that its cookie names. */
  readonly sessionId: string | undefined
  /** The row of that session as the request found it; `'unread'` if the database did not answer. */
  readonly found: Row | undefined | 'unread'
  /** The rule of the check against forged requests that decided. */
  readonly rule: string | undefined
  readonly isAllowed: boolean
  /** What `sessions.explain` says of the request. */
  readonly reasons: readonly string[]
}

/** What its response carried. */
interface Answered {
  readonly status: number
  readonly headers: readonly Header[]
  /** Whether it makes the browser drop a cookie. */
  readonly dropsCookie: boolean
}

/** One request and its response. */
export interface Exchange {
  readonly asked: Asked
  readonly answered: Answered
}

interface Watched {
  readonly asked: Asked
  /** Of its cookie. A secret. */
  readonly token: string | undefined
  /** The requests that led to this one: a form that was sent, and redirects. */
  readonly before: readonly Exchange[]
  isPage: boolean
}

const watched = new WeakMap<Response, Watched>()

/** Comes before the session, so that it sees what the session adds to the response. */
export function watch(sessions: Sessions): RequestHandler {
  return async (req, res, next) => {
    const cookies = withoutOurs(req.get('Cookie'))
    const token = tokenIn(cookies)
    const asked = await askedBy(req, sessions, cookies, token)
    const note: Watched = { asked, token, before: keptIn(req), isPage: false }
    watched.set(res, note)
    const writeHead = res.writeHead.bind(res)
    // The last moment before the response leaves: the session is stored, and its cookie is set.
    res.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
      if (leadsToPage(req, res, note))
        keep([...note.before, { asked: note.asked, answered: answeredBy(res) }], res)
      return writeHead(...parameters)
    }) as typeof writeHead
    next()
  }
}

/** Says that this response is a page that shows what happened, so that the next one need not. */
export function showsWhatHappened(res: Response): void {
  const note = watched.get(res)
  if (note === undefined) return
  note.isPage = true
  if (note.before.length > 0) res.clearCookie(cookieName, cookieOptions)
}

/** The requests that led to a page, and its own as the last. Ask once the head of the page has left. */
export function exchangesOf(res: Response): Exchange[] {
  const note = watched.get(res)
  return note === undefined ? [] : [...note.before, { asked: note.asked, answered: answeredBy(res) }]
}

/** The token that the browser has after a page. Ask as above. It is a secret. */
export function tokenAfter(res: Response): string | undefined {
  const setCookies = setCookiesOf(res)
  return tokenIn(setCookies.join()) ?? (dropsCookie(setCookies) ? undefined : watched.get(res)?.token)
}

async function askedBy(
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
  return {
    method,
    host,
    path: shorten(originalUrl),
    headers: [
      ['Cookie', shortenCookies(cookies) || none],
      ...(['Origin', 'Sec-Fetch-Site'] as const).flatMap((name) => named(name, req.get(name))),
    ],
    sessionId: token && idOf(token),
    found: token === undefined ? undefined : await readRow(token).catch(() => 'unread' as const),
    rule,
    isAllowed: allowed,
    reasons: [csrf, ...(origin === undefined || cors === 'CORS does not apply.' ? [] : [cors])],
  }
}

/** In place of a header that would matter, and is not there. */
const none = '(none)'

function answeredBy(res: Response): Answered {
  const setCookies = setCookiesOf(res)
  const others = ['Location', 'Access-Control-Allow-Origin', 'Allow', 'Cache-Control'] as const
  const shown = setCookies.length > 0 ? setCookies.map(shortenSetCookie) : [none]
  return {
    status: res.statusCode,
    headers: [
      ...shown.map((cookie) => ['Set-Cookie', cookie] as const),
      ...others.flatMap((name) => named(name, res.getHeader(name))),
    ],
    dropsCookie: dropsCookie(setCookies),
  }
}

function setCookiesOf(res: Response): string[] {
  const cookies = [res.getHeader('Set-Cookie') ?? []].flat().map(String)
  return cookies.filter((cookie) => !isOurs(cookie))
}

function dropsCookie(setCookies: readonly string[]): boolean {
  return setCookies.some((cookie) => /^[^;]*=;/.test(cookie))
}

function named(name: string, value: number | string | string[] | undefined): Header[] {
  return value === undefined ? [] : [[name, shorten(String(value))]]
}

/** Whether the browser goes on to a page that can tell of this request. */
function leadsToPage({ method }: Request, { statusCode }: Response, { isPage }: Watched): boolean {
  if (isPage) return false
  const isRedirect = statusCode >= 300 && statusCode < 400 && statusCode !== 304
  return isRedirect || !['GET', 'HEAD', 'OPTIONS'].includes(method)
}

// A cookie of the demo's own carries this to the next page, signed, for a minute at most. No page shows it.

const cookieName = 'happened'
const cookieOptions = { domain, httpOnly: true, sameSite: 'lax' } as const
const signingSecret = `${sessionSecret} ${cookieName}`
const mostBytes = 3_800 // of the 4,096 that browsers keep

function keep(exchanges: readonly Exchange[], res: Response): void {
  const text = deflateRawSync(JSON.stringify(exchanges)).toString('base64url')
  if (text.length > mostBytes) return
  res.cookie(cookieName, sign(text, signingSecret), { ...cookieOptions, maxAge: 60_000 })
}

function keptIn(req: Request): Exchange[] {
  const value = parseCookie(req.get('Cookie') ?? '')[cookieName]
  const text = value !== undefined && unsign(value, signingSecret)
  return text ? (JSON.parse(inflateRawSync(Buffer.from(text, 'base64url')).toString()) as Exchange[]) : []
}

function isOurs(cookie: string): boolean {
  return cookie.startsWith(`${cookieName}=`)
}

function withoutOurs(header = ''): string {
  return header
    .split('; ')
    .filter((cookie) => !isOurs(cookie))
    .join('; ')
}
