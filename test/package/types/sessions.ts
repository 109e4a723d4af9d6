import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'

const store = new MemoryStore()
export const middleware = session(createSessions({ store, secret: 'a secret that only these tests use' }))
