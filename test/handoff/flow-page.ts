// The page docs/handoff-flow.md: requests and responses as they went over the wire, and what the store held after each.
import type { DatabaseSync } from 'node:sqlite'
import { format } from 'prettier'
import { type Exchanged, isRedirect, nextOf, type Visitor, type VisitOptions } from './visitor.ts'

/** A request and its response, and what is said of them. */
interface Told {
  readonly caption: string
  readonly exchanged: Exchanged
  /** What it has changed in the store. */
  readonly changes: readonly string[]
}

/** Records what a browser and the store do, and writes it as a page. */
export class FlowPage {
  readonly #database: DatabaseSync
  readonly #port: string
  readonly #parts: string[] = []
  #told = 0
  #rows: StoredRows = new Map()

  constructor(database: DatabaseSync, port: string) {
    this.#database = database
    this.#port = port
  }

  /**
   * Sends a request, and follows its redirects as a browser does.
   * @param captions one for each request
   */
  async tell(
    heading: string,
    visitor: Visitor,
    url: string,
    captions: readonly string[],
    options: VisitOptions = {},
  ): Promise<Exchanged> {
    this.#parts.push(`## ${heading}`)
    let exchanged = await visitor.send(url, options)
    for (const [index, caption] of captions.entries()) {
      if (index > 0) exchanged = await visitor.send(nextOf(exchanged))
      this.#parts.push(this.#textOf({ caption, exchanged, changes: this.#changes() }))
    }
    if (isRedirect(exchanged)) throw new Error(`No caption for what follows ${exchanged.url}`)
    return exchanged
  }

  /** The page, formatted. */
  text(introduction: string): Promise<string> {
    const page = [introduction, ...this.#parts].join('\n\n').replaceAll(`:${this.#port}`, '')
    return format(page, { parser: 'markdown', printWidth: 120, proseWrap: 'always' })
  }

  #textOf({ caption, exchanged, changes }: Told): string {
    const { method, url, cookie, status, headers, text } = exchanged
    const names = cookie?.split('; ').map((pair) => cookieName(pair.split('=')[0]!)) ?? []
    const next = headers.get('location')
    const lines = [
      ...addressLines(`${method} `, url),
      ...(names.length === 0 ? [] : [`Cookie: ${names.join(', ')}`]),
      '',
      `${status}`,
      ...(next === null ? [] : addressLines('Location: ', next)),
      ...headers.getSetCookie().map((header) => `Set-Cookie: ${cookieText(header)}`),
      ...(next === null ? ['', /<h1>(.*?)<\/h1>/.exec(text)![1]!] : []),
    ]
    const block = ['```text', ...lines, '```'].join('\n')
    const stored = changes.length === 0 ? '' : ['\n\n```diff', ...changes, '```'].join('\n')
    return `**${++this.#told}.** ${caption}\n\n${block}${stored}`
  }

  /** What has changed in the store since this was called last. */
  #changes(): string[] {
    const before = this.#rows
    this.#rows = rowsOf(this.#database)
    const ended = [...before].filter(([name]) => !this.#rows.has(name))
    return [
      ...[...this.#rows].flatMap(([name, fields]) => changesOf(name, before.get(name), fields)),
      ...ended.flatMap(([name, fields]) => changesOf(name, fields, undefined)),
    ]
  }
}

/** The fields of each row, by the row's name. */
type StoredRows = ReadonlyMap<string, readonly string[]>

function rowsOf(database: DatabaseSync): StoredRows {
  const rows = database.prepare('SELECT * FROM coatcheck_sessions ORDER BY created_at, rowid').all()
  return new Map(
    (rows as unknown as Row[]).map((row) => (row.secret_hash === null ? noteOf(row) : sessionOf(row))),
  )
}

/** As a diff shows it. */
function changesOf(name: string, before: readonly string[] = [], after: readonly string[] = []): string[] {
  const dropped = before.filter((field) => !after.includes(field))
  const added = after.filter((field) => !before.includes(field))
  if (dropped.length + added.length === 0) return []
  const sign = before.length === 0 ? '+' : after.length === 0 ? '-' : ' '
  return [
    `${sign} ${name}`,
    ...dropped.map((field) => `-   ${field}`),
    ...added.map((field) => `+   ${field}`),
  ]
}

/** The same for two runs: what differs from run to run is numbered, in the order in which it appears. */
export function normalised(page: string): string {
  const numbers = new Map<string, number>()
  return page.replaceAll(/[\w-]{6}…|…[\w-]{6}/g, (value) => {
    if (!numbers.has(value)) numbers.set(value, numbers.size + 1)
    return `value ${numbers.get(value)}`
  })
}

interface Row {
  readonly id: Uint8Array
  readonly secret_hash: Uint8Array | null
  readonly user_id: Uint8Array | null
  readonly root_id: Uint8Array | null
  readonly about: Uint8Array | null
  readonly data: Uint8Array
}

function sessionOf({
  id,
  secret_hash: hash,
  user_id: user,
  root_id: root,
  about,
  data,
}: Row): [string, string[]] {
  const fields = {
    secret_hash: shortened(base64url(hash!)),
    user_id: user && text(user),
    root_id: root && idText(base64url(root)),
    about: about && text(about),
    data: text(data).replaceAll(/\b\d{13}\b/g, aTime),
  }
  return [`session ${idText(base64url(id))}`, fieldsOf(fields)]
}

/** A note about a code. Its id is a hash of the code. */
function noteOf({ id, data }: Row): [string, string[]] {
  const note = JSON.parse(text(data)) as { readonly text: string }
  const { grant, state } = JSON.parse(note.text) as Record<'grant' | 'state', Record<string, unknown>>
  return [`note ${shortened(base64url(id))}`, fieldsOf({ ...grant, ...state })]
}

function fieldsOf(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} = ${fieldText(name, value)}`)
}

function fieldText(name: string, value: unknown): string {
  if (name === 'age') return '(milliseconds)'
  if (typeof value !== 'string') return shortened(JSON.stringify(value))
  return name === 'rootId' || name === 'childId' ? idText(value) : shortened(value)
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}

/** An id begins with a time, so its end tells it from others. */
function idText(id: string): string {
  return `…${id.slice(-6)}`
}

const aTime = '(a time)'

/** A random value by its first characters. All but times stay whole otherwise. */
function shortened(value: string): string {
  if (/^\d{13}$/.test(value)) return aTime
  return /^[\w-]{43}$|^[\w-]{16}$/.test(value) ? `${value.slice(0, 6)}…` : value
}

/** An address, with each parameter on a line of its own. */
function addressLines(before: string, address: string): string[] {
  const url = new URL(address, 'https://path.invalid')
  const path = `${url.origin === 'https://path.invalid' ? '' : url.origin}${url.pathname}`
  return [
    `${before}${path}`,
    ...[...url.searchParams].flatMap(([name, value]) => parameterLines(name, value)),
  ]
}

function parameterLines(name: string, value: string): string[] {
  if (!value.startsWith('/')) return [`  ${name} = ${shortened(value)}`]
  return addressLines(`  ${name} = `, value).map((line, index) => (index === 0 ? line : `  ${line}`))
}

function cookieName(name: string): string {
  const [, prefix, state] = /^(__Host-handoff\.)([\w-]{12})$/.exec(name) ?? []
  return prefix === undefined ? name : `${prefix}${state!.slice(0, 6)}…`
}

/** A Set-Cookie header. The token is shown by its parts. */
function cookieText(header: string): string {
  const [pair = '', ...attributes] = header.split('; ')
  const name = pair.slice(0, pair.indexOf('='))
  return [
    `${cookieName(name)}=${cookieValue(decodeURIComponent(pair.slice(name.length + 1)))}`,
    ...attributes,
  ].join('; ')
}

function cookieValue(value: string): string {
  if (/^(done|again|asked|out|)$/.test(value)) return value
  const [, id, root = '', secret] = /^s:coat_([\w-]{16})([\w-]{16})?([\w-]{32})\./.exec(value) ?? []
  if (id === undefined) return '(the signed flow)'
  return `s:coat_(id ${idText(id)})${root && `(root ${idText(root)})`}(secret ${secret!.slice(0, 6)}…).(signature)`
}
