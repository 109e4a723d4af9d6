// Sign-in with Passport, as its documentation has it.
const express = require('express')
const session = require('express-session')
const passport = require('passport')
const { Strategy: LocalStrategy } = require('passport-local')

passport.use(
  new LocalStrategy((username, password, done) => {
    if (password !== 'correct') return done(null, false)
    return done(null, { id: username.length, username })
  }),
)
passport.serializeUser((user, done) => {
  process.nextTick(() => done(null, { id: user.id, username: user.username }))
})
passport.deserializeUser((user, done) => {
  process.nextTick(() => done(null, user))
})

const app = express()
app.use(express.urlencoded({ extended: false }))
app.use(
  session({
    secret: 'keyboard cat and other things',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 3_600_000, sameSite: 'lax' },
  }),
)
app.use(passport.authenticate('session'))

app.get('/', (req, res) => {
  req.session.visits = (req.session.visits || 0) + 1
  res.json({ user: req.user ? req.user.username : null, visits: req.session.visits })
})
app.post(
  '/login/password',
  passport.authenticate('local', { successRedirect: '/', failureRedirect: '/login' }),
)
app.get('/login', (req, res) => res.send('Please sign in.'))
app.post('/logout', (req, res, next) => {
  req.logout((error) => {
    if (error) return next(error)
    return res.redirect('/')
  })
})
app.get('/members', (req, res) => {
  if (req.isAuthenticated()) return res.send(`Hello, ${req.user.username}`)
  return res.redirect('/login')
})

module.exports = app
