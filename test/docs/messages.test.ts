import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { pageOf } from './messages/page.ts'
import { type Messages, readMessages } from './messages/read.ts'
import { root } from './pages.ts'

// docs/messages.md lists every message of the source, and each belongs to a code of docs/troubleshooting.md.

let source: Messages
let rows: readonly string[]

beforeAll(async () => {
  source = readMessages(join(root, 'tsconfig.json'), join(root, 'src'))
  const page = await readFile(join(root, 'docs/troubleshooting.md'), 'utf8')
  rows = [...page.matchAll(/^\| <a id="((?:ERR|COATCHECK)_\w+)"><\/a>/gm)].map(([, code]) => code!)
})

test('each message belongs to a code that has a row, and each code that has a row has a message', () => {
  expect(source.messages.length).toBeGreaterThan(200)
  const codes = new Set(source.messages.map(({ code }) => code))
  expect([...codes].toSorted()).toEqual(rows.toSorted())
})

test('every message can be read', () => {
  expect(source.unread.map((each) => each.split(': ')[0])).toEqual([
    // Errors that are passed on as warnings.
    'core/errors.ts',
    // Of a database: read from the lists of what it may say.
    'core/store/store-failure.ts',
    // Of a list of faults: read from where the fault is made.
    'core/warn-once.ts',
  ])
})

test('the page lists every message of the source, and no other', async () => {
  const path = join(root, 'docs/messages.md')
  const page = await pageOf(source.messages)
  if (process.env['UPDATE_MESSAGES'] === '1') await writeFile(path, page)
  const stored = await readFile(path, 'utf8')
  expect(stored, 'Run UPDATE_MESSAGES=1 npx vitest run test/docs/messages.test.ts.').toBe(page)
})

describe('a message is read', () => {
  const helper =
    "export function optionError(message: string) { return new SessionError('ERR_SESSION_OPTION', message) }"

  /** What is read of a module, as `code: text`. */
  async function read(code: string): Promise<Pick<Messages, 'unread'> & { messages: string[] }> {
    const folder = await mkdtemp(join(tmpdir(), 'coatcheck-messages-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const files = {
      'src/errors.ts': `
        export class SessionError extends Error {
          constructor(readonly code: string, message: string) { super(message) }
        }
        ${code.includes('optionError') ? helper : ''}`,
      'src/module.ts': `import { ${code.includes('optionError') ? 'optionError, ' : ''}SessionError } from './errors.js'\n${code}`,
      'tsconfig.json': JSON.stringify({
        compilerOptions: { module: 'nodenext', target: 'es2023', strict: true, noEmit: true, types: [] },
        include: ['src'],
      }),
    }
    for (const [path, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text)
    }
    const { messages, unread } = readMessages(join(folder, 'tsconfig.json'), join(folder, 'src'))
    return { messages: messages.map((each) => `${each.code}: ${each.text}`), unread }
  }

  test.each<[string, string, string[]]>([
    [
      'with a gap for a value',
      "export const make = (name: string) => new SessionError('ERR_SESSION_DATA', `The name ${name} is taken.`)",
      ['ERR_SESSION_DATA: The name … is taken.'],
    ],
    [
      'through a function of another file, at each of its calls',
      "optionError('Write a text.'); optionError('Write it down, ' + 'or not.')",
      ['ERR_SESSION_OPTION: Write a text.', 'ERR_SESSION_OPTION: Write it down, or not.'],
    ],
    [
      'with all branches of a condition, and with constants',
      `const cure = 'Try again later.'
      export const make = (one: boolean) => optionError(one ? \`It is one. \${cure}\` : 'It is two things.')`,
      ['ERR_SESSION_OPTION: It is one. Try again later.', 'ERR_SESSION_OPTION: It is two things.'],
    ],
    [
      'from a function that returns its text',
      `function fault(name: string) { if (name === '') return 'the name is empty'; return \`the name \${name} is taken\` }
      export const make = (name: string) => optionError(\`Not so: \${fault(name)}.\`)`,
      ['ERR_SESSION_OPTION: Not so: the name is empty.', 'ERR_SESSION_OPTION: Not so: the name … is taken.'],
    ],
    [
      'with the code that goes with it in a table',
      `const codes = { busy: 'ERR_SESSION_STORE_BUSY', away: 'ERR_SESSION_STORE_UNAVAILABLE' }
      const advice = { busy: 'Try it again.', away: 'Start the database.' }
      function make(kind: 'busy' | 'away') { return new SessionError(codes[kind], \`It failed. \${advice[kind]}\`) }
      make('busy'); make('away')`,
      [
        'ERR_SESSION_STORE_BUSY: It failed. Try it again.',
        'ERR_SESSION_STORE_UNAVAILABLE: It failed. Start the database.',
      ],
    ],
    [
      'with the code that goes with it, where the key may also be one that is not known',
      `const codes = { busy: 'ERR_SESSION_STORE_BUSY', away: 'ERR_SESSION_STORE_UNAVAILABLE' }
      const advice = { busy: 'Try it again.', away: 'Start the database.' }
      declare function ask(): 'busy' | 'away'
      const kindOf = (known: boolean) => known ? ('busy' as const) : known ? ('away' as const) : ask()
      function make(kind: 'busy' | 'away') { return new SessionError(codes[kind], \`It failed. \${advice[kind]}\`) }
      export const one = (known: boolean) => make(kindOf(known))`,
      [
        'ERR_SESSION_STORE_BUSY: It failed. Try it again.',
        'ERR_SESSION_STORE_UNAVAILABLE: It failed. Start the database.',
      ],
    ],
    [
      'from all objects of a type, where one that is not known is taken apart',
      `interface Table { readonly missing: string }
      export const one: Table = { missing: 'One table is not there.' }
      export const other: Table = { missing: 'Another table is not there.' }
      declare const given: Table
      function make({ missing }: Table) { return new SessionError('ERR_SESSION_MISSING_TABLE', missing) }
      make(given)`,
      [
        'ERR_SESSION_MISSING_TABLE: Another table is not there.',
        'ERR_SESSION_MISSING_TABLE: One table is not there.',
      ],
    ],
    [
      'of a warning, with its code in an object',
      `declare const process: { emitWarning(message: string, options: { code: string }): void }
      function warnOnce(code: string, message: string) { process.emitWarning(message, { code }) }
      warnOnce('COATCHECK_OPTION', 'One thing is wrong.')
      export const fault = { code: 'COATCHECK_COOKIE', message: 'Another thing is wrong.' }`,
      ['COATCHECK_COOKIE: Another thing is wrong.', 'COATCHECK_OPTION: One thing is wrong.'],
    ],
    [
      'from the elements of a list that are joined',
      `const faultOf = (entry: string) => entry === '' ? 'an entry is empty' : undefined
      export const make = (all: string[]) => optionError(\`Look: \${all.map(faultOf).filter(Boolean).join(' and ')}.\`)`,
      ['ERR_SESSION_OPTION: Look: an entry is empty.'],
    ],
  ])('%s', async (_name, code, messages) => {
    expect(await read(code)).toEqual({ messages, unread: [] })
  })

  test('or reported as one that cannot be read', async () => {
    const { unread } = await read('declare const said: string; export const make = () => optionError(said)')
    expect(unread).toEqual(["errors.ts: new SessionError('ERR_SESSION_OPTION', message)"])
  })
})
