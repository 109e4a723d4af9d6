import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
session({ secret: 'a secret', store: 5 })
session({ secret: 'a secret', rollling: true })
session({ secret: 'a secret', cookie: { maxAge: '5' } })
session({ secret: 5 })
session(createSessions({ store: new MemoryStore(), secret: 'a secret' }), { skipp: 1 })
