// A cart, with messages from one page to the next by connect-flash, and with cookie-parser.
const cookieParser = require('cookie-parser')
const flash = require('connect-flash')
const express = require('express')
const session = require('express-session')

const app = express()
app.set('trust proxy', 1)
app.use(cookieParser('the secret that cookie-parser knows'))
app.use(
  session({
    name: 'cart.sid',
    resave: true,
    rolling: true,
    saveUninitialized: true,
    unset: 'destroy',
    genid: () => `cart-${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}`,
    cookie: { secure: 'auto', maxAge: 60_000, priority: 'high' },
  }),
)
app.use(flash())

app.get('/', (req, res) => {
  res.json({
    items: req.session.items || [],
    messages: req.flash('info'),
    theme: req.signedCookies.theme || 'light',
    hasCookieInData: 'cookie' in req.session,
    keys: Object.keys(req.session).sort(),
  })
})
app.post('/items/:item', (req, res) => {
  req.session.items = (req.session.items || []).concat(req.params.item)
  req.flash('info', `${req.params.item} is in your cart`)
  res.redirect('/')
})
app.post('/theme/:theme', (req, res) => {
  res.cookie('theme', req.params.theme, { signed: true })
  res.redirect('/')
})
app.post('/remember', (req, res) => {
  req.session.cookie.maxAge = 30 * 24 * 3_600_000
  res.json({ days: Math.round(req.session.cookie.maxAge / 86_400_000) })
})
app.post('/pay', (req, res, next) => {
  const before = req.sessionID
  req.session.regenerate((error) => {
    if (error) return next(error)
    req.session.paid = true
    return req.session.save((failure) => {
      if (failure) return next(failure)
      return res.json({ anotherId: req.sessionID !== before, paid: req.session.paid })
    })
  })
})
app.post('/leave', (req, res) => {
  req.session = null
  res.send('Bye.')
})

module.exports = app
