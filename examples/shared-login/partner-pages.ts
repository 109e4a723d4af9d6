import type { RequestSession } from 'coatcheck'
import { origins } from './addresses.ts'
import { html, type Html } from './html.ts'
import type { PageParts } from './page.ts'
import { readMore, type Reading } from './read-more.ts'

interface Evening {
  readonly id: string
  readonly name: string
  readonly about: string
  readonly day: string
}

export const evenings: readonly Evening[] = [
  { id: 'cloak', name: 'The Cloak', about: 'An opera in one act', day: 'Monday' },
  { id: 'overcoat', name: 'The Overcoat', about: 'A play, after Gogol', day: 'Wednesday' },
  { id: 'umbrellas', name: 'Seven Umbrellas', about: 'Dance, with live rain', day: 'Friday' },
  { id: 'hat', name: 'The Italian Hat', about: 'A farce with many doors', day: 'Saturday' },
]

export function programmePage(session: RequestSession): PageParts {
  const chosen = session.evenings ?? []
  const main = html`
    <h1>This week at the playhouse</h1>
    <p class="lead">
      This is another site: your browser sends it no cookie of
      <code>${new URL(origins.accounts).hostname}</code>.
    </p>
    <section class="card" aria-labelledby="programme">
      <h2 id="programme">Programme <span class="count">${evenings.length}</span></h2>
      <ul class="ways">
        ${evenings.map((evening) => line(evening, chosen.includes(evening.id)))}
      </ul>
    </section>
    ${known(session)}
  `
  return {
    app: 'partner',
    title: 'Playhouse',
    session,
    main,
    aside: mine(chosen),
    afterTicket: readMore(reading),
  }
}

export function minePage(session: RequestSession): PageParts {
  const chosen = session.evenings ?? []
  const main = html`
    <h1>Your evenings</h1>
    <p class="lead">Only users see this page. Accounts told this site who you are.</p>
    <section class="card" aria-labelledby="evenings">
      <h2 id="evenings">Chosen <span class="count">${chosen.length}</span></h2>
      ${
        chosen.length === 0
          ? html`<p>None yet. <a href="/">Look at the programme</a>.</p>`
          : html`<ul class="ways">
              ${evenings.filter(({ id }) => chosen.includes(id)).map((evening) => line(evening, true))}
            </ul>`
      }
    </section>
    ${known(session)}
  `
  return { app: 'partner', title: 'Your evenings', session, main, afterTicket: readMore(reading) }
}

function line({ id, name, about, day }: Evening, isChosen: boolean): Html {
  return html`<li>
    <div>
      <strong>${name}</strong>
      <p class="soft">${about}, ${day}</p>
    </div>
    <form method="post" action="/evenings/${id}">
      <button class="${isChosen ? 'quiet' : ''}" aria-label="${isChosen ? 'Drop' : 'Choose'} ${name}">
        ${isChosen ? 'Drop' : 'Choose'}
      </button>
    </form>
  </li>`
}

/** What accounts shares with this site. */
function known({ root }: RequestSession): Html {
  if (root === undefined) {
    return html`<section class="card" aria-labelledby="known">
      <h2 id="known">Who you are</h2>
      <p>This site does not know you: <code>req.session.root</code> is undefined.</p>
      <div class="actions">
        <a class="button" href="/handoff/sign-in?returnTo=/mine">Sign in at accounts</a>
      </div>
    </section>`
  }
  return html`<section class="card" aria-labelledby="known">
    <h2 id="known">What accounts shares with this site</h2>
    <p><code>req.session.root</code>, read from the database with this request:</p>
    <pre class="block">${JSON.stringify(root, null, 2)}</pre>
    <ul class="ways">
      <li>
        <div>
          <p>Ends your session at this site only.</p>
          <code>req.session.signOut()</code>
        </div>
        <form method="post" action="/handoff/sign-out?returnTo=/">
          <button class="quiet">Sign out here</button>
        </form>
      </li>
      <li>
        <div>
          <p>Ends your session at accounts, and with it those of all sites.</p>
          <code>POST /handoff/sign-out?everywhere</code>
        </div>
        <form method="post" action="/handoff/sign-out?returnTo=/&everywhere">
          <button class="danger">Sign out everywhere</button>
        </form>
      </li>
    </ul>
  </section>`
}

function mine(chosen: readonly string[]): Html {
  return html`<section class="card" aria-labelledby="mine">
    <h2 id="mine">Your evenings <span class="count">${chosen.length}</span></h2>
    <p>Stored in this site’s own session. The other apps do not see it.</p>
    <a class="button wide" href="/mine">See them</a>
  </section>`
}

const reading: Reading = [
  ['handoff.md', 'Unrelated domains', 'How this site knows you.'],
  ['handoff-flow.md', 'Request by request', 'Every header and every row.'],
  ['handoff.md#threat-model', 'Threat model', 'What an attacker can do.'],
]
