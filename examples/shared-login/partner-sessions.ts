// The sessions of another site. The store is that of accounts. The cookie is for this host only.
import { createSessions } from 'coatcheck'
import { createSite } from 'coatcheck/handoff'
import { origins } from './addresses.ts'
import { noteEnding } from './ended.ts'
import { secretOf } from './secret.ts'
import { lifetime, store } from './store.ts'

export const sessions = createSessions({ store, secret: secretOf('partner'), clientId: 'partner', lifetime })

export const site = createSite(sessions, {
  hub: origins.accounts,
  redirectUri: `${origins.partner}/handoff/callback`,
  keep: ['evenings'], // of what the visitor had before
})

sessions.on('destroyed', noteEnding)
