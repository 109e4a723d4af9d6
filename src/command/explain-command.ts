import { randomBytes } from 'node:crypto'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { createSessions, type Sessions } from '../sessions.js'
import { MemoryStore } from '../stores/memory.js'
import { type AppSessions, sessionsOfModule } from './sessions-module.js'

type Facts = Parameters<Sessions['explain']>[0]

/** Options of `coatcheck explain`. */
interface ExplainOptions extends Omit<Facts, 'secure'> {
  readonly http?: boolean
  readonly sessions?: string
  readonly site?: readonly string[]
  readonly domain?: string
}

/** The exit code for a request that would be refused. 1 and 2 say that nothing was found out. */
const refused = 3

export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .usage('(--sessions <file> | --site <origin>) [options]')
    .summary('say what happens to a request of a page of another origin, and why')
    .description(
      'Says whether a request would be let in by the check against forged requests, whether the page may read the response, and why. Nothing is sent, and no server need run.',
    )
    .optionsGroup('Whose rules:')
    .addOption(
      new Option(
        '--sessions <file>',
        'the module that makes your sessions, such as ./sessions.js; it is loaded, so it needs its environment',
      ).conflicts(['site', 'domain']),
    )
    .option('--site <origin>', 'in place of it, an entry of sites; may be repeated', collected)
    .option('--domain <host>', "with --site: the cookie's domain, such as example.com", withoutUser)
    .optionsGroup('The request:')
    .option('--origin <origin>', 'its Origin header: the origin of the page that sends it')
    .option('--method <method>', 'its method, such as POST', (method) => method.toUpperCase())
    .option('--path <path>', 'its path, such as /password', pathOf)
    .option('--host <host>', 'its Host header: the host of your app, and the port if there is one')
    .option('--http', 'it comes by HTTP, not by HTTPS')
    .addOption(
      new Option('--sec-fetch-site <value>', 'its Sec-Fetch-Site header; absent: it has none').choices([
        'cross-site',
        'same-site',
        'same-origin',
        'none',
        'absent',
      ]),
    )
    .option('--referer <url>', 'its Referer header')
    .option('--upgrade', 'it is the handshake of a WebSocket')
    .option('--cookies', "its page asks for cookies (credentials: 'include')")
    .option('--no-cookies', 'its page does not ask for them')
    .addHelpText(
      'after',
      `
Exit codes: 0 if the request would be let in, ${refused} if it would be refused, 2 for a wrong
call, 1 for all else, such as a module that cannot be loaded.

Example:
  coatcheck explain --sessions ./sessions.js --origin https://evil.test \\
    --method POST --path /password --host app.example.com`,
    )
    .action(async (options: ExplainOptions, command: Command) => {
      process.exitCode = 1 // until it is done: the module, or a function of sites, may never be
      process.exitCode = await run(options, command)
    })
}

/** @returns the exit code */
async function run(options: ExplainOptions, command: Command): Promise<number> {
  const { sessions: module, site, domain, http, ...facts } = options
  if (module === undefined && site === undefined) {
    command.error(
      'error: say whose rules to go by: --sessions ./sessions.js, or --site https://app.example.com.',
    )
  }
  const sessions = module === undefined ? sessionsFor(site, domain) : await sessionsOfModule(module)
  try {
    const { allowed, lines } = await sessions.explain({ ...facts, secure: http !== true })
    process.stdout.write(`${lines.join('\n')}\n`)
    return allowed ? 0 : refused
  } finally {
    await sessions.close()
  }
}

/** Sessions with the usual rules, for these sites. */
function sessionsFor(sites: readonly string[] | undefined, domain: string | undefined): AppSessions {
  return createSessions({
    store: new MemoryStore(),
    secret: randomBytes(32),
    sites,
    ...(domain !== undefined && { cookie: { domain } }),
    sweep: false,
  })
}

function collected(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, withoutUser(text)]
}

/** Refuses a URL with a password before a message shows it. */
function withoutUser(text: string): string {
  if (!text.includes('@')) return text
  throw new InvalidArgumentError('Leave out the user name and the password.')
}

function pathOf(text: string): string {
  if (text.startsWith('/')) return text
  throw new InvalidArgumentError('Write what comes after the host, with a slash first, as in /password.')
}
