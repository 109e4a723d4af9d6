import type { RequestSession } from 'coatcheck'
import { origins } from './addresses.ts'
import { pictures } from './art.ts'
import { euros, products, summaryOf, type Cart } from './catalogue.ts'
import { html, type Html } from './html.ts'
import type { PageParts } from './page.ts'

export function shopPage(session: RequestSession): PageParts {
  return {
    app: 'shop',
    title: 'Shop',
    session,
    main: shelf(session.cart),
    aside: cartCard(session),
    afterTicket: apiCard(),
    script: '/shop-page.js',
  }
}

function shelf(cart: Cart = {}): Html {
  return html`
    <h1>For the way home</h1>
    <p class="lead">Fill the cart before you sign in. It is still there afterwards.</p>
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

function cartCard({ cart, order, userId }: RequestSession): Html {
  const { lines, items, total } = summaryOf(cart)
  if (items === 0) {
    return html`<section class="card" id="cart" aria-labelledby="cart-title">
      <h2 id="cart-title">Your cart</h2>
      ${
        order
          ? html`<p class="done" role="status">
              Order <strong>${order.number}</strong> is placed: ${pieces(order.items)} for
              ${euros(order.total)}.
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
      userId !== undefined
        ? html`<button class="wide" id="order">Place the order</button>`
        : html`<a class="button wide" href="${origins.accounts}/?from=shop">Sign in to order</a>`
    }
  </section>`
}

/** The page's script, public/shop-page.js, fills it. */
function apiCard(): Html {
  return html`<section class="card" aria-labelledby="api-title">
    <h2 id="api-title">Answers of the API</h2>
    <p>This page asks the API with <code>fetch</code>, across origins, with your cookie.</p>
    <ol id="calls" class="calls" data-api="${origins.api}" aria-live="polite"></ol>
    <noscript><p>This part needs JavaScript.</p></noscript>
  </section>`
}

function pieces(count: number): string {
  return count === 1 ? '1 piece' : `${count} pieces`
}
