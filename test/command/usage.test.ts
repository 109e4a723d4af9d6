import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type CommandEnd, startCommand } from './run-command.ts'

function coatcheck(...args: string[]): Promise<CommandEnd> {
  return startCommand(args).ended
}

describe('help', () => {
  test.each([[['--help']], [['-h']], [['help']]])('%j lists the commands', async (args) => {
    const { code, stdout, stderr } = await coatcheck(...args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ {2}copy .*copy sessions to another store/m)
  })

  test('of a command is the same by either way', async () => {
    const { code, stdout, stderr } = await coatcheck('help', 'copy')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^ {2}--from <url or table> /m)
    expect(stdout).toMatch(/^ {2}--batch <rows> .*\(default: 1000\)/m)
    expect(await coatcheck('copy', '--help')).toMatchObject({ code: 0, stdout })
  })

  test('without a command goes to stderr, with exit code 2', async () => {
    const { stdout } = await coatcheck('--help')
    expect(await coatcheck()).toMatchObject({ code: 2, stdout: '', stderr: stdout })
  })
})

test('--version is the version of the package', async () => {
  const text = await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')
  const { version } = JSON.parse(text) as { version: string }
  expect(await coatcheck('--version')).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
})

describe('a call that cannot be understood has exit code 2', () => {
  test.for<[string, string[], string]>([
    ['an unknown command', ['cpy'], "unknown command 'cpy'\n(Did you mean copy?)\nSee coatcheck --help."],
    [
      'an unknown option',
      ['copy', '--from', 'sessions', '--folow'],
      "unknown option '--folow'\n(Did you mean --follow?)\nSee coatcheck copy --help.",
    ],
    ['an option of a command before it', ['--follow', 'copy'], "unknown option '--follow'\n"],
    ['a value for an option that takes none', ['copy', '--from', 'sessions', '--follow=no'], "'--follow=…'"],
    ['a missing option', ['copy'], "required option '--from <url or table>' not specified"],
    ['a missing value', ['copy', '--from'], "option '--from <url or table>' argument missing"],
    [
      'an option where a value belongs',
      ['copy', '--from', 'sessions', '--user', '--end-all'],
      "option '--user' needs a value",
    ],
    [
      'a value that does not fit',
      ['copy', '--from', 'sessions', '--every', '9999'],
      "argument '9999' is invalid. Give a number from 0.1 to 3,600.",
    ],
    [
      'options that do not go together',
      ['copy', '--from', 'a', '--every', '1'],
      '--every goes with --follow',
    ],
    ['a URL without another', ['copy', '--from', 'sqlite:a.db'], 'give --to the URL of the store to copy to'],
    [
      'a table beside a URL',
      ['copy', '--from', 'sqlite:a.db', '--to', 'sessions'],
      'give --to the URL of the store to copy to',
    ],
    ['a URL beside a table', ['copy', '--from', 'a', '--to', 'sqlite:a.db'], 'Give two URLs, or two tables'],
    [
      'an option of tables beside URLs',
      ['copy', '--from', 'sqlite:a.db', '--to', 'sqlite:b.db', '--user', 'user'],
      '--user goes with --from <table>, not with a URL',
    ],
    [
      'an option of URLs beside tables',
      ['copy', '--from', 'sessions', '--ledger', 'file'],
      '--ledger goes with --from <url>, not with a table',
    ],
    [
      'one store for both',
      ['copy', '--from', 'mysql://a:b@DB/shop', '--to', 'mariadb://c@db:3306/shop?ssl=true'],
      '--from and --to name the same store',
    ],
    ['one file for both', ['copy', '--from', 'sqlite:a.db', '--to', 'file:./a.db'], 'name the same store'],
    [
      'a database of no store of ours',
      ['copy', '--from', 'mongodb://a', '--to', 'sqlite:a.db'],
      'openStore has no store for mongodb://',
    ],
    ['one table for both', ['copy', '--from', 'Same', '--to', 'same'], '--from and --to name the same table'],
  ])('%s', async ([, args, message]) => {
    const { code, stdout, stderr } = await coatcheck(...args)
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(message) as string,
    })
  })
})

describe('a password is not repeated', () => {
  const url = 'mysql://root:hush@db.example.com/shop'

  test.each([
    ['in place of a command', [url]],
    ['behind an unknown command', ['cpy', url]],
    ['after help', ['help', url]],
    ['without an option', ['copy', '--from', 'sessions', url]],
    ['without an option, cut at a blank', ['copy', '--from', 'sessions', 'mysql://root:no', 'hush']],
    ['after --', ['copy', '--from', 'sessions', '--', url]],
    ['as a site', ['explain', '--site', url]],
    ['as a domain', ['explain', '--site', 'https://a.example.com', '--domain', url]],
    ['as a path', ['explain', '--site', 'https://a.example.com', '--path', url]],
    ['in an unknown option', ['copy', '--from', 'sessions', `--ulr=${url}`]],
    ['in an option of other programs', ['copy', '--from', 'sessions', '--password=hush']],
    ['in a short option of other programs', ['copy', '--from', 'sessions', '-phush']],
    ['as the old store', ['copy', '--from', url]],
    ['as both stores', ['copy', '--from', url, '--to', url]],
    ['as the value of another option', ['copy', '--from', 'sessions', '--to', url]],
    ['as the value of another option, with =', ['copy', '--from', 'sessions', `--batch=${url}`]],
  ])('%s', async (_, args) => {
    const { code, stdout, stderr } = await coatcheck(...args)
    expect(code).toBe(2)
    expect(stderr).toMatch(/See coatcheck (copy |explain )?--help\.|Usage: coatcheck/)
    expect(stdout + stderr).not.toMatch(/hush|db\.example/)
  })

  test('as a file', async () => {
    const { code, stdout, stderr } = await coatcheck('explain', '--sessions', url)
    expect(code).toBe(1)
    expect(stderr).toContain('--sessions')
    expect(stdout + stderr).not.toMatch(/hush|db\.example/)
  })
})
