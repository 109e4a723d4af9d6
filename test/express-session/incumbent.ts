import { createRequire } from 'node:module'
import type { RequestHandler } from 'express'
import type {
  Cookie,
  CookieAttributes,
  MemoryStoreConstructor,
  SessionConstructor,
  StoreConstructor,
} from 'coatcheck/express'

/** express-session, which has no types of its own. */
interface Incumbent {
  (options: object): RequestHandler
  readonly Cookie: new (options?: CookieAttributes) => Cookie
  readonly Session: SessionConstructor
  readonly Store: StoreConstructor
  readonly MemoryStore: MemoryStoreConstructor
}

// It reports deprecations of its own on the console.
process.env['NO_DEPRECATION'] ??= 'express-session'

export const incumbent = createRequire(import.meta.url)('express-session') as Incumbent
