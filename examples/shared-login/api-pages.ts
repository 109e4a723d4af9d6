// The pages that browsers get from the API. Programs get JSON.
import { STATUS_CODES } from 'node:http'
import type { Request } from 'express'
import { origins } from './addresses.ts'
import { html, type Html } from './html.ts'

/** Browsers prefer HTML. Programs that accept anything, such as curl and fetch, get JSON. */
export function prefersJson(req: Request): boolean {
  req.res!.vary('Accept')
  return req.accepts(['json', 'html']) !== 'html'
}

export const endpoints = [
  { method: 'GET', path: '/me', about: 'Who is signed in, and their session.' },
  { method: 'GET', path: '/cart', about: 'How many items are in the cart, and their total.' },
  { method: 'POST', path: '/orders', about: 'Places an order for the cart. The shop’s page calls it.' },
] as const

export function endpointList(): Html {
  return html`
    <h1>The API</h1>
    <p class="lead">This app has no sign-in form. It reads the same session from the same cookie.</p>
    <section class="card" aria-labelledby="endpoints">
      <h2 id="endpoints">Endpoints</h2>
      ${endpointLines()}
    </section>
    <section class="card" aria-labelledby="negotiated">
      <h2 id="negotiated">A page for you, JSON for programs</h2>
      <p>
        Your browser sends <code>Accept: text/html</code> and gets a page. Programs that do not ask for HTML
        get JSON:
      </p>
      <pre class="block">curl ${origins.api}/cart</pre>
    </section>
  `
}

interface JsonPage {
  readonly title: string
  readonly status: number
  readonly body: object
  readonly isSignedIn: boolean
}

/** An answer of the API, as a page with links to go on. */
export function jsonPage({ title, status, body, isSignedIn }: JsonPage): Html {
  const isGood = status < 400
  return html`
    <h1 class="code">${title}</h1>
    <p class="lead">A program with your cookie gets this answer as JSON.</p>
    <section class="card" aria-labelledby="answer">
      <h2 id="answer" class="answer">
        The answer
        <span class="status ${!isGood && 'bad'}">${status} ${STATUS_CODES[status]}</span>
      </h2>
      <pre class="block">${JSON.stringify(body, null, 2)}</pre>
      <div class="actions">
        ${
          isSignedIn
            ? html`<a class="button" href="${origins.shop}/">Back to the shop</a>`
            : html`<a class="button" href="${origins.accounts}/?from=api">Sign in</a>`
        }
        <a class="button quiet" href="/">All endpoints</a>
      </div>
    </section>
  `
}

function endpointLines(): Html {
  return html`<ul class="endpoints">
    ${endpoints.map(
      ({ method, path, about }) =>
        html`<li>
          ${method === 'GET' ? html`<a href="${path}"><code>${method} ${path}</code></a>` : html`<code>${method} ${path}</code>`}
          <span>${about}</span>
        </li>`,
    )}
  </ul>`
}
