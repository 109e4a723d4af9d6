// Takes the requests that led to a page to its panel. Within a site, a signed cookie carries them, for a minute at most.
// To another site, a file does. The panel shows neither.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { parseCookie } from 'cookie'
import { sign, unsign } from 'cookie-signature'
import type { Request, Response } from 'express'
import { cookieDomainOf, origins, type AppName } from './addresses.ts'
import type { Exchange } from './exchange.ts'
import { secretOf } from './secret.ts'
import { leaveTrail, takeTrail } from './trail.ts'

const cookieName = 'happened'
const mostBytes = 3_800 // of the 4,096 that browsers keep
const signingSecret = `${secretOf('accounts')} ${cookieName}`

/** Carries the requests on to the next page. */
export function carryOn(app: AppName, exchanges: readonly Exchange[], res: Response): void {
  const address = String(res.getHeader('Location') ?? '')
  if (!leadsToOtherSite(app, address)) {
    const text = deflateRawSync(JSON.stringify(exchanges)).toString('base64url')
    if (text.length > mostBytes) return
    res.cookie(cookieName, sign(text, signingSecret), { ...attributesOf(app), maxAge: 60_000 })
    return
  }
  // The other site must not see the rows of this one.
  const withoutRows = exchanges.map(({ asked, answered }): Exchange => {
    return { asked: { ...asked, found: 'elsewhere', sessionId: undefined }, answered, deleted: [] }
  })
  leaveTrail(address, JSON.stringify(withoutRows))
  dropCarried(app, res)
}

/** The requests that were carried to this one. */
export function carriedTo(req: Request): Exchange[] {
  const value = parseCookie(req.get('Cookie') ?? '')[cookieName]
  const text = value !== undefined && unsign(value, signingSecret)
  const trail = takeTrail(`http://${req.get('Host')}${req.originalUrl}`)
  return [
    ...(text ? parse(inflateRawSync(Buffer.from(text, 'base64url')).toString()) : []),
    ...(trail === undefined ? [] : parse(trail)),
  ]
}

export function dropCarried(app: AppName, res: Response): void {
  if (parseCookie(res.req.get('Cookie') ?? '')[cookieName] !== undefined)
    res.clearCookie(cookieName, attributesOf(app))
}

/** Cookies, or Set-Cookie headers, without the one that carries. */
export function withoutCarrier(cookies: readonly string[]): string[] {
  return cookies.filter((cookie) => !cookie.startsWith(`${cookieName}=`))
}

function attributesOf(app: AppName) {
  const domain = cookieDomainOf(app)
  return { httpOnly: true, sameSite: 'lax', ...(domain !== undefined && { domain }) } as const
}

/** True only for redirects of the hand-off. */
function leadsToOtherSite(app: AppName, address: string): boolean {
  const target = (Object.keys(origins) as AppName[]).find((name) => address.startsWith(`${origins[name]}/`))
  return target !== undefined && cookieDomainOf(target) !== cookieDomainOf(app)
}

function parse(text: string): Exchange[] {
  return JSON.parse(text) as Exchange[]
}
