// The same in accounts, shop and API. That is the sharing: one store, one secret, one cookie.
import { createSessions } from 'coatcheck'
import { domain, origins } from './addresses.ts'
import { noteEnding } from './ended.ts'
import { secretOf } from './secret.ts'
import { lifetime, store } from './store.ts'

export const sessions = createSessions({
  store,
  secret: secretOf('accounts'),
  cookie: { domain },
  lifetime,
  // Pages of these origins may call these paths across origins. A host of the same domain is not trusted by itself.
  sites: [origins.accounts, origins.shop].map((origin) => ({ origin, paths: ['/me', '/cart', '/orders'] })),
})

sessions.on('destroyed', noteEnding)

declare module 'coatcheck' {
  /** What the apps keep in their sessions. One declaration types `req.session` everywhere. */
  interface SessionData {
    /** How many of each product, by its id. */
    cart?: Record<string, number>
    /** The user's name. Accounts shares it with the partner. */
    name?: string
    /** The browser at the sign-in, for the list of devices. */
    device?: string
    /** The last order, placed through the API. */
    order?: { number: string; items: number; total: number }
    /** The evenings that the user has chosen, at the partner only. */
    evenings?: string[]
  }
}
