import { cp, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSessions, MemoryStore } from 'coatcheck'
import { beforeAll, describe, expect, test } from 'vitest'
import { ownFolder } from '../servers/owned.ts'
import { secret } from '../core/works.ts'
import { type CommandEnd, startCommand } from './run-command.ts'

const root = join(import.meta.dirname, '../..')

/** An app with a copy of coatcheck of its own. */
let app: string

beforeAll(async () => {
  app = await mkdtemp(join(tmpdir(), 'coatcheck-explain-'))
  ownFolder(app)
  const coatcheck = join(app, 'node_modules/coatcheck')
  await cp(join(root, 'dist'), join(coatcheck, 'dist'), { recursive: true })
  await cp(join(root, 'package.json'), join(coatcheck, 'package.json'))
  await symlink(join(root, 'node_modules'), join(coatcheck, 'node_modules'))
})

async function write(name: string, code: string): Promise<void> {
  await writeFile(join(app, name), code)
}

function explain(...args: string[]): Promise<CommandEnd> {
  return startCommand(['explain', ...args], {}, app).ended
}

const shop = 'https://shop.example.com'

/** Code that makes sessions of the app's own copy. */
const made = `createSessions({ store: new MemoryStore(), secret: '${secret}', sites: ['${shop}'], sweep: false })`
const imported = "import { createSessions, MemoryStore } from 'coatcheck'\n"

/** Code of sessions that say what they were asked, and when they are closed. */
const echo = `{
  exchange() {},
  async explain(facts) { return { allowed: true, lines: ['asked:', JSON.stringify(facts)] } },
  async close() { console.log('closed') },
}`

/** What is said of a POST from an origin, by rules that list the shop. */
async function said(origin: string): Promise<string> {
  const sessions = createSessions({ store: new MemoryStore(), secret, sites: [shop], sweep: false })
  const { lines } = await sessions.explain({ origin, method: 'POST', secure: true })
  await sessions.close()
  return `${lines.join('\n')}\n`
}

describe('--site', () => {
  test('a request that would be refused is explained, with exit code 3', async () => {
    const origin = 'https://evil.test'
    expect(await explain('--site', shop, '--origin', origin, '--method', 'POST')).toMatchObject({
      code: 3,
      stdout: await said(origin),
      stderr: '',
    })
  })

  test('a request that would be let in is explained, with exit code 0', async () => {
    const end = await explain('--site', 'https://a.example.com', '--site', shop, '--origin', shop, '--method', 'post') // prettier-ignore
    expect(end).toMatchObject({ code: 0, stderr: '' })
    expect(end.stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^Nobody can tell whether the page is of this app: give the host/),
      expect.stringMatching(/^CORS: the page may read the answer/),
      'Cookies: nobody can tell without the host.',
      'Forged requests: it passes, by the rule trustedOrigin.',
    ])
  })

  test('a site that createSessions refuses has exit code 2', async () => {
    const { code, stderr } = await explain('--site', 'http://shop.example.com')
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringContaining("Write 'https://shop.example.com'") as string,
    })
  })

  test('so has a domain that it refuses', async () => {
    expect(await explain('--site', shop, '--domain', 'https://example.com')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('cookie.domain') as string,
    })
  })
})

describe('--sessions', () => {
  test.each([
    ['as sessions', 'named.mjs', `${imported}export const other = ${made}; export const sessions = ${made}`],
    ['as its default', 'default.mjs', `${imported}export const other = ${made}; export default ${made}`],
    ['as the only ones', 'only.mjs', `${imported}export const secret = 'x'; export const mySessions = ${made}`],
    ['in its default', 'within.mjs', `${imported}export default { sessions: ${made} }`],
    ['from CommonJS', 'named.cjs', `const { createSessions, MemoryStore } = require('coatcheck'); exports.sessions = ${made}`],
    ['as module.exports', 'exports.cjs', `const { createSessions, MemoryStore } = require('coatcheck'); module.exports = ${made}`],
    ['from TypeScript', 'typed.ts', `import { createSessions, MemoryStore, type Sessions } from 'coatcheck'\nexport const sessions: Sessions = ${made}`],
  ])('finds the sessions that a module exports %s', async (_, name, code) => {
    await write(name, code)
    for (const [origin, exitCode] of [[shop, 0], ['https://evil.test', 3]] as const) {
      const end = await explain('--sessions', `./${name}`, '--origin', origin, '--method', 'POST')
      expect(end).toMatchObject({ code: exitCode, stdout: await said(origin) })
    }
  }) // prettier-ignore

  test('asks what the options say, and nothing else', async () => {
    await write('echo.mjs', `export const sessions = ${echo}`)
    const asked = async (...args: string[]): Promise<unknown> => {
      const { stdout } = await explain('--sessions', 'echo.mjs', ...args)
      expect(stdout).toMatch(/^asked:\n.*\nclosed\n$/)
      return JSON.parse(stdout.split('\n')[1]!)
    }
    expect(await asked()).toEqual({ secure: true })
    const request = ['--origin', 'https://evil.test', '--method', 'put', '--path', '/a?b', '--http']
    const more = [
      '--host',
      'app.example.com',
      '--sec-fetch-site',
      'absent',
      '--referer',
      'https://evil.test/x',
    ]
    expect(await asked(...request, ...more, '--upgrade', '--cookies')).toEqual({
      origin: 'https://evil.test',
      method: 'PUT',
      path: '/a?b',
      secure: false,
      host: 'app.example.com',
      secFetchSite: 'absent',
      referer: 'https://evil.test/x',
      upgrade: true,
      cookies: true,
    })
    expect(await asked('--no-cookies')).toEqual({ secure: true, cookies: false })
  })

  test('closes the sessions, and ends although the module has opened a server', async () => {
    await write(
      'server.mjs',
      `import { createServer } from 'node:http'\ncreateServer().listen(0, '127.0.0.1')\nexport const sessions = ${echo}`,
    )
    expect(await explain('--sessions', 'server.mjs')).toMatchObject({
      code: 0,
      signal: null,
      stdout: expect.stringMatching(/\nclosed\n$/) as string,
    })
  })

  test('ends, too, if a module with a server has no sessions', async () => {
    await write(
      'no-sessions.mjs',
      `import { createServer } from 'node:http'\nexport const server = createServer().listen(0, '127.0.0.1')`,
    )
    expect(await explain('--sessions', 'no-sessions.mjs')).toMatchObject({ code: 1, signal: null })
  })

  test.each([
    ['no sessions', 'none.mjs', 'export const store = {}', 'none.mjs exports no sessions'],
    ['several', 'several.mjs', `export const a = ${echo}, b = ${echo}`, 'several.mjs exports no sessions, or several'],
    ['those of an older coatcheck', 'older.mjs', 'export const sessions = { exchange() {}, close() {} }', 'Update coatcheck'],
    ['sessions that cannot be made', 'broken.mjs', `${imported}export const sessions = createSessions({ secret: '${secret}' })`, 'broken.mjs cannot be loaded. store is missing: give new MySQLStore(url)'],
  ])('says what to do if a module has %s', async (_, name, code, message) => {
    await write(name, code)
    const { code: exitCode, stdout, stderr } = await explain('--sessions', name)
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: expect.stringContaining(message) as string,
    })
    expect(stderr).not.toContain('    at ')
  }) // prettier-ignore

  test('says what to do if there is no such module', async () => {
    expect(await explain('--sessions', 'away.mjs')).toMatchObject({
      code: 1,
      stderr: 'The file of --sessions is not there. Name the module that makes the sessions.\n',
    })
  })

  test('says where a module fails, without the properties of its error', async () => {
    await write('fails.mjs', "new URL('//root:hush@db.example.com')")
    const { code, stderr } = await explain('--sessions', 'fails.mjs')
    expect(code).toBe(1)
    expect(stderr).toMatch(/^fails\.mjs cannot be loaded\. TypeError: Invalid URL\n[^]*fails\.mjs:1:1/)
    expect(stderr).not.toContain('hush')
  })
})

test.each([
  ['no rules', ['--origin', shop], '--sessions ./sessions.js, or --site https://app.example.com'],
  ['two kinds of rules', ['--sessions', 'a.mjs', '--site', shop], "cannot be used with option '--site <origin>'"],
  ['a domain beside the sessions', ['--sessions', 'a.mjs', '--domain', 'a.test'], "cannot be used with option '--domain <host>'"],
  ['a path without a slash', ['--site', shop, '--path', 'password'], 'with a slash first'],
  ['a Sec-Fetch-Site that browsers do not send', ['--site', shop, '--sec-fetch-site', 'other'], 'Allowed choices are cross-site'],
  ['an origin without its option', ['--site', shop, 'https://evil.test'], 'each value needs an option before it'],
])('refuses %s with exit code 2', async (_, args, message) => {
  const { code, stdout, stderr } = await explain(...args)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(message)
  expect(stderr).toMatch(/^error: [^]*\nSee coatcheck explain --help\.\n$/)
}) // prettier-ignore
