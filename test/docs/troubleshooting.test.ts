import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { SessionError } from 'coatcheck'
import { beforeAll, describe, expect, test } from 'vitest'

// docs/troubleshooting.md has a row for each code and event, and for nothing else. What there is, the source says.

const root = join(import.meta.dirname, '../..')

/** Codes of Node's own, which coatcheck expects, or gives to errors that take the place of Node's. */
const codesOfNode = [
  'ERR_HTTP_HEADERS_SENT',
  'ERR_INVALID_STATE',
  'ERR_STREAM_DESTROYED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_UNKNOWN_FILE_EXTENSION',
]

/** A row of a table in the page. */
interface Row {
  readonly name: string
  readonly id: string
  readonly cells: readonly string[]
}

let sources: ReadonlyMap<string, string>
let rows: readonly Row[]

beforeAll(async () => {
  sources = await readSources(join(root, 'src'))
  const page = await readFile(join(root, 'docs/troubleshooting.md'), 'utf8')
  rows = [...page.matchAll(/^\| <a id="([^"]*)"><\/a>`([^`]*)` +\|(.*)\|$/gm)].map(([, id, name, rest]) => ({
    name: name!,
    id: id!,
    cells: rest!.split(/(?<!\\)\|/).map((cell) => cell.trim()),
  }))
})

async function readSources(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile() && /\.[cm]?ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
  return new Map(
    await Promise.all(
      paths.map(async (path) => [relative(root, path), await readFile(path, 'utf8')] as const),
    ),
  )
}

/** What matches in the source, comments included: each once, in order. */
function inSource(pattern: RegExp): string[] {
  const found = [...sources.values()].flatMap((source) =>
    [...source.matchAll(pattern)].map(([match]) => match),
  )
  return [...new Set(found)].toSorted()
}

/** The names that have a row of that form, in order. One with two rows stands there twice. */
function named(form: RegExp): string[] {
  return rows
    .map(({ name }) => name)
    .filter((name) => form.test(name))
    .toSorted()
}

test('each error code has a row, and each row is of a code that there is', () => {
  const codes = inSource(/\bERR_[A-Z_]*[A-Z]\b/g)
  expect(codes).toEqual(expect.arrayContaining(codesOfNode))
  const own = codes.filter((code) => !codesOfNode.includes(code))
  expect(own.length).toBeGreaterThan(20)
  expect(named(/^ERR_/)).toEqual(own)
})

test('each warning code has a row, and each row is of a code that there is', () => {
  const codes = inSource(/\bCOATCHECK_[A-Z_]*[A-Z]\b/g)
  expect(codes.length).toBeGreaterThan(10)
  expect(named(/^COATCHECK_/)).toEqual(codes)
})

test('each event has a row, and each row is of an event that there is', () => {
  const [, body] = /^export interface SessionEvents \{\n(.*?)^\}/ms.exec(sources.get('src/core/events.ts')!)!
  const events = [...body!.matchAll(/^ {2}(\w+): \[/gm)].map(([, name]) => name!)
  expect(events.length).toBeGreaterThan(5)
  expect(named(/^[a-z]/)).toEqual(events.toSorted())
})

test('each row has the anchor that a message links to', () => {
  for (const { name, id } of rows) expect(id).toBe(/^[a-z]/.test(name) ? `event-${name}` : name)
})

describe('the status of an error', () => {
  test('stands in its row: each that one of its errors has, and no other', () => {
    const inPage = Object.fromEntries(
      rows
        .filter(({ name }) => name.startsWith('ERR_'))
        .map(({ name, cells }) => [name, new Set(cells[0]!.match(/\b[1-5]\d\d\b/g)?.map(Number))]),
    )
    expect(inPage).toEqual(statusesInSource())
  })

  test('is read from calls of every form', () => {
    const source = `
      new SessionError('ERR_A', \`a \${b ? \`, \${c}\` : '('} (\`)
      new SessionError(
        'ERR_B', // with a comment, and its comma
        'it is, "so"',
        { cause: f({ status: 1 }), status: 503 },
      )
      const options = { status: 500 }
      new SessionError('ERR_C', 'it is by name', options)`
    expect(callsIn(source)).toEqual([
      ["'ERR_A'", "`a ${b ? `, ${c}` : '('} (`"],
      ["'ERR_B'", `'it is, "so"'`, '{ cause: f({ status: 1 }), status: 503 }'],
      ["'ERR_C'", "'it is by name'", '{ status: 500 }'],
    ])
    expect(callsIn(source).map(statusOf)).toEqual([usual(), 503, 500])
  })
})

/** The statuses that the errors of each code are made with. */
function statusesInSource(): Record<string, Set<number>> {
  const made = [...sources].flatMap(([path, source]) => callsIn(source).map((call) => ({ path, call })))
  const isLiteral = ({ call }: { readonly call: readonly string[] }) => call[0]!.startsWith("'")
  const pairs = made.filter(isLiteral).map(({ call }) => [call[0]!.slice(1, -1), statusOf(call)] as const)
  // One alone takes both from a table.
  const others = made.filter((each) => !isLiteral(each))
  expect(others.map(({ path, call }) => [path, call[0], call[2]])).toEqual([
    ['src/core/store/store-failure.ts', 'code', '{ cause, status }'],
  ])
  const table = sources.get('src/core/store/store-failure.ts')!
  const failures = [...table.matchAll(/\{ code: '(\w+)', status: (\d+) \}/g)]
  expect(failures).toHaveLength(4)
  const all = [...pairs, ...failures.map(([, code, status]) => [code!, Number(status)] as const)]
  const codes = new Set(all.map(([code]) => code))
  const statusesOf = (code: string) =>
    new Set(all.filter(([each]) => each === code).map(([, status]) => status))
  return Object.fromEntries([...codes].map((code) => [code, statusesOf(code)]))
}

function usual(): number {
  return new SessionError('ERR_SESSION_OPTION', '').status
}

function statusOf([, , options = '{}']: readonly string[]): number {
  const own = argumentsAt(options, 0).filter((property) => property.startsWith('status'))
  if (own.length === 0) return usual()
  expect(own.join()).toMatch(/^status: \d{3}$/)
  return Number(own[0]!.slice('status: '.length))
}

/** The arguments of each `new SessionError(…)`, as they are written. In place of a constant that is an object, that object. */
function callsIn(source: string): string[][] {
  return [...source.matchAll(/\bnew SessionError\(/g)].map(({ 0: call, index }) => {
    const [code, message, options] = argumentsAt(source, index + call.length - 1)
    return [code!, message!, ...(options === undefined ? [] : [objectOf(source, options)])]
  })
}

function objectOf(source: string, written: string): string {
  const made = /^\w+$/.test(written) ? source.indexOf(`const ${written} = {`) : -1
  if (made < 0) return written
  const start = source.indexOf('{', made)
  return source.slice(start, closingOf(source, start) + 1)
}

const closings: Readonly<Record<string, string>> = {
  '(': ')',
  '[': ']',
  '{': '}',
  "'": "'",
  '"': '"',
  '`': '`',
}

/** What stands between commas within the brackets that open at `start`. */
function argumentsAt(source: string, start: number): string[] {
  const end = closingOf(source, start)
  const parts: string[] = []
  let part = ''
  for (let at = start + 1; at <= end; at++) {
    if (at === end || source[at] === ',') {
      parts.push(part.trim())
      part = ''
    } else if (source.startsWith('//', at)) at = source.indexOf('\n', at)
    else if (source[at]! in closings) {
      const inner = closingOf(source, at)
      part += source.slice(at, inner + 1)
      at = inner
    } else part += source[at]!
  }
  // A comma may stand behind the last.
  return parts.filter((each) => each !== '')
}

/** Where the bracket or the text ends that begins at `start`. */
function closingOf(source: string, start: number): number {
  const opening = source[start]!
  const isText = /['"`]/.test(opening)
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === closings[opening]) return at
    if (isText && source[at] === '\\') at++
    else if (opening === '`' && source.startsWith('${', at)) at = closingOf(source, at + 1)
    else if (!isText && source.startsWith('//', at)) at = source.indexOf('\n', at)
    else if (!isText && source[at]! in closings) at = closingOf(source, at)
  }
  throw new Error(`what opens with ${source.slice(start, start + 40)} does not close`)
}
