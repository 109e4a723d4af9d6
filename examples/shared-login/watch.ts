// Notes what each request and its response carried, for the panel "What just happened". Apps need nothing like this.
import type { Sessions } from 'coatcheck'
import type { Request, RequestHandler, Response } from 'express'
import type { AppName } from './addresses.ts'
import { carriedTo, carryOn, dropCarried, withoutCarrier } from './carry.ts'
import { readRequest, readResponse, tokenAfter, type Asked, type Exchange } from './exchange.ts'
import { tokenIn } from './shorten.ts'

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
export function watch(app: AppName, sessions: Sessions): RequestHandler {
  return async (req, res, next) => {
    const cookies = withoutCarrier((req.get('Cookie') ?? '').split('; ')).join('; ')
    const token = tokenIn(cookies)
    const asked = await readRequest(req, sessions, cookies, token)
    const note: Watched = { asked, token, before: carriedTo(req), isPage: false }
    watched.set(res, note)
    const writeHead = res.writeHead.bind(res)
    // The last moment before the response leaves: the session is stored, and its cookie is set.
    res.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
      if (leadsToPage(req, res, note)) carryOn(app, [...note.before, exchangeOf(res, asked)], res)
      return writeHead(...parameters)
    }) as typeof writeHead
    next()
  }
}

/** Says that this response is a page that shows what happened, so that the next one need not. */
export function showsWhatHappened(app: AppName, res: Response): void {
  const note = watched.get(res)
  if (note === undefined) return
  note.isPage = true
  dropCarried(app, res)
}

/** The requests that led to a page, and its own as the last. Ask once the head of the page has left. */
export function exchangesOf(res: Response): Exchange[] {
  const note = watched.get(res)
  return note === undefined ? [] : [...note.before, exchangeOf(res, note.asked)]
}

/** The token that the browser has after a page. Ask as above. It is a secret. */
export function tokenAfterPage(res: Response): string | undefined {
  return tokenAfter(setCookiesOf(res), watched.get(res)?.token)
}

function exchangeOf(res: Response, asked: Asked): Exchange {
  return { asked, answered: readResponse(res, setCookiesOf(res)) }
}

function setCookiesOf(res: Response): string[] {
  return withoutCarrier([res.getHeader('Set-Cookie') ?? []].flat().map(String))
}

/** Whether the browser goes on to a page that can tell of this request. */
function leadsToPage({ method }: Request, { statusCode }: Response, { isPage }: Watched): boolean {
  if (isPage) return false
  const isRedirect = statusCode >= 300 && statusCode < 400 && statusCode !== 304
  return isRedirect || !['GET', 'HEAD', 'OPTIONS'].includes(method)
}
