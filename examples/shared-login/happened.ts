// The panel "What just happened". All of it is read from the requests, the responses and the database.
import { STATUS_CODES } from 'node:http'
import type { Response } from 'express'
import { docs } from './addresses.ts'
import { html, type Html } from './html.ts'
import { hasRow, readRow, type Row } from './row.ts'
import { storyOf, type Sentence } from './story.ts'
import { exchangesOf, tokenAfter, type Exchange, type Header } from './watch.ts'

/** Ask once the head of the page has left: the session is stored by then, and the headers are what was sent. */
export async function whatHappened(res: Response): Promise<Html> {
  const exchanges = exchangesOf(res)
  const found = exchanges[0]?.asked.found
  const parts = found === 'unread' ? unread() : await rows(exchanges, found, tokenAfter(res)).catch(unread)
  return html`<section class="happened" id="happened" aria-labelledby="happened-title">
    <div>
      <h2 id="happened-title">What just happened</h2>
      ${parts.words}
      <p class="hint">Read from the requests and the database. Secrets are shortened. Times are UTC.</p>
    </div>
    <div>
      <h3>${exchanges.length === 1 ? 'The request' : 'The requests'}</h3>
      ${exchanges.map((exchange, index) => request(exchange, index === 0))}
    </div>
    <div>
      <h3>The row in the database</h3>
      ${parts.row}
    </div>
  </section>`
}

interface Parts {
  readonly words: Html
  readonly row: Html
}

function unread(): Parts {
  return {
    words: html`<p>The database does not answer, so nobody can say which session this is.</p>`,
    row: html`<p>It cannot be read now.</p>`,
  }
}

async function rows(
  exchanges: readonly Exchange[],
  before: Row | undefined,
  token: string | undefined,
): Promise<Parts> {
  const now = token === undefined ? undefined : await readRow(token)
  const isBeforeLeft = before !== undefined && (await hasRow(before.id))
  return {
    words: words(storyOf({ exchanges, before, isBeforeLeft, now })),
    row: table(before, now),
  }
}

function words(sentences: readonly Sentence[]): Html {
  return html`<ul class="story">
    ${sentences.map(({ text, page, topic }) => html`<li>${text} <a href="${docs(page)}">${topic}</a></li>`)}
  </ul>`
}

function request({ asked, answered }: Exchange, isOpen: boolean): Html {
  return html`<details class="exchange" ${isOpen && html`open`}>
    <summary>
      <code>${asked.method} ${asked.path}</code>
      <span class="status ${answered.status >= 400 && 'bad'}">${answered.status}</span>
      <span class="host">${asked.host}</span>
    </summary>
    <div class="wire">
      ${lines(asked.headers)}
      ${asked.reasons.map((reason) => html`<p class="rule">${withLink(reason, asked.rule)}</p>`)}
      <p class="head"><code>${answered.status} ${STATUS_CODES[answered.status]}</code></p>
      ${lines(answered.headers)}
    </div>
  </details>`
}

function lines(headers: readonly Header[]): Html {
  return html`<ul class="headers">
    ${headers.map(
      ([name, value]) =>
        html`<li>
          <code><b>${name}:</b> ${withMark(value)}</code>
        </li>`,
    )}
  </ul>`
}

function withLink(reason: string, rule = ''): Html {
  const [before, after] = reason.split(` ${rule}.`)
  if (after === undefined) return html`${reason}`
  return html`${before} <a href="${docs('csrf.md#the-rules')}"><code>${rule}</code></a
    >.${after}`
}

/** The session's id stands out, so that the eye finds it in cookies and in the row. */
function withMark(value: string): Html {
  const [before, id, after] = value.split(/(?<=coat_)([\w-]{16})(?=…)/)
  return id === undefined ? html`${value}` : html`${before}<mark>${id}</mark>${after}`
}

const time = (at: number | undefined) => at && new Date(at).toISOString().slice(0, 19).replace('T', ' ')

const columns: readonly (readonly [name: string, value: (row: Row) => string | number | undefined])[] = [
  ['id', ({ id }) => id],
  ['user_id', ({ userId }) => userId],
  ['version', ({ version }) => version],
  ['data', ({ data }) => data],
  ['secret_hash', ({ hash }) => `${hash}…`],
  ['authenticated_at', ({ authenticatedAt }) => time(authenticatedAt)],
  ['created_at', ({ createdAt }) => time(createdAt)],
  ['expires_at', ({ expiresAt }) => time(expiresAt)],
]

function table(before: Row | undefined, now: Row | undefined): Html {
  if (before === undefined && now === undefined) return html`<p>There is none.</p>`
  return html`<table class="row">
    <caption class="unseen">
      A row of coatcheck_sessions: what each column held before, and holds now
    </caption>
    ${columns.map(([name, valueOf]) => {
      const [was, is] = [before && (valueOf(before) ?? 'NULL'), now && (valueOf(now) ?? 'NULL')]
      return html`<tr>
        <th scope="row">${name}</th>
        <td>
          ${was === is ? value(name, is) : html`${was !== undefined && html`<del>${value(name, was)}</del>`} ${is !== undefined && html`<ins>${value(name, is)}</ins>`}`}
        </td>
      </tr>`
    })}
  </table>`
}

function value(name: string, text: string | number | undefined): Html {
  return name === 'id' ? html`<mark>${text}</mark>` : html`${text}`
}
