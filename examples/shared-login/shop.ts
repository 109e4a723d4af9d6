// A cart that is kept in the session, before signing in and after.
import session from 'coatcheck/express'
import express from 'express'
import { origins } from './addresses.ts'
import { pictures } from './art.ts'
import { euros, products, summaryOf, type Cart } from './catalogue.ts'
import { html, type Html } from './html.ts'
import { sendPage } from './page.ts'
import { securityHeaders } from './security-headers.ts'
import { files, logRequests, neverKept, serve, showErrors, showMissing } from './serve.ts'
import { sessions } from './sessions.ts'
import { watch } from './watch.ts'

const app = express()
app.use(securityHeaders('shop'))
app.use(files)
app.use(logRequests('shop'))
app.use(neverKept)
app.use(watch('shop', sessions))
app.use(session(sessions))

app.get('/', async (req, res) => {
  const { cart, order, userId } = req.session
  await sendPage(res, {
    app: 'shop',
    title: 'Shop',
    session: req.session,
    main: shelf(cart),
    aside: cartCard(cart, order, userId !== undefined),
    afterTicket: apiCard(),
    script: '/shop-page.js',
  })
})

app.post('/cart/:product/add', (req, res) => {
  const { product } = req.params
  if (products.some(({ id }) => id === product)) {
    req.session.cart ??= {}
    req.session.cart[product] = (req.session.cart[product] ?? 0) + 1
    delete req.session.order
  }
  res.redirect(303, '/') // leaves once the session is stored, so the next page shows it
})

app.post('/cart/:product/remove', (req, res) => {
  delete req.session.cart?.[req.params.product]
  res.redirect(303, '/')
})

app.post('/sign-out', async (req, res) => {
  await req.session.signOut() // the same call as in accounts, with the same effect on all
  res.redirect(303, '/')
})

app.use(showMissing('shop'))
app.use(showErrors('shop'))
serve('shop', app, sessions)

function shelf(cart: Cart = {}): Html {
  return html`
    <h1>For the way home</h1>
    <p class="lead">Take what you like. The cart is yours before you sign in, and still yours after.</p>
    <ul class="shelf">
      ${products.map(
        ({ id, name, about, price, badge }) =>
          html`<li class="card product">
            <div class="picture">${pictures[id]} ${badge && html`<span class="badge">${badge}</span>`}</div>
            <h2>${name}</h2>
            <p>${about}</p>
            <form method="post" action="/cart/${id}/add">
              <span class="price">${euros(price)}</span>
              <button aria-label="Add ${name} to the cart">
                Add ${(cart[id] ?? 0) > 0 && html`<span class="count">${cart[id]}</span>`}
              </button>
            </form>
          </li>`,
      )}
    </ul>
  `
}

type Order = { number: string; items: number; total: number } | undefined

function cartCard(cart: Cart | undefined, order: Order, isSignedIn: boolean): Html {
  const { lines, items, total } = summaryOf(cart)
  if (items === 0) {
    return html`<section class="card" id="cart" aria-labelledby="cart-title">
      <h2 id="cart-title">Your cart</h2>
      ${
        order
          ? html`<p class="done" role="status">
              Order <strong>${order.number}</strong> is placed: ${pieces(order.items)} for
              ${euros(order.total)}. The API took it out of your session.
            </p>`
          : html`<p>Nothing in it yet.</p>`
      }
    </section>`
  }
  return html`<section class="card" id="cart" aria-labelledby="cart-title">
    <h2 id="cart-title">Your cart <span class="count">${items}</span></h2>
    <ul class="lines">
      ${lines.map(
        ({ product, quantity, price }) =>
          html`<li>
            <span>${quantity} × ${product.name}</span><span>${euros(price)}</span>
            <form method="post" action="/cart/${product.id}/remove">
              <button class="bare" aria-label="Remove ${product.name} from the cart">×</button>
            </form>
          </li>`,
      )}
    </ul>
    <p class="sum"><span>Total</span><strong>${euros(total)}</strong></p>
    ${
      isSignedIn
        ? html`<button class="wide" id="order">Place the order</button>`
        : html`<a class="button wide" href="${origins.accounts}/?from=shop">Sign in to order</a>`
    }
  </section>`
}

/** Filled by public/shop-page.js, which asks the API from this page, across origins. */
function apiCard(): Html {
  return html`<section class="card" aria-labelledby="api-title">
    <h2 id="api-title">What the API says</h2>
    <p>Asked by this page with <code>fetch</code>, across origins, with your cookie.</p>
    <ol id="calls" class="calls" data-api="${origins.api}" aria-live="polite"></ol>
    <noscript><p>This part needs JavaScript.</p></noscript>
  </section>`
}

function pieces(count: number): string {
  return count === 1 ? '1 piece' : `${count} pieces`
}
