import type { RequestHandler } from 'express'
import { origins } from './addresses.ts'

/**
 * Refuses changes that another site's page asks for in the visitor's name (cross-site request forgery). SameSite=Lax
 * keeps the cookie from strangers' forms, but every host under our domain is the "same site" to a browser. So ask
 * where the page came from: browsers say so with every POST, PUT, PATCH and DELETE, and no page can forge it.
 */
export function onlyFrom(isTrusted: (origin: string) => boolean): RequestHandler {
  return (req, res, next) => {
    const changes = !['GET', 'HEAD', 'OPTIONS'].includes(req.method)
    const origin = req.get('origin')
    if (!changes || (origin !== undefined && isTrusted(origin))) return next()
    const error =
      origin === undefined
        ? `This request does not say from which page it comes. Browsers do; with curl, add -H 'Origin: ${Object.values(origins).find(isTrusted)}'.`
        : `This request comes from a page of ${origin}, which is not trusted here.`
    res.status(403).json({ error })
  }
}
