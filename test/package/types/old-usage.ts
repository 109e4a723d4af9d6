import express from 'express'
import session from 'coatcheck/express'
import expressMySQLSession from 'coatcheck/express-mysql-session'

const app = express()

// What apps write against the types of express-session and express-mysql-session.
export const isSignedIn = (given: session.Session & Partial<session.SessionData>): boolean =>
  given.userId !== undefined
app.use((request, _response, next) => {
  request.sessionStore.get('an id', (_error, data) => {
    if (data && !isSignedIn(request.session))
      request.session = request.sessionStore.createSession(request, data)
    next()
  })
})
const MySQLStore = expressMySQLSession(session)
const table = new MySQLStore({ host: 'localhost', user: 'app', database: 'shop' })
const store: session.Store = table
table.length((error, count) => console.log(error, count + 1))
table.all((error, sessions) => console.log(error, Object.keys(sessions).length))
export const stored = session({ secret: 'a secret that only these tests use', store })

// Options that are filled in later, and callbacks that say what kind of error they expect.
const options: session.SessionOptions = { secret: 'a secret that only these tests use' }
const cookie: session.CookieOptions = {}
cookie.secure = true
options.cookie = cookie
options.store = new session.MemoryStore()
const readViews = (store: session.Store, id: string): void => {
  store.get(id, (error: Error, data: session.SessionData | null | undefined) =>
    console.log(error, data?.views),
  )
}
readViews(store, 'an id')
