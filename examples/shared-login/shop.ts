// The session keeps a cart, before the sign-in and after it.
import session from 'coatcheck/express'
import { products } from './catalogue.ts'
import { sendPage } from './page.ts'
import { newApp, serve } from './serve.ts'
import { sessions } from './sessions.ts'
import { shopPage } from './shop-page.ts'

const app = newApp('shop', sessions)
app.use(session(sessions))

app.get('/', (req, res) => sendPage(res, shopPage(req.session)))

app.post('/cart/:product/add', (req, res) => {
  const { product } = req.params
  if (products.some(({ id }) => id === product)) {
    req.session.cart ??= {}
    req.session.cart[product] = (req.session.cart[product] ?? 0) + 1
    delete req.session.order
  }
  res.redirect(303, '/') // sent once the session is stored, so the next page shows it
})

app.post('/cart/:product/remove', (req, res) => {
  delete req.session.cart?.[req.params.product]
  res.redirect(303, '/')
})

app.post('/sign-out', async (req, res) => {
  await req.session.signOut() // the same call as in accounts, with the same effect on all
  res.redirect(303, '/')
})

serve('shop', app, sessions)
