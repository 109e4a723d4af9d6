// The types of this store are made of those of express-session, and cannot be compiled without them.
import memorystore from 'memorystore'
import session from 'coatcheck/express'

const InMemory = memorystore(session)
export const middleware = session({
  secret: 'a secret that only these tests use',
  store: new InMemory({ checkPeriod: 1000 }),
})
