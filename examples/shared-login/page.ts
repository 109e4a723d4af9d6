import type { RequestSession } from 'coatcheck'
import type { Response } from 'express'
import { docs, origins, type AppName } from './addresses.ts'
import { summaryOf } from './catalogue.ts'
import { takeEnding, type Ending } from './ended.ts'
import { whatHappened } from './happened.ts'
import { Html, html } from './html.ts'
import { personOf } from './people.ts'
import { showsWhatHappened } from './watch.ts'

export interface PageParts {
  readonly app: AppName
  readonly title: string
  /** Left out on error pages: the database may be down. */
  readonly session?: RequestSession
  readonly main: Html
  /** The address of the page's script. */
  readonly script?: string
  /** Beside the main part, before and after the ticket. */
  readonly aside?: Html
  readonly afterTicket?: Html
}

/** Marks the place of the panel in a page's HTML. No text of a page contains it. */
const cut = '<!-- what happened -->'

/** Sends a page in two parts. The session is stored before the first. The second has the panel, which shows what was stored. */
export async function sendPage(res: Response, parts: PageParts): Promise<void> {
  const { app, session } = parts
  const ending = session && takeEnding(app, res.req)
  const [top, end] = frame(parts, new Html(cut), ending).split(cut)
  showsWhatHappened(app, res)
  res.type('html')
  await new Promise<void>((sent) => res.write(top, () => sent()))
  const clientId = app === 'partner' ? app : undefined
  res.end((await whatHappened(res, clientId)).text + end)
}

/** A page that needs no session. */
export function plainPage(parts: PageParts): string {
  return frame(parts)
}

/** What all pages have around them. */
function frame(parts: PageParts, happened?: Html, ending?: Ending): string {
  const { app, title, session, main, script, aside, afterTicket } = parts
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Coatcheck demo</title>
        <link rel="icon" href="/ticket.svg" />
        <link rel="stylesheet" href="/style.css" />
        ${script && html`<script type="module" src="${script}"></script>`}
      </head>
      <body data-app="${app}" data-user="${session?.userId}" data-items="${summaryOf(session?.cart).items}">
        <a class="skip" href="#main">Skip to the content</a>
        ${header(app, session)}
        <div class="columns">
          ${ending && signedOutElsewhere(app, ending)}
          <main id="main">${main}</main>
          <aside>${aside} ${session && ticket(session)} ${afterTicket}</aside>
          ${happened}
        </div>
        <footer>
          <p>
            Four apps and one database. Three share a cookie below <code>demo.localhost</code>. To browsers,
            <code>partner.localhost</code> is another site.
          </p>
          <a href="${docs('README.md')}">Documentation</a>
        </footer>
      </body>
    </html>`.text
}

function header(app: AppName, session: RequestSession | undefined): Html {
  const name = session && nameOf(session)
  const { items } = summaryOf(session?.cart)
  const link = (to: AppName, label: Html | string) =>
    html`<a href="${origins[to]}/" ${to === app && html`aria-current="page"`}>${label}</a>`
  return html`<header>
    <a class="brand" href="/"
      ><img
        src="/ticket.svg"
        alt=""
        width="30"
        height="30"
      />${app === 'partner' ? 'Playhouse' : 'Coatcheck'}</a
    >
    <nav aria-label="Apps">
      ${link('accounts', 'Accounts')}
      ${link('shop', html`Shop <span class="count" id="count" ${items === 0 && html`hidden`}>${items}<span class="unseen"> in the cart</span></span>`)}
      ${link('api', 'API')} ${link('partner', 'Partner')}
    </nav>
    ${name ? signedIn(app, name) : session && signedOut(app)}
  </header>`
}

/** At the partner, it comes from accounts. */
function nameOf({ root, userId }: RequestSession): string | undefined {
  return root ? root.data.name : personOf(userId)?.name
}

function signedIn(app: AppName, name: string): Html {
  // Accounts, shop and API sign out of all apps. The partner signs out of itself only.
  const action = app === 'partner' ? '/handoff/sign-out?returnTo=/' : '/sign-out'
  return html`<div class="visitor">
    <span class="initial" aria-hidden="true">${name[0]}</span>
    <span class="name" id="visitor">${name}</span>
    <form method="post" action="${action}"><button class="quiet">Sign out</button></form>
  </div>`
}

function signedOut(app: AppName): Html {
  return html`<div class="visitor">
    <span class="name" id="visitor">Not signed in</span>
    ${app !== 'accounts' && html`<a class="button" href="${signInAddress(app)}">Sign in</a>`}
  </div>`
}

/** The form at accounts. At the partner, the start of a hand-off. */
function signInAddress(app: AppName): string {
  return app === 'partner' ? '/handoff/sign-in?returnTo=/' : `${origins.accounts}/?from=${app}`
}

/** For a browser whose session was ended elsewhere: without it, the page would only say "Not signed in". */
function signedOutElsewhere(app: AppName, { publicId, userId, reason, at }: Ending): Html {
  return html`<section class="notice" role="alert" aria-labelledby="notice">
    <h2 id="notice">You were signed out elsewhere</h2>
    <p>
      ${personOf(userId)?.name}’s session <code>${publicId}</code> was ended ${ago(new Date(at))}
      ${reason === 'signOut' ? 'by a sign-out' : 'on the accounts page'}. Your browser still has its cookie,
      but no app accepts it.
    </p>
    ${app !== 'accounts' && html`<a class="button" href="${signInAddress(app)}">Sign in again</a>`}
  </section>`
}

/** The browser's session, as the stub of a coat check ticket. */
function ticket(session: RequestSession): Html {
  const name = nameOf(session)
  if (session.createdAt === undefined) {
    return html`<section class="ticket empty" aria-labelledby="ticket">
      <h2 id="ticket">No session here</h2>
      <p class="number" aria-hidden="true">– – – –</p>
      <p>A session begins when there is something to store.</p>
      <a href="#happened">What just happened</a>
    </section>`
  }
  return html`<section class="ticket" aria-labelledby="ticket">
    <h2 id="ticket">Your session</h2>
    <p class="number">${session.publicId}</p>
    <p>
      ${name ? html`Signed in as <strong>${name}</strong>` : 'Nobody is signed in'}. The session began
      ${ago(session.createdAt)}${session.root && html`, from <code>${session.root.publicId}</code> at accounts`}.
      Its id is no secret. The token in your cookie is.
    </p>
    <a href="#happened">What just happened</a>
  </section>`
}

/** A time in words, with the exact time as its title. */
export function ago(moment: Date): Html {
  const minutes = Math.max(0, Math.floor((Date.now() - moment.getTime()) / 60_000))
  const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })
  const text =
    minutes < 1 ? 'just now'
    : minutes < 60 ? words.format(-minutes, 'minute')
    : minutes < 1440 ? words.format(-Math.floor(minutes / 60), 'hour')
    : words.format(-Math.floor(minutes / 1440), 'day') // prettier-ignore
  return html`<time datetime="${moment.toISOString()}" title="${moment.toISOString()}">${text}</time>`
}
