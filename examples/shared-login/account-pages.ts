import type { RequestSession, SessionInfo } from 'coatcheck'
import { origins, type AppName } from './addresses.ts'
import { html, type Html } from './html.ts'
import { ago, type PageParts } from './page.ts'
import { passwordOfAll, type Person } from './people.ts'
import { readMore, type Reading } from './read-more.ts'

/** Where a visitor goes after signing in. */
export interface GoingOn {
  readonly from: AppName
  /** A path of this app, or `''`. */
  readonly returnTo: string
}

export function signInPage(
  session: RequestSession,
  { from, returnTo }: GoingOn,
  problem?: string,
): PageParts {
  const main = html`
    <h1>Sign in</h1>
    <p class="lead">Sign in once, here. The shop, the API and the partner then know you too.</p>
    <form class="card form" method="post" action="/sign-in">
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <input type="hidden" name="from" value="${from}" />
      <input type="hidden" name="returnTo" value="${returnTo}" />
      <label
        >Name <input name="name" autocomplete="username" autocapitalize="none" required autofocus
      /></label>
      <label
        >Password <input name="password" type="password" autocomplete="current-password" required
      /></label>
      <button>Sign in</button>
      <p class="hint">
        The users of this demo are <kbd>alice</kbd> and <kbd>bob</kbd>. The password of both is
        <kbd>${passwordOfAll}</kbd>.
      </p>
    </form>
  `
  return { app: 'accounts', title: 'Sign in', session, main, afterTicket: readMore(beforeSigningIn) }
}

export function accountPage(
  session: RequestSession,
  person: Person,
  list: readonly SessionInfo[],
): PageParts {
  const main = html`
    <h1>Welcome, ${person.name}</h1>
    <p class="lead">
      You are signed in here, in the <a href="${origins.shop}/">shop</a> and in the API. The
      <a href="${origins.partner}/">partner</a> asks here who you are.
    </p>
    ${devices(list, session.publicId)} ${waysToLeave()}
  `
  return { app: 'accounts', title: 'Your account', session, main, afterTicket: readMore(onceSignedIn) }
}

function devices(list: readonly SessionInfo[], thisDevice: string): Html {
  const isThis = ({ publicId }: SessionInfo) => publicId === thisDevice
  const thisFirst = [...list.filter(isThis), ...list.filter((device) => !isThis(device))]
  return html`<section class="card" aria-labelledby="devices">
    <h2 id="devices">Where you are signed in <span class="count">${list.length}</span></h2>
    <ul class="devices">
      ${thisFirst.map(
        (device) =>
          html`<li>
            <div>
              <strong>${device.data.device ?? 'Unknown browser'}</strong>
              ${isThis(device) && html`<span class="badge">This device</span>`}
              <p class="facts">
                <code>${device.publicId}</code><span>Began ${ago(device.createdAt)}</span
                ><span>Last seen ${ago(device.seenAt)}</span>
              </p>
            </div>
            <form method="post" action="/devices/${device.publicId}/end">
              <button class="quiet" aria-label="End the session ${device.publicId}">End</button>
            </form>
            ${device.sites.length > 0 && sites(device)}
          </li>`,
      )}
    </ul>
  </section>`
}

/** A device's sessions at other sites. Its own session is their root, so they end with it. */
function sites({ sites }: SessionInfo): Html {
  return html`<ul class="sites">
    ${sites.map(
      ({ clientId, publicId, seenAt }) =>
        html`<li>
          <div>
            <strong>${hosts[clientId] ?? clientId}</strong> <span class="badge">Another site</span>
            <p class="facts"><code>${publicId}</code><span>Last seen ${ago(seenAt)}</span></p>
          </div>
          <form method="post" action="/devices/${publicId}/end">
            <button class="quiet" aria-label="End the session ${publicId}">End</button>
          </form>
        </li>`,
    )}
  </ul>`
}

/** The host of each site, by its `clientId`. */
const hosts: Readonly<Record<string, string>> = { partner: new URL(origins.partner).hostname }

/** The ways to sign out, and the call behind each. */
const ways = [
  {
    action: '/sign-out',
    label: 'Sign out here',
    style: 'quiet',
    about: 'Ends the session of this browser.',
    code: 'req.session.signOut()',
  },
  {
    action: '/sign-out-others',
    label: 'Sign out the others',
    style: 'quiet',
    about: 'Ends all your sessions but this one, which gets a new token.',
    code: 'sessions.user(id).revokeAll({ except: req.session })',
  },
  {
    action: '/sign-out-everywhere',
    label: 'Sign out everywhere',
    style: 'danger',
    about: 'Ends all your sessions, and rejects sign-ins that are in progress.',
    code: 'sessions.user(id).revokeAll()',
  },
] as const

function waysToLeave(): Html {
  return html`<section class="card" aria-labelledby="leave">
    <h2 id="leave">Sign out</h2>
    <p>All four apps reject a session from the moment that you end it.</p>
    <ul class="ways">
      ${ways.map(
        ({ action, label, style, about, code }) =>
          html`<li>
            <div>
              <p>${about}</p>
              <code>${code}</code>
            </div>
            <form method="post" action="${action}"><button class="${style}">${label}</button></form>
          </li>`,
      )}
    </ul>
  </section>`
}

const beforeSigningIn: Reading = [
  ['sign-in.md', 'Sign-in and sign-out', 'The code behind this form.'],
  ['sharing.md', 'Sharing between apps', 'Why one sign-in is enough for all.'],
  ['csrf.md', 'Forged requests', 'Why this form needs no CSRF token.'],
]

const onceSignedIn: Reading = [
  ['sign-in.md#list-a-users-devices', 'List a user’s devices', 'The code behind the list of devices.'],
  ['handoff.md', 'Unrelated domains', 'How the partner knows you.'],
  ['sign-in.md#change-a-password', 'Change a password', 'In which order to sign out the others.'],
  ['guarantees.md', 'Guarantees', 'What holds when apps or the database fail.'],
]
