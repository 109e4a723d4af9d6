// Records each request and its response for the panel "What just happened". Real apps do not need this.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Sessions } from 'coatcheck'
import type { Request, RequestHandler, Response } from 'express'
import type { AppName } from './addresses.ts'
import { carriedTo, carryOn, dropCarried, withoutCarrier } from './carry.ts'
import { readRequest, readResponse, tokenAfter, type Asked, type Exchange } from './exchange.ts'
import { tokenIn } from './shorten.ts'

interface Watched {
  readonly asked: Asked
  /** From its cookie. It is a secret. */
  readonly token: string | undefined
  /** The requests that led to this one: a form and redirects. */
  readonly before: readonly Exchange[]
  /** The ids of the sessions that it deleted. */
  readonly deleted: string[]
  isPage: boolean
}

const watched = new WeakMap<Response, Watched>()

/** What is recorded of the request that the running code belongs to. */
const current = new AsyncLocalStorage<Watched>()

/** Must come before the session, so that it sees the headers that the session adds. */
export function watch(app: AppName, sessions: Sessions): RequestHandler {
  sessions.on('destroyed', ({ publicId }) => current.getStore()?.deleted.push(publicId))
  return async (req, res, next) => {
    const cookies = withoutCarrier((req.get('Cookie') ?? '').split('; ')).join('; ')
    const token = tokenIn(cookies)
    const asked = await readRequest(req, sessions, cookies, token)
    const note: Watched = { asked, token, before: carriedTo(req), deleted: [], isPage: false }
    watched.set(res, note)
    const writeHead = res.writeHead.bind(res)
    // By now the session is stored and its cookie is set.
    res.writeHead = ((...parameters: Parameters<typeof writeHead>) => {
      if (leadsToPage(req, res, note)) carryOn(app, [...note.before, exchangeOf(res, note)], res)
      return writeHead(...parameters)
    }) as typeof writeHead
    current.run(note, next)
  }
}

/** Marks the response as a page with the panel. The next page then does not show the same requests again. */
export function showsWhatHappened(app: AppName, res: Response): void {
  const note = watched.get(res)
  if (note === undefined) return
  note.isPage = true
  dropCarried(app, res)
}

/** The requests that led to a page; the page's own is the last. Call it after the head of the page was sent. */
export function exchangesOf(res: Response): Exchange[] {
  const note = watched.get(res)
  return note === undefined ? [] : [...note.before, exchangeOf(res, note)]
}

/** The token that the browser has after a page. It is a secret. Call it after the head of the page was sent. */
export function tokenAfterPage(res: Response): string | undefined {
  return tokenAfter(setCookiesOf(res), watched.get(res)?.token)
}

function exchangeOf(res: Response, { asked, deleted }: Watched): Exchange {
  return { asked, answered: readResponse(res, setCookiesOf(res)), deleted }
}

function setCookiesOf(res: Response): string[] {
  return withoutCarrier([res.getHeader('Set-Cookie') ?? []].flat().map(String))
}

/** Whether the next page of the browser should show this request. */
function leadsToPage({ method }: Request, { statusCode }: Response, { isPage }: Watched): boolean {
  if (isPage) return false
  const isRedirect = statusCode >= 300 && statusCode < 400 && statusCode !== 304
  return isRedirect || !['GET', 'HEAD', 'OPTIONS'].includes(method)
}
