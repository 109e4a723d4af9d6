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
  /** Left out where nobody can know it: on the page that says that the database is away. */
  readonly session?: RequestSession
  readonly main: Html
  /** The address of the page's script. */
  readonly script?: string
  /** Beside the main part, before and after the ticket. */
  readonly aside?: Html
  readonly afterTicket?: Html
}

/** Where a page is cut: what comes after it is known only once the rest has left. No text of a page contains it. */
const cut = '<!-- what happened -->'

/** Sends a page in two parts. The session is stored before the first leaves; the second tells what happened with it. */
export async function sendPage(res: Response, parts: PageParts): Promise<void> {
  const ending = parts.session && takeEnding(res.req)
  const [top, end] = frame(parts, new Html(cut), ending).split(cut)
  showsWhatHappened(res)
  res.type('html')
  await new Promise<void>((sent) => res.write(top, () => sent()))
  res.end((await whatHappened(res)).text + end)
}

/** A page that has nothing to do with sessions. */
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
            Three apps, three processes, three host names under <code>demo.localhost</code>: one session in
            one database.
          </p>
          <a href="${docs('README.md')}">Documentation</a>
        </footer>
      </body>
    </html>`.text
}

function header(app: AppName, session: RequestSession | undefined): Html {
  const person = personOf(session?.userId)
  const { items } = summaryOf(session?.cart)
  const link = (name: AppName, path: string, label: Html | string) =>
    html`<a href="${origins[name]}${path}" ${name === app && html`aria-current="page"`}>${label}</a>`
  return html`<header>
    <a class="brand" href="${origins.accounts}/"
      ><img src="/ticket.svg" alt="" width="30" height="30" />Coatcheck</a
    >
    <nav aria-label="Apps">
      ${link('accounts', '/', 'Accounts')}
      ${link('shop', '/', html`Shop <span class="count" id="count" ${items === 0 && html`hidden`}>${items}<span class="unseen"> in the cart</span></span>`)}
      ${link('api', '/', 'API')}
    </nav>
    ${person ? signedIn(person.name) : session && signedOut(app)}
  </header>`
}

function signedIn(name: string): Html {
  // Each app has this form, and signs out for all.
  return html`<div class="visitor">
    <span class="initial" aria-hidden="true">${name[0]}</span>
    <span class="name" id="visitor">${name}</span>
    <form method="post" action="/sign-out"><button class="quiet">Sign out</button></form>
  </div>`
}

function signedOut(app: AppName): Html {
  return html`<div class="visitor">
    <span class="name" id="visitor">Not signed in</span>
    ${app !== 'accounts' && html`<a class="button" href="${origins.accounts}/?from=${app}">Sign in</a>`}
  </div>`
}

/** For a browser whose session was ended from elsewhere. It would see only that nobody is signed in. */
function signedOutElsewhere(app: AppName, { publicId, userId, reason, at }: Ending): Html {
  const how =
    reason === 'limit'
      ? 'because there were too many sessions'
      : 'from the list of devices or by “Sign out everywhere”'
  return html`<section class="notice" role="alert" aria-labelledby="notice">
    <h2 id="notice">You were signed out elsewhere</h2>
    <p>
      ${personOf(userId)?.name}’s session <code>${publicId}</code> was ended ${ago(new Date(at))}, ${how}.
      Your browser still has its cookie, which opens nothing any more.
    </p>
    ${app !== 'accounts' && html`<a class="button" href="${origins.accounts}/?from=${app}">Sign in again</a>`}
  </section>`
}

/** What the server knows of this browser, as the stub of a coat check ticket. */
function ticket(session: RequestSession): Html {
  const person = personOf(session.userId)
  if (session.createdAt === undefined) {
    return html`<section class="ticket empty" aria-labelledby="ticket">
      <h2 id="ticket">No ticket yet</h2>
      <p class="number" aria-hidden="true">– – – –</p>
      <p>
        You have handed in nothing, so the database knows nothing of you: a session begins when there is
        something to keep.
      </p>
      <a href="#happened">What just happened</a>
    </section>`
  }
  return html`<section class="ticket" aria-labelledby="ticket">
    <h2 id="ticket">Your ticket</h2>
    <p class="number">${session.publicId}</p>
    <p>
      ${person ? html`Bound to <strong>${person.name}</strong>` : 'Bound to nobody yet'}, handed out
      ${ago(session.createdAt)}. The number names your session and opens nothing: only the token in your
      cookie does.
    </p>
    <a href="#happened">What just happened</a>
  </section>`
}

/** A moment as people say it, with the exact one behind. */
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
