// The panel "What just happened". All of it is read from the requests, the responses and the database.
import { STATUS_CODES } from 'node:http'
import type { Response } from 'express'
import { docs } from './addresses.ts'
import { html, type Html } from './html.ts'
import type { Exchange, Header } from './exchange.ts'
import { hasRow, readCodeRow, readRow, type CodeRow, type Row } from './row.ts'
import type { Sentence } from './sentence.ts'
import { storyOf } from './story.ts'
import { exchangesOf, tokenAfterPage } from './watch.ts'

/**
 * Call it after the head of the page was sent: the session is stored by then, and the headers are final.
 * @param clientId of the page's app, if it is a site of the hand-off
 */
export async function whatHappened(res: Response, clientId: string | undefined): Promise<Html> {
  const exchanges = exchangesOf(res)
  const found = exchanges.find(({ asked }) => asked.found !== 'elsewhere')?.asked.found
  const parts =
    found === 'unread' || found === 'elsewhere'
      ? unread()
      : await rows(exchanges, found, tokenAfterPage(res), clientId).catch(unread)
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
      ${parts.row} ${parts.code && html`<h3>The code of the hand-off</h3>`} ${parts.code}
    </div>
  </section>`
}

interface Parts {
  readonly words: Html
  readonly row: Html
  readonly code?: Html | undefined
}

function unread(): Parts {
  return {
    words: html`<p>The database does not answer, so this panel cannot show the session.</p>`,
    row: html`<p>It cannot be read now.</p>`,
  }
}

async function rows(
  exchanges: readonly Exchange[],
  before: Row | undefined,
  token: string | undefined,
  clientId: string | undefined,
): Promise<Parts> {
  const now = token === undefined ? undefined : await readRow(token, clientId)
  const isBeforeLeft = before !== undefined && (await hasRow(before.id))
  const isRootLeft = before?.rootId !== undefined && (await hasRow(before.rootId))
  const codeRowId = exchanges.find(({ asked }) => asked.codeRowId !== undefined)?.asked.codeRowId
  const code = codeRowId === undefined ? undefined : await readCodeRow(codeRowId)
  return {
    words: words(storyOf({ exchanges, before, isBeforeLeft, isRootLeft, now })),
    row: table(before, now),
    code: code && codeTable(code),
  }
}

function words(sentences: readonly Sentence[]): Html {
  return html`<ul class="story">
    ${sentences.map(({ text, page, topic }) => html`<li>${text} <a href="${docs(page)}">${topic}</a></li>`)}
  </ul>`
}

function request({ asked, answered }: Exchange, isOpen: boolean): Html {
  const [pathname, query] = asked.path.split(/(?=\?)/)
  return html`<details class="exchange" ${isOpen && html`open`}>
    <summary>
      <code>${asked.method} ${pathname}</code>
      <span class="status ${answered.status >= 400 && 'bad'}">${answered.status}</span>
      <span class="host">${asked.host}</span>
    </summary>
    <div class="wire">
      ${query && html`<p class="query"><code>${parameters(query)}</code></p>`} ${lines(asked.headers)}
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

/** An address with each parameter on a line of its own. */
function parameters(address: string): Html {
  const [start = '', ...others] = address.split(/(?=[?&])/)
  return html`${withBreaks(start, /(?<=\w)(?=\/\w)/)}${others.map((parameter) => html`<span class="parameter">${parameter}</span>`)}`
}

/** A long text may be wrapped in these places. */
function withBreaks(text: string, places: RegExp): Html {
  const [start = '', ...others] = text.split(places)
  return html`${start}${others.map((other) => html`<wbr />${other}`)}`
}

/** The ids of a session and its root stand out, so that the eye finds them in cookies and in the row. */
function withMark(value: string): Html {
  const [before, id, rootId, after] = value.split(/(?<=coat_)([\w-]{16})([\w-]{16})?(?=…)/)
  if (id === undefined) return parameters(value)
  return html`${before}<mark>${id}</mark>${rootId && html`<mark class="root">${rootId}</mark>`}${after}`
}

const time = (at: number | undefined) => at && new Date(at).toISOString().slice(0, 19).replace('T', ' ')

type Value = string | number | undefined
const columns: readonly (readonly [name: string, value: (row: Row) => Value])[] = [
  ['id', ({ id }) => id],
  ['root_id', ({ rootId }) => rootId],
  ['about', ({ about }) => about],
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
  const isChild = before?.rootId !== undefined || now?.rootId !== undefined
  const shown = columns.filter(([name]) => isChild || (name !== 'root_id' && name !== 'about'))
  return html`<table class="row">
    <caption class="unseen">
      A row of coatcheck_sessions: what each column held before, and holds now
    </caption>
    ${shown.map(([name, valueOf]) => {
      const [was, is] = [before && (valueOf(before) ?? 'NULL'), now && (valueOf(now) ?? 'NULL')]
      return line(
        name,
        was === is
          ? value(name, is)
          : html`${was !== undefined && html`<del>${value(name, was)}</del>`}
            ${is !== undefined && html`<ins>${value(name, is)}</ins>`}`,
      )
    })}
  </table>`
}

function codeTable({ id, clientId, rootId, state, childId, expiresAt }: CodeRow): Html {
  const entries: readonly (readonly [string, Value])[] = [
    ['id', id],
    ['is', state],
    ['clientId', clientId],
    ['rootId', rootId],
    ['childId', childId],
    ['expires_at', time(expiresAt)],
  ]
  return html`<table class="row">
    <caption class="unseen">
      What the database has of the code
    </caption>
    ${entries
      .filter(([, text]) => text !== undefined)
      .map(([name, text]) => line(name, value(name === 'id' ? '' : name, text)))}
  </table>`
}

function line(name: string, content: Html): Html {
  return html`<tr>
    <th scope="row">${name}</th>
    <td>${content}</td>
  </tr>`
}

function value(name: string, text: Value): Html {
  if (text === 'NULL') return html`NULL`
  if (name === 'data') return withBreaks(String(text), /(?<=[,:{])/)
  if (name === 'id' || name === 'childId') return html`<mark>${text}</mark>`
  return name === 'root_id' || name === 'rootId' ? html`<mark class="root">${text}</mark>` : html`${text}`
}
