// An API for pages of other origins, on a session store of its own.
const util = require('node:util')
const cors = require('cors')
const express = require('express')
const session = require('express-session')

const { Store } = session

/** A store as they were written before there were classes. */
function ListStore(options) {
  if (!(this instanceof ListStore)) return new ListStore(options)
  Store.call(this, options)
  this.sessions = {}
  this.log = []
}
util.inherits(ListStore, Store)

ListStore.prototype.get = function (sid, callback) {
  this.log.push('get')
  const found = this.sessions[sid] && JSON.parse(this.sessions[sid])
  setImmediate(() => callback(null, found))
}
ListStore.prototype.set = function (sid, sess, callback) {
  this.log.push('set')
  this.sessions[sid] = JSON.stringify(sess)
  if (callback) setImmediate(() => callback())
}
ListStore.prototype.destroy = function (sid, callback) {
  this.log.push('destroy')
  delete this.sessions[sid]
  if (callback) setImmediate(() => callback())
}

const store = ListStore()
const app = express()
app.use(
  cors({
    origin: ['https://app.example.com', /^https:\/\/[a-z]+\.example\.org$/],
    methods: ['GET', 'PUT'],
    allowedHeaders: ['Content-Type'],
    exposedHeaders: ['X-Total'],
    credentials: true,
    maxAge: 600,
    optionsSuccessStatus: 200,
  }),
)
app.use(
  session({
    store,
    secret: ['the newest of our secrets', 'an older one of them'],
    resave: false,
    saveUninitialized: false,
    cookie: (req) => ({ httpOnly: true, path: '/', sameSite: req.headers.origin ? 'lax' : 'strict' }),
  }),
)

app.put('/notes/:note', (req, res) => {
  req.session.notes = { ...req.session.notes, [req.params.note]: true }
  res.set('X-Total', String(Object.keys(req.session.notes).length)).sendStatus(204)
})
app.get('/notes', (req, res) => {
  res.json({
    notes: Object.keys(req.session.notes || {}),
    stored: Object.keys(store.sessions).length,
    inherits: store instanceof Store && typeof store.regenerate === 'function',
  })
})
app.get('/stored', (req, res, next) => {
  store.load(req.sessionID, (error, loaded) => {
    if (error) return next(error)
    return res.json(loaded ? { notes: Object.keys(loaded.notes), id: loaded.id === req.sessionID } : null)
  })
})
app.put('/end', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.sendStatus(204)))
})

module.exports = app
