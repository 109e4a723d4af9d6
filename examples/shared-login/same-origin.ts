import type { RequestHandler } from 'express'

/**
 * Refuses changes that another site's page asks for in the visitor's name (cross-site request forgery). SameSite=Lax
 * keeps the cookie from strangers' forms, but every host under our domain is the "same site" to a browser. So ask
 * where the page came from: browsers say so with every POST, PUT, PATCH and DELETE, and no page can forge it.
 */
export function onlyFrom(isTrusted: (origin: string) => boolean): RequestHandler {
  return (req, res, next) => {
    const changes = !['GET', 'HEAD', 'OPTIONS'].includes(req.method)
    if (!changes || isTrusted(req.get('origin') ?? '')) next()
    else res.status(403).json({ error: 'This request did not come from a page that is trusted here.' })
  }
}
