import { docs } from './addresses.ts'
import { html, type Html } from './html.ts'

/** Pages of the documentation. */
export type Reading = readonly (readonly [path: string, title: string, about: string])[]

export function readMore(pages: Reading): Html {
  return html`<section class="card" aria-labelledby="more">
    <h2 id="more">Read more</h2>
    <ul class="links">
      ${pages.map(
        ([path, title, about]) => html`<li><a href="${docs(path)}">${title}</a> <span>${about}</span></li>`,
      )}
    </ul>
  </section>`
}
