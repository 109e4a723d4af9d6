import type { RequestHandler } from 'express'
import { origins, type AppName } from './addresses.ts'

/**
 * The Content-Security-Policy of an app's pages (CSP Level 3). A page loads nothing but files of its own app. No script
 * or style inside a page runs. No page can be framed.
 */
const policies: Readonly<Record<AppName, string>> = {
  // Browsers check form-action again for each redirect that follows. After signing in, they lead to another app.
  accounts: policyOf(`form-action 'self' ${origins.shop} ${origins.api} ${origins.partner}`),
  // The script of this page asks the API.
  shop: policyOf(`form-action 'self'`, `script-src 'self'`, `connect-src 'self' ${origins.api}`),
  api: policyOf(`form-action 'self'`),
  // The page after a form may ask accounts silently.
  partner: policyOf(`form-action 'self' ${origins.accounts}`),
}

function policyOf(...own: readonly string[]): string {
  return [
    `default-src 'none'`,
    `style-src 'self'`,
    `img-src 'self'`,
    ...own,
    `base-uri 'none'`,
    `frame-ancestors 'none'`,
    `require-trusted-types-for 'script'`,
  ].join('; ')
}

/** Comes first, so that errors and files have the headers too. */
export function securityHeaders(app: AppName): RequestHandler {
  return (_req, res, next) => {
    res.set({ 'Content-Security-Policy': policies[app], 'X-Content-Type-Options': 'nosniff' })
    next()
  }
}
